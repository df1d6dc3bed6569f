"""The command: files in, messages out, and errors that people can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coreset import Coreset, RoundingQuantizer, decode, encode, inspect
from coreset.cli import main, parse_budget


@pytest.fixture
def frame(rng) -> pd.DataFrame:
    table = pd.DataFrame(rng.normal(size=(300, 3)).astype(np.float32), columns=["a", "b", "c"])
    return table.assign(kind=np.resize(["x", "y"], 300), mass=rng.integers(1, 4, 300))


@pytest.fixture
def summary(tmp_path) -> Path:
    """A file of two messages."""
    parts = [Coreset([[0.0, 1.5]], [weight], labels=["é"], n_source=10) for weight in (1, 3)]
    path = tmp_path / "two.cset"
    path.write_bytes(b"".join(encode(part, RoundingQuantizer(52)) for part in parts))
    return path


def run(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stopped:  # argparse's way to refuse
        return int(stopped.code or 0)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_files_become_messages_within_the_budget(tmp_path, frame, suffix, capsys):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    source, out = tmp_path / f"rows.{suffix}", tmp_path / "summary.cset"
    if suffix == "npy":
        np.save(source, frame.assign(kind=(frame["kind"] == "x")).to_numpy(np.float64))
        columns = ("--label-column", 3, "--weight-column", -1)
    else:
        frame.to_csv(source, index=False) if suffix == "csv" else frame.to_parquet(source)
        columns = ("--label-column", "kind", "--weight-column", "mass")
    assert run("build", source, "--budget", "2KiB", "--out", out, *columns) == 0
    captured = capsys.readouterr()
    assert captured.out == ""  # progress goes elsewhere
    assert "summary from 1 of 1 shards" in captured.err
    received = decode(out.read_bytes())
    assert out.stat().st_size <= 2048
    assert received.total_weight == pytest.approx(frame["mass"].sum())
    assert received.n_features == 3
    assert len(set(received.labels.tolist())) == 2
    assert set(os.listdir(tmp_path)) == {source.name, out.name}


def test_every_file_is_a_shard_and_the_seed_decides_the_bytes(tmp_path, frame):
    sources = [tmp_path / "0.csv", tmp_path / "1.csv"]
    for source, part in zip(sources, (frame[:100], frame[100:]), strict=True):
        part.drop(columns="mass").to_csv(source, index=False)
    outs = [tmp_path / name for name in ("a.cset", "b.cset", "c.cset")]
    for out, seed in zip(outs, (5, 5, 6), strict=True):
        assert run("build", *sources, "--budget", "300", "--out", out, "--label-column", "kind", "--seed", seed) == 0
    first, same, other = (out.read_bytes() for out in outs)
    assert first == same != other
    assert [row["n_source"] for row in inspect(first)] == [100, 200]


def test_budgets_are_sizes_or_shares(tmp_path, rng):
    assert parse_budget("64KiB", lambda: 0) == 65536
    assert parse_budget("2kB", lambda: 0) == 2000
    assert parse_budget(" 1.5 MB ", lambda: 0) == 1_500_000
    assert parse_budget("7", lambda: 0) == 7
    assert parse_budget("0.1%", lambda: 1_234_567) == 1234
    for bad in ("", "x", "-1", "0", "1XB", "1e5", "%", "nan", "9" * 30):
        with pytest.raises(ValueError, match=r"no size|must be more"):
            parse_budget(bad, lambda: 0)
    source, out = tmp_path / "rows.npy", tmp_path / "s.cset"
    np.save(source, rng.normal(size=(1000, 4)).astype(np.float16))
    assert run("build", source, "--budget", "10%", "--out", out) == 0
    assert 400 <= out.stat().st_size <= 800  # of 8000 bytes, since two bytes hold a value


def test_inspect_shows_every_message_and_the_whole(summary, capsys):
    assert run("inspect", summary) == 0
    text = capsys.readouterr().out
    for said in (
        "message 0",
        "message 1",
        "whole, 2 messages",
        "published count",
        "raw data, zstd",
        "a class as 1 byte",
    ):
        assert said in text
    assert run("inspect", summary, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["message_bytes"] == summary.stat().st_size
    assert [one["n_source"] for one in told["messages"]] == [10, 10]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("labels", [[0, -7], [True, False], [0.5, 1e-300], ["é", "b c"], None])
def test_decoded_tables_keep_every_digit_and_type(tmp_path, suffix, labels):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    coreset = Coreset([[1 / 3, -1e30], [np.pi, 5e-324]], [0.1, 7.0], labels=labels, feature_names=("a", "b"))
    source, out = tmp_path / "s.cset", tmp_path / f"t.{suffix}"
    source.write_bytes(encode(coreset, RoundingQuantizer(52)))
    assert run("decode", source, "--out", out) == 0
    expected = decode(source.read_bytes()).to_frame()
    read = pd.read_parquet(out) if suffix == "parquet" else pd.read_csv(out)
    assert read.dtypes.tolist() == expected.dtypes.tolist()
    if suffix == "csv":  # its text has every digit, whatever a reader makes of the last
        texts = pd.read_csv(out, dtype=str)
        read = read.assign(**{name: texts[name].map(float) for name in read if read[name].dtype == np.float64})
    pd.testing.assert_frame_equal(read, expected, check_exact=True)
    assert read.columns.tolist() == ["a", "b", "weight", "label"][: 3 + (labels is not None)]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_decoded_tables_have_points_weights_and_labels(summary, tmp_path, suffix):
    out = tmp_path / f"table.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    assert run("decode", summary, "--out", out) == 0
    table = {
        "csv": pd.read_csv,
        "parquet": pd.read_parquet,
        "npy": lambda path: pd.DataFrame.from_records(np.load(path)),
    }[suffix](out)
    assert table.columns.tolist() == ["x0", "x1", "weight", "label"]
    assert table.to_numpy().tolist() == [[0.0, 1.5, 1.0, "é"], [0.0, 1.5, 3.0, "é"]]
    if suffix != "csv":  # a decoded table can be summarised again
        again = ("--label-column", "label", "--weight-column", "weight")
        assert run("build", out, "--budget", 500, "--out", tmp_path / "again.cset", *again) == 0


def test_bad_use_is_code_2_and_bad_data_code_1(tmp_path, frame, summary, capsys):
    rows, holes, out = tmp_path / "rows.csv", tmp_path / "holes.csv", tmp_path / "out.cset"
    frame.to_csv(rows, index=False)
    frame[["a", "b"]].mask(frame[["a", "b"]] > 1).to_csv(holes, index=False)
    frame[["a", "b"]].to_csv(tmp_path / "numbers.csv", index=False)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "header.csv").write_text("a,b\n")
    np.savez(tmp_path / "archive", a=1)
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    frame.assign(kind=frame["kind"].where(frame["a"] < 1)).to_csv(tmp_path / "unlabelled.csv", index=False)
    frame[["kind"]].to_csv(tmp_path / "labels.csv", index=False)
    np.save(tmp_path / "one.npy", np.ones((9, 1)))
    weightless = tmp_path / "weightless.csv"
    frame[["a", "b", "kind"]].assign(w=0).to_csv(weightless, index=False)
    build, numeric = ("--budget", "2kB", "--out", out), ("--label", "kind", "--weight", "mass", "--target", "numeric")
    for code, said, *arguments in [
        (2, "required", "build"),
        (2, "no size such as", "build", rows, "--budget", "2 apples", "--out", out),
        (2, "there is no such file", "build", tmp_path / "none.csv", *build),
        (2, "must end in one of", "build", summary, *build),
        (2, "--workers is for Ray", "build", rows, *build, "--workers", 2, "--backend", "local"),
        (2, "--address is for Ray", "build", rows, *build, "--address", "h:1", "--backend", "local"),
        (2, "no positive number of seconds", "build", rows, *build, "--timeout", "inf"),
        (2, "patterns and URIs are for parquet alone", "build", rows, tmp_path / "*.csv", *build),
        (2, "no ordinary file", "inspect", tmp_path),
        (2, "'0.5' is less than a byte", "build", rows, "--budget", "0.5", "--out", out),
        (2, "no positive integer", "build", rows, *build, "--workers", 0),
        (2, "are both 'a'", "build", rows, *build, "--label-column", "a", "--weight-column", "a"),
        (2, "its folder is not there", "build", rows, "--budget", 99, "--out", tmp_path / "no" / "out.cset"),
        (2, "no ordinary file", "build", rows, "--budget", 99, "--out", tmp_path),
        (2, "must end in one of", "decode", summary, "--out", tmp_path / "table.txt"),
        (2, "there is no such file", "inspect", tmp_path / "none.cset"),
        (1, "column 'kind' holds", "build", rows, *build),
        (1, "is none of the columns", "build", rows, *build, "--label-column", "sort"),
        (1, f"{holes}: Input X contains NaN", "build", holes, *build),
        (1, f"{holes}: Input X contains NaN", "build", tmp_path / "numbers.csv", holes, *build),
        (2, "--out - is no file", "build", rows, "--budget", 99, "--out", "-"),
        (1, "is too small", "build", rows, "--budget", 10, "--out", out, "--label-column", "kind"),
        (1, "less than a byte", "build", rows, "--budget", "0.001%", "--out", out, "--label-column", "kind"),
        (1, "empty.csv", "build", tmp_path / "empty.csv", *build),
        (1, "header.csv: it has no rows", "build", tmp_path / "header.csv", *build),
        (1, "it does not hold one array", "build", tmp_path / "archive.npy", *build),
        (1, "'kind' is missing in", "build", tmp_path / "unlabelled.csv", *build, "--label-column", "kind"),
        (1, "no columns but labels", "build", tmp_path / "labels.csv", *build, "--label-column", "kind"),
        (1, "no columns but labels", "build", tmp_path / "one.npy", *build, "--label-column", "0"),
        (1, f"{rows}: y holds strings", "build", rows, *build, *numeric),
        (1, f"{rows}: y holds strings", "build", rows, "--budget", "50%", "--out", out, *numeric),
        (1, f"empty: {weightless}", "build", weightless, *build, "--label", "kind", "--weight", "w"),
        (1, f"{rows} has 4 columns, {weightless} has 3", "build", weightless, rows, *build, "--label", "kind"),
        (1, "text.npy", "build", tmp_path / "text.npy", *build),
        (1, "objects.npy", "build", tmp_path / "objects.npy", *build),
        (1, f"{rows}: message does not begin with", "inspect", rows),
        (1, "--max-output leaves 10", "decode", summary, "--out", tmp_path / "t.csv", "--max-output", 10),
    ]:
        assert run(*arguments) == code, arguments
        captured = capsys.readouterr()
        assert said in captured.err, arguments
        assert "Traceback" not in captured.err
        assert captured.out == ""
        assert not out.exists()


def test_an_input_is_never_written_over(tmp_path, frame, summary, capsys):
    rows, shards, link = tmp_path / "rows.csv", tmp_path / "shards", tmp_path / "link.csv"
    frame[["a", "b"]].to_csv(rows, index=False)
    link.symlink_to(rows)
    shards.mkdir()
    (shards / "b.parquet").write_bytes(b"of which not even the footer is read")
    table = summary.rename(tmp_path / "table.npy")
    before = {path: path.read_bytes() for path in (rows, shards / "b.parquet", table)}
    build = ("build", "--budget", "2kB", "--out")
    for arguments in [
        (*build, rows, rows),
        (*build, link, rows),
        (*build, rows, link),
        (*build, shards / "b.parquet", shards),
        (*build, shards / "b.parquet", shards / "*.parquet"),
        (*build, shards / "b.parquet", f"file://{shards}"),
        ("decode", table, "--out", table),
    ]:
        assert run(*arguments) == 2, arguments
        assert "it is an input" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("inputs", "taken"),
    [
        ("~/s/*.parquet", "s/a.parquet"),  # of a home
        ("s/**.parquet", "s/deep/c.parquet"),
        ("s/*.parquet", "s/.hidden.parquet"),
        ("s/[ab].parquet", "s/a.parquet"),
        ("file://HOME/s/%61.parquet", "s/a.parquet"),
        ("file://HOME/s/*.parquet", "s/a.parquet"),
        ("s", "s/deep/c.parquet"),
    ],
)
def test_files_that_an_input_stands_for_are_never_written_over(tmp_path, monkeypatch, capsys, inputs, taken):
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s" / "deep").mkdir(parents=True)
    files = [Path("s", name) for name in ("a.parquet", ".hidden.parquet", "deep/c.parquet")]
    for file in files:
        pd.DataFrame({"a": [0.0, 1.0]}).to_parquet(file)
    before = [file.read_bytes() for file in files]
    assert run("build", inputs.replace("HOME", str(tmp_path)), "--budget", "2kB", "--out", taken) == 2
    assert f"{taken}: it is an input" in capsys.readouterr().err
    assert [file.read_bytes() for file in files] == before


def test_files_that_are_no_input_may_be_written_over(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three" / "_old").mkdir(parents=True)
    rows = pd.DataFrame({"a": [0.0, 1.0]})
    for file in ("three/a.parquet", "three/_old/o.parquet"):
        rows.to_parquet(file)
    rows.to_csv("~odd.csv", index=False)  # whose name is no user's
    build = ("--backend", "local", "--budget", "2kB", "--out")
    assert run("build", "three", *build, "three/_old/o.parquet") == 0
    assert run("build", "three/*e*", *build, "three/_old/o.parquet") == 0
    assert run("build", "~odd.csv", *build, "three/a.parquet") == 0


def test_bad_use_is_told_in_one_line(capsys):
    for arguments in ([], ["build"], ["build", "--seed", "x"], ["frobnicate"]):
        assert run(*arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("coreset: error: ")
        assert said.endswith("--help tells all)\n")
        assert said.count("\n") == 1


def test_a_column_without_a_name_is_pointed_out(tmp_path, frame, capsys):
    path = tmp_path / "rows.csv"
    frame[["a", "b"]].to_csv(path)  # with the index, as pandas does by itself
    assert run("build", path, "--budget", "2kB", "--out", tmp_path / "out.cset") == 0
    assert f"warning: {path}: 'Unnamed: 0' has no name and is taken for a feature" in capsys.readouterr().err
    labelled = ("--label", "Unnamed: 0", "--budget", "20kB", "--target", "numeric")
    assert run("build", path, *labelled, "--out", tmp_path / "out.cset") == 0
    assert "has no name" not in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"coreset-eval {version('coreset-eval')}\n"


def test_nothing_half_written_is_left(summary, tmp_path, monkeypatch, capsys):
    out = tmp_path / "table.csv"
    out.write_text("what was there")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    assert run("decode", summary, "--out", out) == 1
    assert "disk full" in capsys.readouterr().err
    assert out.read_text() == "what was there"
    assert {path.name for path in tmp_path.iterdir()} == {out.name, summary.name}


def test_a_name_that_to_frame_uses_itself_is_an_error(tmp_path, capsys):
    path = tmp_path / "named.cset"
    path.write_bytes(encode(Coreset([[1.0]], [1], feature_names=("weight",)), RoundingQuantizer(52)))
    assert run("decode", path, "--out", tmp_path / "t.csv") == 1
    assert "['weight']" in capsys.readouterr().err


def test_an_array_has_no_two_fields_of_a_name(tmp_path, capsys):
    path = tmp_path / "twice.cset"
    path.write_bytes(encode(Coreset([[1.0, 2.0]], [1], feature_names=("a", "a")), RoundingQuantizer(52)))
    assert run("decode", path, "--out", tmp_path / "t.npy") == 1
    assert "several columns are called 'a'" in capsys.readouterr().err


def test_the_command_as_a_process(summary, tmp_path):
    def process(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "coreset.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    done = process("inspect", summary)
    assert (done.returncode, done.stderr) == (0, "")
    broken = tmp_path / "broken.cset"
    broken.write_bytes(summary.read_bytes()[:-1])
    done = process("decode", broken, "--out", tmp_path / "t.csv")
    assert done.returncode == 1
    assert done.stderr.startswith(f"coreset: error: {broken}: message is truncated")
    script = (
        f"import sys; from coreset.cli import main; main(['inspect', {str(summary)!r}]); print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "False"
