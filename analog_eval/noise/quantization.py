"""Weights rounded to a few values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_eval.noise.base import WeightNoise, check_level

__all__ = ["QuantizationNoise"]

_MOST_BITS = 52


@dataclass(frozen=True)
class QuantizationNoise(WeightNoise):
    r"""Rounding to a symmetric uniform grid of `b` bits per tensor.

    The grid is :math:`k \Delta`, :math:`k = -K, \dots, K` with :math:`K = 2^{b-1} - 1` and
    :math:`\Delta = \max|W| / K`: it has the 0 and both ends, :math:`2^b - 1` values.  The level is `b`, a whole number
    of bits from 2 to 52, or ``inf``, the clean model; a *greater* level is *less* noise.  What lies beyond the ends, as
    it can behind other noise in a sum, is cut off there.

    Parameters
    ----------
    stochastic : bool, default=False
        Round up with the probability that keeps the mean, instead of to the nearest value.  Without it all draws are
        the same device, and intervals cover the test rows alone.

    Examples
    --------
    >>> import numpy as np
    >>> QuantizationNoise()(np.array([0.1, 0.4, -0.7, 3.0]), 3)
    array([ 0.,  0., -1.,  3.])
    >>> from analog_eval.noise import GaussianNoise
    >>> noise = GaussianNoise("std") + QuantizationNoise().at(4)
    >>> noise
    GaussianNoise(scale='std') + QuantizationNoise(stochastic=False).at(4)
    """

    stochastic: bool = False

    clean_level = float("inf")

    def check_level(self, level: float) -> float:
        """Return `level` as a float; anything but a whole number from 2 to 52, or inf, raises ``ValueError``."""
        what = f"a whole number of bits from 2 to {_MOST_BITS}, or inf"
        value = check_level(level, 2.0, np.inf, what)
        if value != np.inf and not (value <= _MOST_BITS and value.is_integer()):
            raise ValueError(f"level={value} must be {what}")
        return value

    def measure(self, weights: NDArray[Any]) -> float:
        """Return the greatest absolute weight."""
        return float(np.abs(weights.astype(np.float64, copy=False)).max(initial=0.0))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64] | None:
        """Return uniform numbers in [0, 1) for stochastic rounding, and nothing otherwise."""
        return np.asarray(rng.random(shape)) if self.stochastic else None

    def perturb(
        self, weights: NDArray[Any], level: float, units: NDArray[np.float64] | None, measured: float
    ) -> NDArray[Any]:
        """Return the rounded weights."""
        kind = weights.dtype if weights.dtype.kind == "f" else np.dtype(np.float64)
        most = 2.0 ** (level - 1.0) - 1.0
        if measured / most == 0.0:  # no bits are too few, or all weights are 0
            return weights.astype(kind)
        # The quotient first: a step of its own would round, and move the ends.
        codes = weights / measured * most if units is None else np.floor(weights / measured * most + units)
        return np.asarray(np.clip(np.rint(codes), -most, most) / most * measured).astype(kind, copy=False)

    def level_label(self) -> str:
        """Say what a level is, for axes and reports."""
        return "bits a weight"
