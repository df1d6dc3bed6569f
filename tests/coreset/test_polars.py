"""Frames of polars: names and types of columns are kept, as with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coreset import BudgetedCoreset, DistributedCoreset, RobustCoreset, UniformCoreset

pl = pytest.importorskip("polars")


@pytest.fixture
def columns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.normal(size=300).astype(np.float32) for name in ("height", "width")}


@pytest.mark.parametrize("base", [RobustCoreset(20, random_state=0), UniformCoreset(20, random_state=0)])
@pytest.mark.parametrize("values", [np.resize([0, 1, 2], 300), np.resize(["a", "b"], 300), np.linspace(0, 1, 300)])
def test_frames_and_series_give_the_same_as_those_of_pandas(columns, base, values):
    weights = np.linspace(1, 2, 300)
    ours = base.fit(pl.DataFrame(columns), pl.Series(values.tolist()), pl.Series(weights)).coreset_
    theirs = base.fit(pd.DataFrame(columns), pd.Series(values), pd.Series(weights)).coreset_
    for name in ("points", "weights", "labels"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert (ours.feature_names, ours.source_dtype) == (("height", "width"), np.float32)
    assert ours.target_type == theirs.target_type


def test_categories_and_missing_values(columns):
    frame = pl.DataFrame(columns)
    labels = pl.Series(["x", "y"] * 150, dtype=pl.Categorical)
    assert set(RobustCoreset(20).fit(frame, labels).coreset_.labels) == {"x", "y"}
    with pytest.raises(ValueError, match="y contains NaN"):
        RobustCoreset(20).fit(frame, pl.Series([1, None] * 150))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        RobustCoreset(20).fit(frame.with_columns(height=pl.Series([1.0, None] * 150)))


def test_budgets_and_shards(columns):
    frame, pandas = pl.DataFrame(columns), pd.DataFrame(columns)
    target = np.linspace(0, 1, 300)
    budgeted = BudgetedCoreset(400, random_state=0)
    assert budgeted.fit(frame, pl.Series(target)).message_ == budgeted.fit(pandas, target).message_
    run = DistributedCoreset(900, backend="local", progress=False, random_state=0, label_column="y")
    ours = run.fit([frame.with_columns(y=pl.Series(target))] * 2).messages_
    assert ours == run.fit([pandas.assign(y=target)] * 2).messages_
    one_table = run.set_params(label_column=None)
    assert one_table.fit(frame, pl.Series(target)).messages_ == one_table.fit(pandas, target).messages_
