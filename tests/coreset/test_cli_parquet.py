"""The command on parquet files: workers read them, this process does not, and errors name file and option."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coreset import DistributedCoreset, accounting, decode
from coreset.cli import main, parse_budget
from coreset.cli.reading import read
from coreset.sources import ParquetSource, parquet_raw_bytes

pytestmark = pytest.mark.ray

parquet = pytest.importorskip("pyarrow.parquet")


def run(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)


@pytest.fixture
def files(tmp_path, rng) -> list[Path]:
    """Three files of 200 rows."""
    paths = []
    for number in range(3):
        frame = pd.DataFrame(rng.normal(size=(200, 3)).astype(np.float32), columns=["a", "b", "c"])
        paths.append(tmp_path / f"rows-{number}.parquet")
        frame.assign(y=np.resize(["u", "v"], 200), w=rng.integers(1, 4, 200)).to_parquet(paths[-1])
    return paths


COLUMNS = ("--label", "y", "--weight", "w", "--budget", "3KiB")


def test_files_folders_and_patterns_give_the_bytes_of_the_library(files, tmp_path):
    out = tmp_path / "s.cset"
    expected = DistributedCoreset(
        3072, backend="local", label_column="y", weight_column="w", progress=False, random_state=0
    ).fit(files)
    for inputs in (files, [tmp_path], [tmp_path / "rows-*.parquet"], [f"file://{tmp_path}"]):
        assert run("build", *inputs, *COLUMNS, "--out", out, "--backend", "local") == 0
        assert out.read_bytes() == b"".join(expected.messages_)
    assert sorted(os.listdir(tmp_path)) == [*sorted(path.name for path in files), out.name]


def test_one_file_is_cut_at_its_row_groups_and_needs_no_ray(files, tmp_path, monkeypatch):
    one, out = tmp_path / "one.parquet", tmp_path / "s.cset"
    pd.read_parquet(files[0]).to_parquet(one, row_group_size=50)
    assert run("build", one, *COLUMNS, "--out", out, "--backend", "local") == 0
    assert [part.n_source for part in accounting(out.read_bytes()).messages] == [50] * 4
    monkeypatch.setitem(sys.modules, "ray", None)  # its import would fail
    assert run("build", files[0], *COLUMNS, "--out", out) == 0


def test_without_ray_shards_are_read_here_and_that_is_said(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("build", *files, *COLUMNS, "--out", tmp_path / "s.cset") == 0
    assert "ray is not installed" in capsys.readouterr().err


def test_shares_of_the_raw_data_are_known_from_footers(files, tmp_path, rng):
    out = tmp_path / "s.cset"
    assert (
        run("build", *files, "--label", "y", "--weight", "w", "--budget", "25%", "--out", out, "--backend", "local")
        == 0
    )
    told = accounting(out.read_bytes())
    assert told.raw_bytes == 600 * (3 * 4 + 1) == parquet_raw_bytes(ParquetSource(files), "y", "w")
    assert told.message_bytes <= 0.25 * told.raw_bytes
    # Vectors, nullable columns, a target, and an index that is no column.
    pa = pytest.importorskip("pyarrow")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(20, np.float32)), 4)
    parquet.write_table(pa.table({"v": vectors, "n": pa.array(range(5), pa.int16())}), tmp_path / "v.parquet")
    assert parquet_raw_bytes(ParquetSource(tmp_path / "v.parquet")) == 5 * 5 * 4
    frame = pd.DataFrame({"n": pd.array([1, 2, 3], dtype="Int16"), "t": [0.5, 1.5, 2.5]}, index=["x", "y", "z"])
    frame.to_parquet(tmp_path / "n.parquet")
    assert parquet_raw_bytes(ParquetSource(tmp_path / "n.parquet"), "t") == 3 * (2 + 8)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(("target", "target_bytes"), [("auto", 1), ("class", 1), ("numeric", 8)])
def test_shares_count_a_target_as_it_is_taken(tmp_path, rng, suffix, target, target_bytes):
    frame = pd.DataFrame(rng.normal(size=(600, 3)), columns=["a", "b", "c"]).assign(y=rng.integers(0, 9, 600))
    rows, out = tmp_path / f"rows.{suffix}", tmp_path / "s.cset"
    frame.to_parquet(rows) if suffix == "parquet" else frame.to_csv(rows, index=False)
    run("build", rows, "--label", "y", "--target", target, "--budget", "10%", "--out", out, "--backend", "local")
    n_raw_bytes = 600 * (3 * 8 + target_bytes)
    assert accounting(out.read_bytes()).raw_bytes == n_raw_bytes
    assert parse_budget("10%", read([str(rows)], "y", None, target).raw_bytes) == n_raw_bytes // 10


def test_a_target_of_whole_numbers_can_be_numeric(files, tmp_path):
    out = tmp_path / "s.cset"
    arguments = ("--label", "w", "--budget", "3KiB", "--out", out, "--backend", "local")
    for path in files:
        pd.read_parquet(path).drop(columns="y").to_parquet(path)
    assert run("build", *files, *arguments) == 0
    assert decode(out.read_bytes()).target_type == "class"
    assert run("build", *files, *arguments, "--target", "numeric") == 0
    assert decode(out.read_bytes()).target_type == "numeric"


def test_traffic_is_counted_where_it_is_asked_for(files, tmp_path, capsys):
    assert run("build", *files, *COLUMNS, "--out", tmp_path / "s.cset", "--backend", "local", "--fedavg-rounds", 7) == 0
    said = capsys.readouterr().err
    # Three columns and an intercept, two classes, three nodes, both ways.
    assert "federated averaging, 7 rounds" in said
    assert f"{7 * (3 + 1) * 2 * 4 * 3 * 2:,}" in said
    unlabelled = ("--budget", "3KiB", "--out", tmp_path / "s.cset", "--backend", "local", "--fedavg-rounds", 7)
    for path in files:
        pd.read_parquet(path).drop(columns="y").to_parquet(path)
    assert run("build", *files, *unlabelled) == 2  # before any work
    assert "--fedavg-rounds needs --label" in capsys.readouterr().err
    assert run("build", *files, *unlabelled, "--fedavg-parameters", 1000) == 0
    assert f"{7 * 1000 * 4 * 3:,}" in capsys.readouterr().err
    assert run("build", *files, *unlabelled[:-2], "--fedavg-parameters", 1000) == 2


def test_errors_are_one_line_and_leave_no_file(files, tmp_path, capsys):
    out = tmp_path / "s.cset"
    frame = pd.read_parquet(files[0])
    bad = {name: tmp_path / f"{name}.parquet" for name in ("other", "garbled", "text", "holes", "nullable", "fraction")}
    frame.rename(columns={"b": "z"}).to_parquet(bad["other"])
    bad["garbled"].write_bytes(b"PAR1 and no more")
    frame.assign(a="word").to_parquet(bad["text"])
    frame.assign(b=frame["b"].where(frame["b"] < 1)).to_parquet(bad["holes"])
    frame.assign(b=pd.array([1, None] * 100, dtype="Int64")).to_parquet(bad["nullable"])
    frame.assign(y=np.where(frame["a"] > 1, None, frame["y"])).to_parquet(bad["fraction"])
    for code, said, *arguments in [
        (1, "--label 'sort' is none of the columns ['a', 'b', 'c', 'y', 'w']", *files, *COLUMNS, "--label", "sort"),
        (1, "other.parquet) has other column names than shard 0", files[0], bad["other"], *COLUMNS),
        (1, "it lacks 'b', it alone has 'z'", files[0], bad["other"], *COLUMNS),
        (1, "garbled.parquet) cannot be read: ArrowInvalid", files[0], bad["garbled"], *COLUMNS),
        (1, "garbled.parquet) cannot be read", files[0], bad["garbled"], *COLUMNS, "--budget", "1%"),
        (1, "does not hold numbers", bad["text"], *COLUMNS),
        (1, "contains NaN (first in column 'b')", bad["holes"], *COLUMNS),
        (1, "column 'b' of dtype Int64 holds NA in 100 of 200 rows", bad["nullable"], *COLUMNS),
        (1, "--label 'y' is missing in", bad["fraction"], *COLUMNS),
        (1, "--budget is too small: shard 0 (", *files, *COLUMNS, "--budget", 20),
        (1, ") got 6 bytes of it, and the smallest message", *files, *COLUMNS, "--budget", 20),
        (1, "--budget 2 is too small for 3 shards", *files, *COLUMNS, "--budget", 2),
        (1, "less than a byte", *files, *COLUMNS, "--budget", "0.001%"),
        (2, "none-*.parquet: no file fits it", tmp_path / "none-*.parquet", *COLUMNS),
        (2, "none.parquet: there is no such file", tmp_path / "none.parquet", *COLUMNS),
        (2, "pyarrow has no filesystem", "nowhere://bucket/rows", *COLUMNS),
        (2, "--label and --weight are both 'a'", *files, "--budget", "9kB", "--label", "a", "--weight", "a"),
    ]:
        assert run("build", *arguments, "--out", out, "--backend", "local") == code, arguments
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if line.startswith("coreset: error: ")]
        assert len(errors) == 1, captured.err
        assert said in errors[0]
        assert captured.err.splitlines()[-1] == errors[0]
        assert not [path for path in os.listdir(tmp_path) if not path.endswith(".parquet")]


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coreset.cli", *map(str, arguments)]
    inherited = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=110, env=inherited)


def test_shards_that_are_left_out_are_a_warning(files, tmp_path):
    files[1].write_bytes(b"no parquet")
    out = tmp_path / "s.cset"
    done = process("build", *files, *COLUMNS, "--out", out, "--backend", "local", "--on-shard-error", "skip")
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stderr.splitlines() if line.startswith("coreset: warning: ")]
    assert len(warned) == 1
    assert "1 of 3 shards are left out" in warned[0]
    assert decode(out.read_bytes()).n_source == 400


@pytest.mark.filterwarnings("always:1 of 3 shards")
def test_labels_are_judged_where_shards_are_read_not_where_bytes_are_counted(files, tmp_path, capsys):
    words, out = files[1], tmp_path / "s.cset"
    for path in files:
        if path != words:
            pd.read_parquet(path).assign(y=0.5).to_parquet(path)
    arguments = ("--label", "y", "--target", "numeric", "--budget", "50%", "--out", out, "--backend", "local")
    assert run("build", *files, *arguments) == 1
    assert f"{words}): y holds strings" in capsys.readouterr().err
    assert run("build", *files, *arguments, "--on-shard-error", "skip") == 0
    assert decode(out.read_bytes()).n_source == 400


def test_a_cluster_that_does_not_answer_is_bad_use(files, tmp_path):
    pytest.importorskip("ray")
    for said, extra, environment in [
        ("--address '127.0.0.1:9'", ("--address", "127.0.0.1:9"), {}),
        ("RAY_ADDRESS='127.0.0.1:9'", ("--backend", "ray"), {"RAY_ADDRESS": "127.0.0.1:9"}),
    ]:
        done = process("build", *files, *COLUMNS, "--out", tmp_path / "s.cset", *extra, **environment)
        assert done.returncode == 2
        assert done.stderr.startswith(f"coreset: error: {said}")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "s.cset").exists()


@pytest.mark.usefixtures("cluster")
@pytest.mark.timeout(300)
def test_several_files_go_to_actors_of_the_cluster_as_paths(files, tmp_path, monkeypatch, capsys):
    import ray

    here, there, joined = (tmp_path / name for name in ("here.cset", "there.cset", "joined.cset"))
    assert run("build", *files, *COLUMNS, "--out", here, "--backend", "local") == 0
    address = ray.get_runtime_context().gcs_address
    done = process("build", *files, *COLUMNS, "--out", joined, "--address", address)
    assert done.returncode == 0, done.stderr

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the driver reads rows")

    for name in ("read", "read_row_group", "iter_batches"):
        monkeypatch.setattr(parquet.ParquetFile, name, refuse)
    assert run("build", *files, *COLUMNS, "--out", there) == 0, capsys.readouterr().err
    assert here.read_bytes() == there.read_bytes() == joined.read_bytes()
    assert ray.is_initialized()  # a cluster that was there is left as it was
