"""What a noise model is, and what the sum of two is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_eval.noise.randomness import RandomState, generators

__all__ = ["LARGEST", "WeightNoise", "check_level", "check_weights"]

LARGEST = float(np.finfo(np.float64).max)


class WeightNoise(ABC):
    """What every noise model offers; subclass it to write your own.

    Notes
    -----
    Implementations keep no state: the same arguments give the same array, and no argument is written to.

    ``a + b`` applies `a` first and `b` to what comes of it; what `b` measures, such as a standard deviation, it
    measures on the clean weights.  Both get the level of the sum.  To vary one alone, give the other a level of its
    own: ``GaussianNoise() + QuantizationNoise().at(4)`` is Gaussian noise of the given level on weights that are then
    rounded to 4 bits.  Such a sum is never clean, at level 0 neither.
    """

    #: The level that leaves every weight as it is, but for fixed parts of a sum (`is_clean` knows of them): 0, or
    #: infinity where a greater level is less noise.
    clean_level: float = 0.0

    @abstractmethod
    def check_level(self, level: Any) -> float:
        """Return `level` as a float, or raise ``ValueError`` when it means nothing to this noise.

        Only a noise whose levels are times takes strings.
        """

    def is_clean(self, level: float) -> bool:
        """Whether `level` leaves every weight as it is."""
        return level == self.clean_level

    @abstractmethod
    def measure(self, weights: NDArray[Any]) -> Any:
        """Compute whatever is needed from the clean weights of one tensor; called once per tensor."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        """Draw the random numbers of one tensor, free of level and weights; called once per tensor and draw."""

    @abstractmethod
    def perturb(self, weights: NDArray[Any], level: float, units: Any, measured: Any) -> NDArray[Any]:
        """Return the noisy weights, a new array of the shape of `weights`."""

    def read(
        self, weights: NDArray[Any], level: float, units: Any, measured: Any
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return what is stored, and the factors that the digital part multiplies outputs by, which broadcast to it.

        Their product is what `perturb` returns.
        """
        return self.perturb(weights, level, units, measured), np.ones((1,) * weights.ndim)

    @abstractmethod
    def level_label(self) -> str:
        """Say what a level is, with its unit, for axes and reports."""

    def at(self, level: float | str) -> WeightNoise:
        """Return this noise at one level, whatever level it is asked for: a fixed part of a sum.

        Parameters
        ----------
        level : float or str
            In the unit of this noise; a time such as ``"1d"`` for a device.

        Returns
        -------
        WeightNoise

        Raises
        ------
        ValueError
            If `level` means nothing to this noise.
        """
        return _FixedNoise(self, self.check_level(level))

    def along(self, output_axis: int | None) -> WeightNoise:
        """Return the noise of a tensor whose outputs lie along an axis (None: not known); most noises do not care."""
        return self

    def __add__(self, other: object) -> WeightNoise:
        """Return both, this one first."""
        return _NoiseSum((*_parts(self), *_parts(other))) if isinstance(other, WeightNoise) else NotImplemented

    def __call__(self, weights: ArrayLike, level: float | str, *, random_state: RandomState = None) -> NDArray[Any]:
        """Return one noisy copy of one tensor.

        Parameters
        ----------
        weights : array-like of any shape
            Clean, finite weights of one tensor.
        level : float or str
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


@dataclass(frozen=True, repr=False)
class _FixedNoise(WeightNoise):
    """A noise at one level of its own.  A clean level of NaN says that no level changes that."""

    noise: WeightNoise
    level: float

    clean_level = float("nan")

    def check_level(self, level: float) -> float:
        return check_level(level, -LARGEST, np.inf, "a number")

    def is_clean(self, level: float) -> bool:
        return self.noise.is_clean(self.level)

    def measure(self, weights: NDArray[Any]) -> Any:
        return self.noise.measure(weights)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        return self.noise.draw(shape, rng)

    def perturb(self, weights: NDArray[Any], level: float, units: Any, measured: Any) -> NDArray[Any]:
        return self.noise.perturb(weights, self.level, units, measured)

    def along(self, output_axis: int | None) -> WeightNoise:
        return _FixedNoise(self.noise.along(output_axis), self.level)

    def level_label(self) -> str:
        return "no level: the noise is fixed"

    def __repr__(self) -> str:
        return f"{self.noise!r}.at({self.level:g})"


@dataclass(frozen=True, repr=False)
class _NoiseSum(WeightNoise):
    """Several noises, one after the other."""

    parts: tuple[WeightNoise, ...]

    def __post_init__(self) -> None:
        # Decibels and bits are units of their own; ratios and shares all begin at 0.
        kinds = {part.level_label() if part.clean_level else "" for part in self._free()}
        if len(kinds) > 1:
            raise ValueError(
                f"the parts of {self!r} have no level in common; give all but one of them a level of its own, "
                "such as QuantizationNoise().at(4)"
            )

    @property
    def clean_level(self) -> float:  # type: ignore[override]
        free = self._free()
        return free[0].clean_level if free else float("nan")

    def check_level(self, level: Any) -> float:
        # What has a level of its own knows nothing of the unit of the others.
        return [part.check_level(level) for part in self._free() or self.parts][-1]

    def is_clean(self, level: float) -> bool:
        return all(part.is_clean(level) for part in self.parts)

    def measure(self, weights: NDArray[Any]) -> Any:
        return [part.measure(weights) for part in self.parts]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        return [part.draw(shape, rng) for part in self.parts]

    def perturb(self, weights: NDArray[Any], level: float, units: Any, measured: Any) -> NDArray[Any]:
        for part, own_units, own_measured in zip(self.parts, units, measured, strict=True):
            weights = part.perturb(weights, level, own_units, own_measured)
        return weights

    def along(self, output_axis: int | None) -> WeightNoise:
        return _NoiseSum(tuple(part.along(output_axis) for part in self.parts))

    def level_label(self) -> str:
        return " and ".join(dict.fromkeys(part.level_label() for part in self._free())) or "no level: all is fixed"

    def _free(self) -> list[WeightNoise]:
        return [part for part in self.parts if not isinstance(part, _FixedNoise)]

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts))


def _parts(noise: WeightNoise) -> tuple[WeightNoise, ...]:
    return noise.parts if isinstance(noise, _NoiseSum) else (noise,)


def check_level(level: float, low: float, high: float, what: str) -> float:
    """Return `level` as a float in [low, high], or raise, saying `what` it should be; NaN is never in."""
    try:
        # float would take these.
        value = float("" if isinstance(level, str | bytes | bool | np.bool) else level)
    except (TypeError, ValueError):
        raise TypeError(f"level={level!r} is not a number") from None
    if not low <= value <= high:
        raise ValueError(f"level={value} must be {what}")
    return value


def check_weights(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as a real, finite array (the same object when it is one already), or raise naming `name`."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(array)).sum())} NaN or infinite entries of {array.size}")
    return array
