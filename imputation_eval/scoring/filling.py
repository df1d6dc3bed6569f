"""Where filled tables come from: an imputer that is run, or tables that were filled elsewhere."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from imputation_eval.imputers import ImputationError, impute


@dataclass(frozen=True, eq=False)
class GivenTables:
    """Filled tables in place of an imputer.

    Attributes
    ----------
    draws : tuple of DataFrame
        Complete tables, checked.
    failure : str or None
        Why they cannot be scored, if they break the contract of an imputer.
    """

    draws: tuple[pd.DataFrame, ...]
    failure: str | None = None


def count_draws(imputer: Any, n_draws: int) -> int:
    """Return how many draws of an imputer are scored."""
    return max(1, len(imputer.draws)) if isinstance(imputer, GivenTables) else n_draws


def fill(
    imputer: Any, df: pd.DataFrame, seed: int, draw: int, categorical: str | Iterable[Hashable]
) -> tuple[pd.DataFrame, float]:
    """Return a filled table and the seconds that it took, NaN if it was given."""
    if isinstance(imputer, GivenTables):
        if imputer.failure is not None:
            raise ImputationError(imputer.failure)
        return imputer.draws[draw], np.nan
    start = time.perf_counter()
    filled = impute(imputer, df, seed, categorical=categorical)
    return filled, time.perf_counter() - start
