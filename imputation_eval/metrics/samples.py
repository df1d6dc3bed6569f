"""What every public metric checks of its two samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imputation_eval.encoding import encode_pair

_Array = NDArray[np.float64]
Sample = ArrayLike | pd.DataFrame


def check_samples(
    x: Sample, y: Sample, caller: str, *, least: int = 1, most: int | None = None, instead: str = ""
) -> tuple[_Array, _Array]:
    """Return both samples in one space; raise if one has fewer rows than ``least`` or more than ``most``."""
    a, b = encode_pair(x, y, ("x", "y"))
    if min(len(a), len(b)) < least:
        raise ValueError(f"{caller} needs at least {least} rows a side, got x with {len(a)} and y with {len(b)}.")
    if most is not None and max(len(a), len(b)) > most:
        raise ValueError(
            f"{caller} takes at most {most} rows a side, got x with {len(a)} and y with {len(b)}; "
            f"pass a random subsample, or use {instead}, which has no limit."
        )
    return a, b


def check_cells(x: Sample, y: Sample) -> tuple[_Array, _Array]:
    """Return paired values in one space; raise if there are more on one side."""
    a, b = encode_pair(x, y, ("x", "y"))
    if len(a) != len(b):
        raise ValueError(f"x and y should have as many rows, got {len(a)} and {len(b)}.")
    return a, b
