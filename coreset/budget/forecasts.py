"""What a planner says of its candidates, as plain data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from ..construction import Rows
from ..quantizers import Quantizer
from ..wire import Draft
from .building import Builder


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be planned.

    Parameters
    ----------
    builder : Builder
        Of all rows.
    measured : Rows
        The same rows; a numeric target has the scale with which it counts in errors.
    quantizers : sequence of Quantizer
    budget : int
    rng : numpy.random.Generator
    """

    builder: Builder
    measured: Rows
    quantizers: Sequence[Quantizer]
    budget: int
    rng: np.random.Generator


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a codec is thought to reach within the budget.

    Parameters
    ----------
    n_points : int
        0 when it fits none (or not one a class).
    message_bytes : int
    measured : bool
        Whether the bytes are those of an encoded message.
    cell_error, quantization_error, error : float
        Of the points, of their rounding, and of both.
    note : str
    tried : bool
        Whether the codec may be chosen; others are known to do worse.
    filled : Draft, optional
        The largest coreset of all rows that fits, when it was built already.
    near : Draft, optional
        One of all rows that is about as large.
    """

    n_points: int
    message_bytes: int
    measured: bool
    cell_error: float
    quantization_error: float
    error: float
    note: str = ""
    tried: bool = True
    filled: Draft | None = None
    near: Draft | None = None

    @property
    def fits(self) -> bool:
        """Whether any point does."""
        return self.n_points > 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a planner found.

    Parameters
    ----------
    forecasts : list of Forecast
        One a codec.
    measure : str
        What the errors are, to be read after "Errors are".
    remark : str
        What else a reader should know, as whole sentences.
    error_of : callable, optional
        The error of a message of all rows, where forecasts are extrapolated.
    """

    forecasts: list[Forecast]
    measure: str
    remark: str = ""
    error_of: Callable[[Draft], float] | None = None


def nothing_fits(note: str = "fits no point") -> Forecast:
    """The forecast of a codec that fits no point, or not one a class."""
    return Forecast(0, 0, False, math.nan, math.nan, math.nan, note)
