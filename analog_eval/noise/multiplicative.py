"""Noise in proportion to each weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_eval.noise.base import LARGEST, WeightNoise, check_level

__all__ = ["MultiplicativeNoise"]


@dataclass(frozen=True)
class MultiplicativeNoise(WeightNoise):
    r"""Independent Gaussian noise in proportion to each weight, :math:`\tilde W = W (1 + \eta z)`, z ~ N(0, 1).

    The level :math:`\eta \ge 0` is the standard deviation relative to the weight itself.  Weights that are 0 stay 0; a
    tensor with one entry gets noise too, which `GaussianNoise` with its default scale does not give it.

    Examples
    --------
    >>> import numpy as np
    >>> MultiplicativeNoise()(np.array([0.0, 1.0, 100.0]), 0.1, random_state=0).round(3)
    array([  0.  ,   0.91, 107.36])
    """

    def check_level(self, level: float) -> float:
        """Return `level` as a float; negative, NaN and infinite levels raise ``ValueError``."""
        return check_level(level, 0.0, LARGEST, "finite and >= 0")

    def measure(self, weights: NDArray[Any]) -> None:
        """Nothing is needed besides the weights."""

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return standard normal numbers."""
        return np.asarray(rng.standard_normal(shape))

    def perturb(self, weights: NDArray[Any], level: float, units: NDArray[np.float64], measured: None) -> NDArray[Any]:
        """Return ``weights * (1 + level * units)``."""
        noisy = np.asarray(units * level)
        noisy += 1.0
        noisy *= weights
        return noisy.astype(weights.dtype, copy=False) if weights.dtype.kind == "f" else noisy

    def level_label(self) -> str:
        """Say what a level is, for axes and reports."""
        return "noise level (sigma / |weight|)"
