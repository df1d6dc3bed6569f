"""Devices that no longer answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from analog_eval.noise.base import WeightNoise, check_level

__all__ = ["StuckDevices"]

StuckAt: TypeAlias = Literal["zero", "absmax", "mixed"]

# Share of the stuck weights that are at 0; the others are at either end.
_AT_ZERO: dict[str, float] = {"zero": 1.0, "absmax": 0.0, "mixed": 0.5}


@dataclass(frozen=True)
class StuckDevices(WeightNoise):
    r"""A share of the weights is stuck at a value of its own, whatever was written.

    Every weight is stuck with probability `level`, a share from 0 to 1, independently.  In one draw, the weights that
    are stuck at a level stay so at every greater one.

    Parameters
    ----------
    at_value : {"zero", "absmax", "mixed"}, default="zero"
        ``zero``: an open device, the weight is 0; ``absmax``: a shorted one, the weight is plus or minus the greatest
        absolute weight of its tensor, either with probability 1/2; ``mixed``: each of the two kinds with probability
        1/2.

    Notes
    -----
    A weight is one device here.  Hardware that keeps a weight as the difference of two conductances has other values to
    be stuck at; a model of that is a `WeightNoise` of your own.

    Examples
    --------
    >>> import numpy as np
    >>> StuckDevices()(np.ones(8), 0.5, random_state=0).tolist()
    [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    """

    at_value: StuckAt = "zero"

    def __post_init__(self) -> None:
        if self.at_value not in get_args(StuckAt):
            raise ValueError(f"at_value={self.at_value!r} is not one of {', '.join(map(repr, get_args(StuckAt)))}")

    def check_level(self, level: float) -> float:
        """Return `level` as a float; what is no share from 0 to 1 raises ``ValueError``."""
        return check_level(level, 0.0, 1.0, "a share of the weights, from 0 to 1")

    def measure(self, weights: NDArray[Any]) -> float:
        """Return the greatest absolute weight."""
        return float(np.abs(weights.astype(np.float64, copy=False)).max(initial=0.0))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return at which share each weight gets stuck, and at which value, in units of the greatest."""
        thresholds = np.asarray(rng.random(shape))
        if self.at_value == "zero":
            return thresholds, np.zeros(())
        kinds = np.asarray(rng.random(shape))
        zero = _AT_ZERO[self.at_value]
        return thresholds, np.where(kinds < zero, 0.0, np.where(kinds < (1.0 + zero) / 2.0, -1.0, 1.0))

    def perturb(self, weights: NDArray[Any], level: float, units: Any, measured: float) -> NDArray[Any]:
        """Return the weights with some of them replaced."""
        thresholds, values = units
        kind = weights.dtype if weights.dtype.kind == "f" else np.dtype(np.float64)
        return np.where(thresholds < level, values * measured, weights).astype(kind, copy=False)

    def level_label(self) -> str:
        """Say what a level is, for axes and reports."""
        return f"share of the weights that are stuck ({self.at_value})"
