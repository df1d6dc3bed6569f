"""What the pictures of columns and of rows show, as plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval.dissimilarity import nds
from imputation_eval.plots import Column
from imputation_eval.scoring import Example

_Array = NDArray[np.float64]


def columns_of(example: Example, name: str, worst_first: pd.Series) -> list[Column]:
    """Collect the imputed values of each column, and those that they should be like.

    Parameters
    ----------
    example : Example
    name : str
        The imputer.
    worst_first : Series
        How far the imputer is off in each column.
    """
    encoder = example.encoder
    observed = example.imputed if example.has_truth else ~example.imputed
    cells = zip(
        encoder.column_cells(example.observed, observed),
        encoder.column_cells(example.candidates[name], example.imputed),
        strict=True,
    )
    columns = {}
    for (j, there), (_, imputed) in cells:
        column = encoder.columns_[j]
        if len(imputed):
            values = [encoder.inverse_transform_column(column, block) for block in (there, imputed)]
            columns[column] = Column(str(column), values[0], values[1], encoder.levels(column))
    order = worst_first.sort_values(ascending=False, kind="stable").index
    return [columns[column] for column in order if column in columns]


def local_shares(example: Example, name: str) -> tuple[_Array, _Array]:
    """Return true rows of one half with imputed ones of the other, and the share of the latter around each row."""
    half = len(example.observed) // 2
    true, imputed = example.observed[:half], example.candidates[name][half : 2 * half]
    return np.vstack([true, imputed]), nds(true, imputed, random_state=0).local
