"""Weight noise: pure functions from an array of clean weights to an array of noisy ones.

A noise model knows nothing about models, layers or metrics.  It works in two steps, so that a sweep can draw the random
numbers once and reuse them at every level (common random numbers), and can look at the clean weights only once:

1. ``measure(weights)`` and ``draw(shape, rng)``: what depends on the clean weights alone, and on chance alone;
2. ``perturb(weights, level, units, measured)``: the noisy array at one level.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["GaussianNoise", "Scale", "WeightNoise"]

Scale: TypeAlias = Literal["std", "absmax", "range", "power_db", "absolute"]
RandomState: TypeAlias = int | np.integer | np.random.RandomState | np.random.Generator | None


class WeightNoise(ABC):
    """What every noise model offers; subclass it to write your own.

    Notes
    -----
    Implementations keep no state: the same arguments give the same array, and no argument is written to.
    """

    @abstractmethod
    def check_level(self, level: float) -> float:
        """Return `level` as a float, or raise ``ValueError`` when it means nothing to this noise."""

    @abstractmethod
    def is_clean(self, level: float) -> bool:
        """Whether `level` leaves every weight as it is."""

    @abstractmethod
    def measure(self, weights: NDArray[Any]) -> Any:
        """Compute whatever is needed from the clean weights of one tensor; called once per tensor."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        """Draw the random numbers of one tensor, free of level and weights; called once per tensor and draw."""

    @abstractmethod
    def perturb(self, weights: NDArray[Any], level: float, units: Any, measured: Any) -> NDArray[Any]:
        """Return the noisy weights, a new array of the shape of `weights`."""

    @abstractmethod
    def level_label(self) -> str:
        """Say what a level is, with its unit, for axes and reports."""

    def __call__(self, weights: ArrayLike, level: float, *, random_state: RandomState = None) -> NDArray[Any]:
        """Return one noisy copy of one tensor.

        Parameters
        ----------
        weights : array-like of any shape
            Clean, finite weights of one tensor.
        level : float
            Noise level; its meaning belongs to the noise model.
        random_state : None, int, RandomState or Generator, default=None
            Source of the random numbers; a Generator is advanced by the draw.

        Returns
        -------
        ndarray of the shape of `weights`
            float32 stays float32; integers become float64.

        Raises
        ------
        TypeError
            If `weights` are not real numbers.
        ValueError
            If `weights` are not finite, or `level` is not a level of this noise.
        """
        clean = check_weights(weights, "weights")
        rng = random_state if isinstance(random_state, np.random.Generator) else generators(random_state, 1)[0]
        return self.perturb(clean, self.check_level(level), self.draw(clean.shape, rng), self.measure(clean))


@dataclass(frozen=True)
class GaussianNoise(WeightNoise):
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
        try:
            value = float(level)
        except (TypeError, ValueError):
            raise TypeError(f"level={level!r} is not a number") from None
        if self.scale == "power_db":
            if np.isnan(value) or value == -np.inf:
                raise ValueError(f"level={value} is not a signal-to-noise ratio in dB (a number or +inf)")
        elif not 0.0 <= value < np.inf:
            raise ValueError(f"level={value} must be finite and >= 0 for scale={self.scale!r}")
        return value

    def is_clean(self, level: float) -> bool:
        """Whether `level` means no noise: 0, or +inf dB."""
        return level == (np.inf if self.scale == "power_db" else 0.0)

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

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return standard normal numbers; always float64, so that models of either precision share them."""
        return np.asarray(rng.standard_normal(shape))

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
        if measured == 0.0 or self.is_clean(level):
            return 0.0
        try:
            sigma = measured * (10.0 ** (-level / 20.0) if self.scale == "power_db" else level)
        except OverflowError:
            sigma = np.inf
        if sigma == np.inf:
            raise ValueError(f"level={level} makes the noise overflow: the weights measure {measured:.6g} before it")
        return float(sigma)


def check_weights(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as a real, finite array (the same object when it is one already), or raise naming `name`."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(array)).sum())} NaN or infinite entries of {array.size}")
    return array


def check_random_state(random_state: object) -> None:
    """Raise unless `random_state` is a source of random numbers; it is not advanced."""
    if random_state is None or isinstance(random_state, np.random.RandomState | np.random.Generator):
        return
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        raise TypeError(
            f"random_state must be None, an int, a RandomState or a Generator, got {type(random_state).__name__}"
        )
    if random_state < 0:
        raise ValueError(f"random_state={random_state} must be >= 0")


def generators(random_state: RandomState, n: int) -> list[np.random.Generator]:
    """Return `n` independent generators: equal seeds give equal generators, the first ones whatever `n` is.

    A RandomState or Generator is advanced, so a second call with the same object gives other numbers.
    """
    check_random_state(random_state)
    if isinstance(random_state, np.random.Generator):
        entropy: Any = random_state.integers(0, 2**32, size=4).tolist()
    elif isinstance(random_state, np.random.RandomState):
        entropy = random_state.randint(0, 2**32, size=4, dtype=np.uint64).tolist()
    else:
        entropy = random_state
    return [np.random.default_rng(child) for child in np.random.SeedSequence(entropy).spawn(n)]
