"""Additive noise whose standard deviation is a multiple of a statistic of the clean weights."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_eval.noise.base import LARGEST, WeightNoise, check_level, check_weights

__all__ = ["GaussianNoise", "Scale", "UniformNoise"]

_SQRT_3 = float(np.sqrt(3.0))

Scale: TypeAlias = Literal["std", "absmax", "range", "power_db", "absolute"]


@dataclass(frozen=True)
class _ScaledNoise(WeightNoise):
    """Additive noise of standard deviation sigma, one number per tensor."""

    scale: Scale = "std"

    def __post_init__(self) -> None:
        if self.scale not in get_args(Scale):
            raise ValueError(f"scale={self.scale!r} is not one of {', '.join(map(repr, get_args(Scale)))}")

    def sigma(self, weights: ArrayLike, level: float) -> float:
        """Return the standard deviation of the noise on one tensor.

        Parameters
        ----------
        weights : array-like of any shape
            Clean weights of one tensor.
        level : float
            Noise level, see the table in the class description.

        Returns
        -------
        float
            In the units of the weights.

        Raises
        ------
        TypeError
            If `weights` are not real numbers.
        ValueError
            If `weights` are not finite, or `level` is out of range.
        """
        return self._sigma(self.check_level(level), self.measure(check_weights(weights, "weights")))

    def check_level(self, level: float) -> float:
        """Return `level` as a float; negative, NaN and (but for ``power_db``) infinite levels raise ``ValueError``."""
        if self.scale == "power_db":
            return check_level(level, -LARGEST, np.inf, "a signal-to-noise ratio in dB (a number or +inf)")
        return check_level(level, 0.0, LARGEST, f"finite and >= 0 for scale={self.scale!r}")

    @property
    def clean_level(self) -> float:  # type: ignore[override]
        """The level that means no noise: 0, or +inf dB."""
        return float("inf") if self.scale == "power_db" else 0.0

    def measure(self, weights: NDArray[Any]) -> float:
        """Return the size of the clean weights that the level multiplies, a float >= 0."""
        if self.scale == "absolute":
            return 1.0
        if weights.size == 0:
            return 0.0
        # float64, so that the squares of float32 weights neither overflow nor lose digits
        values = weights.astype(np.float64, copy=False)
        match self.scale:
            case "std":
                # The rounding of the mean would give a constant tensor a tiny spread.
                return float(values.std()) if np.ptp(values) > 0.0 else 0.0
            case "absmax":
                return float(np.abs(values).max())
            case "range":
                return float(np.ptp(values))
            case _:
                peak = float(np.abs(values).max())
                return peak * float(np.sqrt(np.mean((values / peak) ** 2))) if peak > 0.0 else 0.0

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return numbers of mean 0 and variance 1; always float64, so that models of either precision share them."""

    def perturb(self, weights: NDArray[Any], level: float, units: NDArray[np.float64], measured: float) -> NDArray[Any]:
        """Return ``weights + sigma * units``."""
        noisy = np.asarray(units * self._sigma(level, measured))
        noisy += weights
        return noisy.astype(weights.dtype, copy=False) if weights.dtype.kind == "f" else noisy

    def level_label(self) -> str:
        """Say what a level is, for axes and reports."""
        return {
            "std": "noise level (sigma / std of the weights)",
            "absmax": "noise level (sigma / max |weight|)",
            "range": "noise level (sigma / range of the weights)",
            "power_db": "weight signal-to-noise ratio (dB)",
            "absolute": "noise level (sigma, units of the weights)",
        }[self.scale]

    def _sigma(self, level: float, measured: float) -> float:
        # The one however loud the noise would be, the other however far the weights are apart: inf * 0 is NaN.
        if measured == 0.0 or self.is_clean(level):
            return 0.0
        try:
            sigma = measured * (10.0 ** (-level / 20.0) if self.scale == "power_db" else level)
        except OverflowError:
            sigma = np.inf
        if sigma == np.inf:
            raise ValueError(f"level={level} makes the noise overflow: the weights measure {measured:.6g} before it")
        return float(sigma)


@dataclass(frozen=True)
class GaussianNoise(_ScaledNoise):
    r"""Independent additive Gaussian noise, :math:`\tilde W = W + N(0, \sigma^2)`.

    The standard deviation :math:`\sigma` is one number per tensor, computed from its clean weights.

    Parameters
    ----------
    scale : {"std", "absmax", "range", "power_db", "absolute"}, default="std"
        What a level is measured against:

        ============  ===========================================  ===============================================
        scale         sigma                                        level
        ============  ===========================================  ===============================================
        ``std``       ``level * std(W)`` (population std, ddof 0)  ratio >= 0; 1 / level is an amplitude SNR
        ``absmax``    ``level * max|W|``                           ratio >= 0
        ``range``     ``level * (max W - min W)``                  ratio >= 0
        ``power_db``  ``rms(W) * 10 ** (-level / 20)``             SNR in dB, 10 log10(mean(W^2) / sigma^2)
        ``absolute``  ``level``                                    >= 0, in the units of the weights
        ============  ===========================================  ===============================================

    Notes
    -----
    Level 0 is the clean model for every scale but ``power_db``.  There a *greater* level is *less* noise: 0 dB means
    noise as strong as the weights, negative levels are noise stronger than the weights, and ``inf`` is the clean model.

    Under ``std`` and ``range`` a tensor whose entries are all equal gets no noise, and so does a tensor with a single
    entry, such as the bias of a binary classifier; under ``absmax`` and ``power_db`` only an all-zero tensor does.

    The experiment (Gaussian noise on the weights of each layer, accuracy averaged over draws) follows Fagbohungbe and
    Qian, "Benchmarking Inference Performance of Deep Learning Models on Analog Devices", arXiv 2011.11840.  The set of
    scales is ours: published definitions of the noise level differ, so state the scale with every result.

    Examples
    --------
    >>> import numpy as np
    >>> noise = GaussianNoise("absmax")
    >>> noise.sigma(np.array([1.0, -4.0, 2.0]), 0.1)
    0.4
    >>> noise(np.array([1.0, -4.0, 2.0]), 0.0, random_state=0)
    array([ 1., -4.,  2.])
    >>> GaussianNoise("power_db").sigma(np.array([2.0, -2.0]), 20.0)
    0.2
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return standard normal numbers; always float64, so that models of either precision share them."""
        return np.asarray(rng.standard_normal(shape))


@dataclass(frozen=True)
class UniformNoise(_ScaledNoise):
    r"""Independent additive uniform noise, :math:`\tilde W = W + U(-\sqrt 3 \sigma, \sqrt 3 \sigma)`.

    Its standard deviation :math:`\sigma` is that of `GaussianNoise` with the same scale and level, so that the two
    differ in the shape of the noise alone: a weight is never farther than :math:`\sqrt 3 \sigma` off.

    Parameters
    ----------
    scale : {"std", "absmax", "range", "power_db", "absolute"}, default="std"
        What a level is measured against, see `GaussianNoise`.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.zeros(10_000)
    >>> added = UniformNoise("absolute")(weights, 0.1, random_state=0)
    >>> bool(abs(added).max() <= 0.1 * 3**0.5), round(float(added.std()), 3)
    (True, 0.1)
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return uniform numbers of mean 0 and variance 1."""
        return np.asarray(rng.uniform(-_SQRT_3, _SQRT_3, shape))
