"""A device that is told by tables of measurements."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from analog_eval.devices.power_law import PowerLawDevice

__all__ = ["TabulatedDevice"]

_COLUMNS = ("programming", "exponent_mean", "exponent_sd", "read_noise")


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class TabulatedDevice(PowerLawDevice):
    r"""A device of your own, by tables: its noise at some conductances, linear between them.

    Below the first and above the last conductance of the table the values there hold.

    Parameters
    ----------
    conductances : sequence of float, of length n
        Conductances that were measured, in uS, ascending, >= 0; at least one.
    programming : sequence of float, of length n
        Standard deviation of the programmed conductance, in uS, by the conductance aimed at.
    exponent_mean, exponent_sd : sequence of float, of length n, optional
        Mean and standard deviation of the drift exponent, by the conductance aimed at; default: 0, no drift.
    read_noise : sequence of float, of length n, optional
        Factor Q of the read noise, by the programmed conductance; default: 0, no read noise.
    g_max : float, optional
        Conductance of the greatest absolute weight of a tensor, in uS; default: the last of the table.
    g_min, significances
        See `Device`.
    t0 : float, default=20.0
        Time of the reading that the drift is measured against, in s.
    t_read : float, default=250e-9
        Duration of a reading, in s.
    programming_scale, drift_scale, read_scale
        See `PowerLawDevice`, which also has the formulas.

    Raises
    ------
    TypeError
        If a table does not hold numbers.
    ValueError
        If tables differ in length, `conductances` do not ascend, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> device = TabulatedDevice(conductances=(0.0, 50.0), programming=(0.5, 1.5))
    >>> device.g_max, device.programming_sd(np.array([25.0])).tolist()
    (50.0, [1.0])
    """

    conductances: tuple[float, ...]
    programming: tuple[float, ...]
    exponent_mean: tuple[float, ...] = ()
    exponent_sd: tuple[float, ...] = ()
    read_noise: tuple[float, ...] = ()
    g_max: float = float("nan")
    t0: float = 20.0
    t_read: float = 250e-9

    def __post_init__(self) -> None:
        grid = self._set("conductances", _numbers(self.conductances, "conductances"))
        if not grid or any(b <= a for a, b in pairwise(grid)):
            raise ValueError(f"conductances={grid} must ascend, and hold at least one")
        for name in _COLUMNS:
            column = self._set(name, _numbers(getattr(self, name), name) or (0.0,) * len(grid))
            if len(column) != len(grid):
                raise ValueError(f"{name} has {len(column)} entries, but conductances has {len(grid)}")
        if isinstance(self.g_max, float) and np.isnan(self.g_max):
            object.__setattr__(self, "g_max", grid[-1])
        super().__post_init__()

    def programming_sd(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of the programming noise, in uS, for targets in uS."""
        return np.interp(target, self.conductances, self.programming)

    def drift_exponent(self, target: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the drift exponent, for targets in uS."""
        mean, sd = (np.interp(target, self.conductances, column) for column in (self.exponent_mean, self.exponent_sd))
        return mean, sd

    def read_share(self, programmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor Q of the read noise, for programmed conductances in uS."""
        return np.interp(programmed, self.conductances, self.read_noise)

    def _set(self, name: str, values: tuple[float, ...]) -> tuple[float, ...]:
        # As tuples, so that equal tables are equal devices.
        object.__setattr__(self, name, values)
        return values


def _numbers(values: object, name: str) -> tuple[float, ...]:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold numbers, got {values!r}") from None
    if column.ndim != 1 or not np.isfinite(column).all() or (column < 0.0).any():
        raise ValueError(f"{name}={values!r} must be a list of finite numbers >= 0")
    return tuple(column.tolist())
