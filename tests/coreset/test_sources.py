"""Sources of shards, and shards that are odd: no rows, one row, other columns, unreadable."""

from __future__ import annotations

import builtins
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coreset import DistributedCoreset, decode
from coreset.ray_driver import hosting
from coreset.sources import ListSource, ParquetSource, Source, TableSource, as_source
from coreset.sources.arrow import table_of
from coreset.sources.paths import _filesystem

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def local(budget: int = 4000, **parameters: Any) -> DistributedCoreset:
    settings = {"planner": "eigenvalue", "progress": False, "random_state": 0, **parameters}
    return DistributedCoreset(budget, backend="local", **settings)


def frame(rng: np.random.Generator, n_rows: int = 60) -> pd.DataFrame:
    rows = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=["a", "b", "c"])
    return rows.assign(label=np.where(rows["a"] > 0, "up", "down"), mass=1.0 + np.arange(n_rows) % 2)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Three files of 60 rows, one of them in a folder below, and files that are no data."""
    (tmp_path / "below").mkdir()
    (tmp_path / "_temporary").mkdir()
    for path in ("part-0.parquet", "part-1.parquet", "below/part-2.parquet", "_temporary/half.parquet"):
        frame(rng).to_parquet(tmp_path / path, row_group_size=20)
    (tmp_path / "_SUCCESS").write_text("")
    return tmp_path


def names(source: Source, folder: Path) -> list[str]:
    return [source.name(i).replace(f"{folder}/", "") for i in range(len(source))]


def test_folders_globs_lists_and_uris_name_the_same_files(folder):
    below, *top = [f"shard {i} ({path})" for i, path in ((0, "below/part-2.parquet"), (1, "part-0.parquet"))]
    assert names(as_source(folder), folder) == [below, *top, "shard 2 (part-1.parquet)"]
    flat = ["shard 0 (part-0.parquet)", "shard 1 (part-1.parquet)"]
    for paths in (
        folder / "*.parquet",
        f"{folder}/part-?.parquet",
        f"file://{folder}/part-[!2-9].parquet",
        [f"file://{folder}/part-0.parquet", folder / "part-1.parquet"],
    ):
        assert names(as_source(paths), folder) == flat
    assert len(as_source(f"{folder}/**/part-*.parquet")) == 3
    assert names(as_source([folder / "part-1.parquet", folder / "part-0.parquet"]), folder)[0].endswith("1.parquet)")


def test_paths_may_be_relative_to_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    source = as_source("part-*.parquet")
    monkeypatch.chdir("/")
    assert len(source.loader(1)()[0]) == 60


def test_a_file_alone_is_cut_at_its_row_groups(folder):
    source = as_source(folder / "part-0.parquet")
    assert names(source, folder) == [f"shard {i} (part-0.parquet, row group {i})" for i in range(3)]
    whole = pd.read_parquet(folder / "part-0.parquet")
    read = pd.concat([source.loader(i)()[0] for i in range(3)], ignore_index=True)
    pd.testing.assert_frame_equal(read, whole)
    assert len(ParquetSource(folder / "part-0.parquet", shards="file")) == 1
    assert len(ParquetSource(folder, shards="row_group")) == 9


def test_parquet_gives_the_bytes_of_its_frames(folder):
    run = local(label_column="label", weight_column="mass")
    read = run.fit(folder / "*.parquet")
    frames = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    messages, plan = read.messages_, read.plan_
    assert messages == run.fit(frames).messages_
    assert run.coreset_.total_weight == pytest.approx(180)
    assert set(run.coreset_.labels) == {"up", "down"}
    assert plan["name"][1] == f"shard 1 ({folder}/part-1.parquet)"


def test_loaders_can_be_pickled_and_called_again(folder, rng):
    X = rng.normal(size=(5, 2))
    for source in (as_source(folder), ListSource([X, X], [np.arange(5)] * 2), TableSource(X)):
        loader = pickle.loads(pickle.dumps(source.loader(0)))
        first, again = loader(), loader()
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_columns_of_vectors_become_columns(tmp_path, rng):
    X = rng.normal(size=(50, 4)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4)
    table = pa.table({"v": vectors, "label": np.arange(50) % 2})
    pq.write_table(table, tmp_path / "vectors.parquet", row_group_size=20)
    fitted = local(label_column="label").fit(tmp_path / "vectors.parquet")
    assert fitted.coreset_.feature_names == ("v[0]", "v[1]", "v[2]", "v[3]")
    np.testing.assert_array_equal(table_of(table.slice(7, 9)).iloc[:, :4], X[7:16])
    missing = pa.table({"v": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2))})
    with pytest.raises(ValueError, match="column 'v' lacks 1 of its 2 vectors"):
        table_of(missing)
    assert len(table_of(table.slice(0, 0))) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("/no/such/file.parquet",), FileNotFoundError, "X='/no/such/file.parquet': there is no such file"),
        (("/no/such/*.parquet",), FileNotFoundError, "no file fits it"),
        (("carrier-pigeon://loft/a.parquet",), ValueError, "pyarrow has no filesystem for it"),
        ((["a.parquet", np.eye(2)],), TypeError, r"X\[1\] is a ndarray, X\[0\] says that X holds paths"),
        (([np.eye(2), "a.parquet"],), TypeError, r"X\[1\] is a str, X\[0\] says that X holds tables"),
        (([np.eye(2), None],), TypeError, r"X\[1\] is a NoneType"),
        (("a.parquet", [1, 2]), TypeError, "X is a path, so y must be one of its columns: set label_column"),
        (("a.parquet", None, [1]), TypeError, "sample_weight must be one of its columns: set weight_column"),
    ],
)
def test_what_is_no_source_is_named(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.eye(2))
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(error, match=message):
        as_source(*arguments)


def test_queries_of_uris_reach_the_filesystem():
    fs = pytest.importorskip("pyarrow.fs")
    if not hasattr(fs, "S3FileSystem"):
        pytest.skip("this pyarrow knows no S3")
    for path, inside in (("rows/*.parquet", "bucket/rows/*.parquet"), ("a.parquet", "bucket/a.parquet")):
        found, rest = _filesystem(f"s3://bucket/{path}?region=eu-west-1&endpoint_override=127.0.0.1:9")
        assert (found.region, rest) == ("eu-west-1", inside)


def test_brackets_may_be_part_of_a_name(folder):
    (folder / "part-0.parquet").rename(folder / "part[0].parquet")
    assert "part[0].parquet" in as_source(folder / "part[0].parquet").name(0)
    assert "part-1.parquet" in as_source(folder / "part[-]1.parquet").name(0)


def test_a_source_without_shards_is_an_error(folder):
    source = as_source(folder)
    source.shards = []  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="X is a Source without shards"):
        local().fit(source)


def test_parameters_of_parquet_are_checked(tmp_path):
    with pytest.raises(ValueError, match="shards='rows' must be 'auto', 'file' or 'row_group'"):
        ParquetSource(tmp_path, shards="rows")
    with pytest.raises(ValueError, match="paths is an empty list"):
        ParquetSource([])
    with pytest.raises(TypeError, match=r"paths\[0\] is a int"):
        ParquetSource([3])
    with pytest.raises(FileNotFoundError, match=r"no file in this folder that ends in \.parquet or \.pq"):
        ParquetSource(tmp_path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path):
    script = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name == "pyarrow":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Missing())
from coreset.sources import as_source
as_source("rows.parquet")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "ImportError: parquet files need pyarrow: pip install 'coreset-eval[parquet]'" in done.stderr


def test_a_file_that_is_no_parquet_is_named_or_left_out(folder):
    (folder / "part-1.parquet").write_bytes(b"not a table")
    broken = rf"shard 1 \({folder}/part-1.parquet\) cannot be read: ArrowInvalid: "
    with pytest.raises(ValueError, match=broken):
        local(label_column="label").fit(folder / "*.parquet")
    run = local(label_column="label", on_shard_error="skip")
    with pytest.warns(UserWarning, match=f"1 of 2 shards are left out of the summary: {broken}"):
        run.fit(folder / "*.parquet")
    assert run.skipped_["shard"].tolist() == [1]
    assert run.skipped_["name"].tolist() == [f"shard 1 ({folder}/part-1.parquet)"]
    assert "ArrowInvalid" in run.skipped_["reason"][0]
    assert run.coreset_.n_source == 60
    assert run.messages_[1] == b""
    assert run.plan_["message_bytes"][1] == 0


def test_a_file_that_vanishes_is_named(folder):
    source = as_source(folder / "*.parquet")
    os.remove(folder / "part-0.parquet")
    with pytest.raises(FileNotFoundError, match=r"shard 0 .*part-0\.parquet.* cannot be read: FileNotFoundError"):
        local(label_column="label").fit(source)


def test_shards_with_bad_values_can_be_left_out_but_not_all(rng):
    good, bad = rng.normal(size=(40, 3)), np.full((4, 3), np.nan)
    run = local(on_shard_error="skip")
    with pytest.warns(UserWarning, match="2 of 3 shards are left out.*shard 0: Input X contains NaN.*shard 2: "):
        run.fit([bad, good, bad])
    alone = decode(run.messages_[1])
    assert alone.n_source == run.coreset_.n_source == 40
    assert run.ledger_["node"].unique().tolist() == [1]
    with pytest.raises(ValueError, match="none of the 2 shards can be read; shard 0: Input X contains NaN"):
        run.fit([bad, bad])
    with pytest.raises(ValueError, match="on_shard_error='ignore' must be 'raise' or 'skip'"):
        local(on_shard_error="ignore").fit([good])


@pytest.mark.parametrize("budget", [900, 9000])  # without and with statistics
def test_names_of_columns_travel_when_the_first_shard_takes_no_part(rng, budget):
    frames = [frame(rng).iloc[:0, :3], frame(rng)[["a", "b", "c"]], frame(rng)[["a", "b", "c"]]]
    assert local(budget).fit(frames).coreset_.feature_names == ("a", "b", "c")


def test_shards_without_rows_send_nothing(rng):
    X = [np.empty((0, 3)), rng.normal(size=(50, 3)), np.empty((0, 7)), rng.normal(size=(1, 3))]
    run = local().fit(X)
    assert [len(message) > 0 for message in run.messages_] == [False, True, False, True]
    assert run.coreset_.total_weight == pytest.approx(51)
    assert run.plan_["n_points"].tolist()[::2] == [0, 0]
    assert run.skipped_.empty
    assert decode(b"".join(run.messages_)).n_source == 51
    with pytest.raises(ValueError, match="no shard has rows of positive weight; empty: shard 0, shard 1"):
        run.fit([X[0], X[2]])


@pytest.mark.parametrize("labels", [None, [np.array([j % 2]) for j in range(4)], [np.array([j / 3]) for j in range(4)]])
def test_shards_of_one_row_each(rng, labels):
    X = [rng.normal(size=(1, 2)) for _ in range(4)]
    fitted = local(2000).fit(X, labels)
    assert fitted.coreset_.n_source == 4
    assert fitted.coreset_.total_weight == pytest.approx(4)


@pytest.mark.parametrize("budget", [400, 9000])  # without and with statistics
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": "d"}, "shard 1 has other column names than shard 0: it lacks 'c', it alone has 'd'"),
        ({"a": "b", "b": "a"}, "shard 1 has other column names than shard 0: column 0 is 'b' instead of 'a'"),
    ],
)
def test_columns_that_differ_are_named(rng, budget, change, message):
    table = frame(rng)[["a", "b", "c"]]
    with pytest.raises(ValueError, match=message):
        local(budget).fit([table, table.rename(columns=change)])


def test_a_column_too_few_and_a_column_of_text_are_named(rng):
    table = frame(rng)[["a", "b", "c"]]
    for budget in (400, 9000):
        with pytest.raises(ValueError, match="shard 1 has 2 columns, shard 0 has 3: it lacks 'b'"):
            local(budget).fit([table, table[["a", "c"]]])
    with pytest.raises(ValueError, match=r"shard 1: column 'b' of dtype \w+ does not hold numbers: .*'high'"):
        local().fit([table, table.assign(b="high")])
    for values in (pd.date_range("2026", periods=60), np.arange(60) * 1j):
        with pytest.raises(ValueError, match=r"shard 1: column 'c' of dtype [\w\[\]]+ does not hold numbers$"):
            local().fit([table, table.assign(c=values)])
    for values, said in (
        (np.r_[np.ones(59), np.nan], r"Input X contains NaN \(first in column 'c'\)"),
        (pd.array([1, None] * 30, dtype="Int64"), "column 'c' of dtype Int64 holds NA in 30 of 60 rows"),
    ):
        with pytest.raises(ValueError, match=f"shard 1: {said}$"):
            local().fit([table, table.assign(c=values)])
    narrow = table.astype({"a": np.float32, "b": np.float64})
    assert local().fit([table, narrow]).coreset_.n_source == 120  # numbers of any width fit each other


def test_labels_of_other_types_are_named(rng):
    X = [rng.normal(size=(30, 2)) for _ in range(2)]
    with pytest.raises(ValueError, match="shard 1 has labels of type str, shard 0 of type int"):
        local().fit(X, [np.arange(30) % 2, np.array(["u", "v"] * 15)])
    for present, absent in ((0, 1), (1, 0)):
        labels = [None, None]
        labels[present] = np.arange(30) % 2
        with pytest.raises(ValueError, match=f"shard {present} has labels, shard {absent} has none"):
            local().fit(X, labels)


class Broken(ListSource):
    """Loaders that give something else than a shard."""

    def __init__(self, X: list[np.ndarray], given: Any) -> None:
        super().__init__(X)
        self.given = given

    def loader(self, shard: int) -> Any:
        return (lambda: self.given) if shard else super().loader(shard)


@pytest.mark.parametrize("given", [None, (1, 2), (np.float64(3), None, None), ("rows", None, None)])
def test_a_loader_that_gives_no_shard_is_named(given):
    with pytest.raises((ValueError, TypeError), match="shard 1"):
        local().fit(Broken([np.eye(3), np.eye(3)], given))


def test_rows_that_a_host_cannot_keep_are_loaded_again(rng, monkeypatch):
    loads: list[int] = []

    class Counted(ListSource):
        def loader(self, shard: int) -> Any:
            def load() -> Any:
                loads.append(shard)
                return self.shards[shard]

            return load

    source = Counted([rng.normal(size=(50, 3)) for _ in range(3)])
    expected = local().fit(source).messages_
    assert loads == [0, 1, 2]
    monkeypatch.setattr(hosting, "_KEPT_BYTES", 50 * 3 * 8)  # the rows of one shard
    assert local().fit(source).messages_ == expected
    assert loads[3:] == [0, 1, 2, 1, 2, 1, 2]


def test_no_result_is_left_of_an_earlier_run(rng):
    run = local().fit([rng.normal(size=(30, 2))])
    with pytest.raises(ValueError, match="NaN"):
        run.fit([np.full((3, 2), np.nan)])
    assert not [name for name in vars(run) if name.endswith("_")]


def test_data_of_files_are_not_read_where_the_source_is_made(folder, monkeypatch):
    def refuse(*arguments: Any, **keywords: Any) -> None:
        raise AssertionError("a table was read")

    monkeypatch.setattr(pq.ParquetFile, "read", refuse)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", refuse)
    monkeypatch.setattr(builtins, "open", refuse)
    assert len(as_source(folder / "part-0.parquet")) == 3
