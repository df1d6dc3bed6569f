"""What the ranking knows of a metric: how to call it and how to read its value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """How the ranking calls a metric and reads its value.

    Parameters
    ----------
    name : str
        What ``metrics=`` of :func:`~imputation_eval.rank_imputers` accepts.
    compute : callable (x, y, rng) -> float
        Takes what `prepare` made of one array of the encoded space, another array, and a generator.
    compares : {"samples", "cells"}
        ``"samples"``: `x` (n, n_features) holds true rows, `y` (m, n_features) imputed ones, of other rows.
        ``"cells"``: `x` and `y` (n_cells, width) hold the true and the imputed value of the same hidden cells.
    lower_is_better : bool
        Direction.
    truth_is_floor : bool
        Whether nothing can be expected to score better than the truth itself. True for unbiased estimates and for
        errors of cells; an estimate with a bias that depends on the candidate can favour one that is not the truth.
    note : str
        A caveat that reports repeat; may be empty.
    max_rows : int or None
        Most rows a side that `compute` takes.
    quadratic : bool
        Whether time grows with the square of the rows, or faster.
    prepare : callable (x) -> object
        Computes what comparisons of `x` with several `y` share; by default it returns `x`.
    """

    name: str
    compute: Callable[[Any, _Array, np.random.Generator], float]
    compares: Literal["samples", "cells"] = "samples"
    lower_is_better: bool = True
    truth_is_floor: bool = True
    note: str = ""
    max_rows: int | None = None
    quadratic: bool = False
    prepare: Callable[[_Array], Any] = np.asarray

    def between(self, x: _Array, y: _Array, rng: np.random.Generator) -> float:
        """Return the value for one pair of arrays."""
        return self.compute(self.prepare(x), y, rng)
