"""Streams from iterators of batches."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from .streams import assert_same, stream_of


def test_batches_from_an_iterator(rng, capsys):
    X, y, weights = rng.normal(size=(90, 2)), np.arange(90) % 3, rng.uniform(1, 2, 90)
    parts = [slice(0, 20), slice(20, 20), slice(20, 90)]
    batches = [lambda p: X[p], lambda p: (X[p], y[p]), lambda p: (X[p], y[p], weights[p])]
    for count, batch in enumerate(batches, 1):
        made = stream_of().fit_batches(batch(part) for part in parts).coreset_
        assert_same(made, stream_of().fit(*(X, y, weights)[:count]).coreset_)
    frames = pd.read_csv(io.StringIO("a,b\n" + "1,2\n3,4\n" * 30), chunksize=7)
    assert capsys.readouterr().err == ""
    stream = stream_of().fit_batches(frames, progress=True)
    assert stream.coreset_.feature_names == ("a", "b")
    # A leaf of 40 rows, of which two differ, and 20 rows.
    assert capsys.readouterr().err == "coreset: 60 rows from 9 batches, 22 held\n"


def test_a_parquet_file_is_read_as_its_docstring_says(rng, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pd.DataFrame(rng.normal(size=(1000, 3)).astype(np.float32), columns=["a", "b", "c"])
    table["class"] = rng.choice(["x", "y"], 1000)
    path = tmp_path / "rows.parquet"
    table.to_parquet(path)
    stream = stream_of(20, 100)
    frames = (batch.to_pandas() for batch in parquet.ParquetFile(path).iter_batches(batch_size=70))
    stream.fit_batches((frame.drop(columns="class"), frame["class"]) for frame in frames)
    whole = stream_of(20, 100).fit(table.drop(columns="class"), table["class"]).coreset_
    np.testing.assert_array_equal(stream.coreset_.points, whole.points)
    assert stream.coreset_.feature_names == ("a", "b", "c")
    assert set(stream.coreset_.labels) == {"x", "y"}


def test_bad_batches_are_numbered():
    with pytest.raises(ValueError, match="NaN") as caught:
        stream_of().fit_batches([[[1.0]], [[np.nan]]])
    assert caught.value.__notes__ == ["in batch 1 of fit_batches, counting from 0"]
    with pytest.raises(ValueError, match="batch has 4 parts"):
        stream_of().fit_batches([([[1.0]], [0], [1], [2])])
    for batches in ([], [np.empty((0, 2))]):
        with pytest.raises(ValueError, match="no row to summarise"):
            stream_of().fit_batches(batches)
    with pytest.raises(TypeError, match="batches is one table"):
        stream_of().fit_batches(np.eye(3))


@pytest.mark.parametrize(
    ("batches", "message"),
    [("rows.parquet", "batches is a path"), ([[np.ones((2, 1)), np.ones(2)]], "batch is a list of tables")],
)
def test_what_is_no_iterable_of_tables_is_named(batches, message):
    with pytest.raises(TypeError, match=message):
        stream_of().fit_batches(batches)
