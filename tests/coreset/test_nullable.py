"""Columns of nullable types are numbers as long as they lack none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coreset import BudgetedCoreset, DistributedCoreset, StreamingCoreset
from coreset.cli import main
from coreset.columns import plain_columns


@pytest.fixture
def plain(rng) -> pd.DataFrame:
    counts = rng.integers(-9, 9, 200)
    return pd.DataFrame({"n": counts.astype(np.int16), "x": rng.normal(size=200), "b": counts > 0})


@pytest.fixture
def nullable(plain) -> pd.DataFrame:
    return plain.astype({"n": "Int16", "x": "Float64", "b": "boolean"})


def local(**parameters: object) -> DistributedCoreset:
    return DistributedCoreset(2000, backend="local", progress=False, random_state=0, **parameters)  # type: ignore[arg-type]


def test_they_give_the_bytes_of_plain_columns(plain, nullable):
    budgeted = BudgetedCoreset(900, random_state=0)
    assert budgeted.fit(nullable).message_ == budgeted.fit(plain).message_
    assert local().fit([nullable]).messages_ == local().fit([plain]).messages_
    labels, weights = plain["n"] % 3, plain["n"].abs() + 1
    ours = nullable.assign(y=labels.astype("Int8"), w=weights.astype("Float32"))
    theirs = plain.assign(y=labels, w=weights)
    columns = {"label_column": "y", "weight_column": "w"}
    assert local(**columns).fit([ours]).messages_ == local(**columns).fit([theirs]).messages_


def test_numbers_of_arrow_are_numbers(plain):
    pytest.importorskip("pyarrow")
    arrow = plain.convert_dtypes(dtype_backend="pyarrow")
    assert [dtype.kind for dtype in plain_columns(arrow).dtypes] == ["i", "f", "b"]
    np.testing.assert_array_equal(plain_columns(arrow).to_numpy(float), plain.to_numpy(float))


def test_one_that_lacks_numbers_is_named(nullable):
    nullable.loc[[3, 8], "b"] = pd.NA
    said = "column 'b' of dtype boolean holds NA in 2 of 200 rows"
    with pytest.raises(ValueError, match=f"shard 0: {said}"):
        local().fit([nullable])
    for estimator in (BudgetedCoreset(900), StreamingCoreset()):
        with pytest.raises(ValueError, match=said):
            estimator.fit(nullable)


def test_labels_and_weights_that_are_missing_are_counted(nullable):
    for argument in ("label_column", "weight_column"):
        frame = nullable.assign(c=pd.array([1, 2, None, 1] * 50, dtype="Int64"))
        with pytest.raises(ValueError, match=f"shard 0: {argument}='c' is missing in 50 of 200 rows"):
            local(**{argument: "c"}).fit([frame])


def test_frames_without_such_columns_are_passed_on_and_names_may_repeat(plain, nullable):
    assert plain_columns(plain) is plain
    assert plain_columns(plain.to_numpy()).shape == (200, 3)
    nullable.columns = pd.Index(["same", "same", "other"])
    assert plain_columns(nullable).columns.tolist() == ["same", "same", "other"]


def test_the_command_takes_them_from_files_that_it_reads_itself(tmp_path, nullable, capsys):
    pytest.importorskip("pyarrow")
    files, out = [tmp_path / "0.parquet", tmp_path / "1.csv"], tmp_path / "s.cset"
    nullable.to_parquet(files[0])
    nullable.to_csv(files[1], index=False)
    assert main(["build", *map(str, files), "--budget", "4KiB", "--out", str(out)]) == 0
    nullable.loc[[3, 8], "n"] = pd.NA
    nullable.to_parquet(files[0])
    assert main(["build", *map(str, files), "--budget", "4KiB", "--out", str(out)]) == 1
    assert f"{files[0]}: column 'n' of dtype Int16 holds NA in 2 of 200 rows" in capsys.readouterr().err
