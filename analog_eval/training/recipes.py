"""What is done to the weights of every mini-batch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

import numpy as np
import torch

from analog_eval.devices import PCM
from analog_eval.devices.power_law import PowerLawDevice
from analog_eval.noise import RandomState, WeightNoise, one_seed

__all__ = ["AddNormal", "DropConnect", "Multiplicative", "Per", "ProgrammingNoise", "Recipe", "Simulated", "peaks"]

Per: TypeAlias = Literal["layer", "channel"]


class Recipe(ABC):
    """Noise of the weights in training; subclass it to write your own.

    Notes
    -----
    ``a + b`` applies `a` first and `b` to what comes of it; what `b` measures, such as the largest weight, it measures
    on the clean weights.

    The public noises (`analog_eval.GaussianNoise` and so on) draw by NumPy and are reproducible over libraries; recipes
    draw by torch, in the type and on the device of the weights, because training needs fresh noise at every step.
    `Simulated` makes any of the former a recipe.
    """

    @abstractmethod
    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return noisy weights, a new tensor of the same shape.

        `weights` is what parts before this one made of `clean`; outputs lie along `output_axis`, where that is known.
        """

    def __call__(
        self, weights: torch.Tensor, *, output_axis: int | None = None, random_state: RandomState = None
    ) -> torch.Tensor:
        """Return one noisy copy of one tensor of weights.

        Parameters
        ----------
        weights : Tensor of any shape
            Clean weights.
        output_axis : int, optional
            Axis along which the outputs lie.
        random_state : None, int, RandomState or Generator, default=None
            Source of the random numbers.

        Returns
        -------
        Tensor of the shape and type of `weights`

        Raises
        ------
        TypeError
            If `weights` is no tensor of real numbers.
        """
        if not isinstance(weights, torch.Tensor) or not weights.is_floating_point():
            raise TypeError(f"weights must be a tensor of real numbers, got {getattr(weights, 'dtype', type(weights))}")
        generator = torch.Generator(weights.device).manual_seed(one_seed(random_state) % 2**63)
        clean = weights.detach()
        return self.perturb(clean, clean, output_axis, generator)

    def __add__(self, other: object) -> Recipe:
        """Return both, this one first."""
        return _Sum((*_parts(self), *_parts(other))) if isinstance(other, Recipe) else NotImplemented


@final
@dataclass(frozen=True)
class AddNormal(Recipe):
    r"""Gaussian noise relative to the largest weight, :math:`\tilde W = W + \eta \max|W|\, z`, z ~ N(0, 1).

    Parameters
    ----------
    level : float, default=0.06
        :math:`\eta`, >= 0.
    per : {"layer", "channel"}, default="layer"
        Whose largest weight: the tensor's, or that of each output channel.  Where it is not known along which axis the
        outputs lie, the tensor's.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    The recipe of Rasch et al., arXiv 2302.08469.

    Examples
    --------
    >>> weights = torch.zeros(100_000)
    >>> weights[0] = 4.0
    >>> round(float((AddNormal(0.1)(weights, random_state=0) - weights).std()), 2)
    0.4
    """

    level: float = 0.06
    per: Per = "layer"

    def __post_init__(self) -> None:
        check_number(self.level, "level")
        check_per(self.per)

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return ``weights + level * max|clean| * z``."""
        return weights + _normal(clean, generator).mul_(self.level * peaks(clean, self.per, output_axis))


@final
@dataclass(frozen=True)
class Multiplicative(Recipe):
    r"""Gaussian noise in proportion to each weight, :math:`\tilde W = W (1 + \eta z)`, z ~ N(0, 1).

    Parameters
    ----------
    level : float, default=0.1
        :math:`\eta`, >= 0.

    Raises
    ------
    ValueError
        If `level` is out of range.

    Examples
    --------
    >>> Multiplicative(0.1)(torch.tensor([0.0, 1.0]), random_state=0)[0]
    tensor(0.)
    """

    level: float = 0.1

    def __post_init__(self) -> None:
        check_number(self.level, "level")

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return ``weights * (1 + level * z)``."""
        return weights * _normal(clean, generator).mul_(self.level).add_(1.0)


@final
@dataclass(frozen=True)
class ProgrammingNoise(Recipe):
    r"""Programming noise that depends on the conductance, :math:`\tilde W = W + \eta\, \sigma(u) \max|W| / g\, z`.

    Here :math:`u = |W| / \max|W|` is the conductance over the greatest one, :math:`\sigma(u)` the device's programming
    noise in uS, for `PCM` the polynomial 0.26348 + 1.9650 u - 1.1731 u^2, and :math:`g = g_{max} - g_{min}`, in uS.

    Parameters
    ----------
    device : device with a drift law, default=PCM()
        `PCM`, `Hermes`, `StateIndependent` or `TabulatedDevice`.
    level : float, default=1.0
        :math:`\eta` >= 0: how many times the noise of the device.

    Raises
    ------
    TypeError
        If `device` has no formula of its programming noise.
    ValueError
        If `level` is out of range.

    Notes
    -----
    One random number a weight, as in the polynomial modifier of aihwkit's public source: of the two devices that keep a
    weight the one whose target is 0 is taken to be exact.  The whole device, its drift and read noise too, is
    ``Simulated(DeviceNoise(PCM()), 86400.0)``.

    Examples
    --------
    >>> weights = torch.ones(100_000)
    >>> round(25 * float(ProgrammingNoise()(weights, random_state=0).std()), 2)  # uS: .26348 + 1.9650 - 1.1731
    1.06
    """

    device: PowerLawDevice = PCM()  # noqa: RUF009 (frozen: sharing it is safe)
    level: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.device, PowerLawDevice):
            raise TypeError(f"device must be PCM(), Hermes(), StateIndependent() or a table, got {self.device!r}")
        check_number(self.level, "level")

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return ``weights + level * sigma * z``."""
        return weights + _normal(clean, generator).mul_(self.level * self.sigma(clean))

    def sigma(self, clean: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the device's noise, in the unit of the weights and of their shape."""
        peak = float(clean.abs().max()) if clean.numel() else 0.0
        if peak == 0.0:
            return torch.zeros_like(clean)
        device, span = self.device, self.device.g_max - self.device.g_min
        # The formula is NumPy's: weights of a GPU go to the host and back.
        target = clean.abs().double().div_(peak).mul_(span).add_(device.g_min).cpu().numpy()
        sd = device.programming_sd(target) * (device.programming_scale * peak / span)
        return torch.from_numpy(np.ascontiguousarray(sd)).to(clean.device, clean.dtype)


@final
@dataclass(frozen=True)
class DropConnect(Recipe):
    """Weights that are 0 with some probability, independently, as those of devices that do not answer.

    Parameters
    ----------
    rate : float, default=0.05
        Probability, from 0 to below 1.

    Raises
    ------
    ValueError
        If `rate` is out of range.

    Notes
    -----
    The others are not scaled up, unlike in dropout: a device that fails does not make its neighbours larger.  After Wan
    et al., ICML 2013.

    Examples
    --------
    >>> float(DropConnect(0.25)(torch.ones(100_000), random_state=0).mean().round(decimals=2))
    0.75
    """

    rate: float = 0.05

    def __post_init__(self) -> None:
        check_number(self.rate, "rate", below=1.0)

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return `weights` with some of them 0."""
        return weights * torch.empty_like(clean).bernoulli_(1.0 - self.rate, generator=generator)


@final
@dataclass(frozen=True)
class Simulated(Recipe):
    """Any noise of the sweeps, at one level: train with what is measured.

    Parameters
    ----------
    noise : WeightNoise
        Such as ``DeviceNoise(PCM())`` or ``QuantizationNoise()``.
    level : float
        In the unit of `noise`; seconds since programming for a device.

    Raises
    ------
    TypeError
        If `noise` is no noise model.
    ValueError
        If `level` means nothing to `noise`.

    Notes
    -----
    Random numbers are NumPy's, drawn on the host; every step is one new device.

    Examples
    --------
    >>> from analog_eval import QuantizationNoise
    >>> Simulated(QuantizationNoise(), 2)(torch.tensor([-1.0, 0.1, 0.8]))
    tensor([-1.,  0.,  1.])
    """

    noise: WeightNoise
    level: float

    def __post_init__(self) -> None:
        if not isinstance(self.noise, WeightNoise):
            raise TypeError(f"noise must be a noise model such as GaussianNoise('std'), got {self.noise!r}")
        self.noise.check_level(self.level)

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return what the noise makes of `weights`."""
        seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
        noise, level = self.noise.along(output_axis), self.noise.check_level(self.level)
        values, measured = _on_host(weights), _on_host(clean)
        units = noise.draw(values.shape, np.random.default_rng(int(seed)))
        noisy = noise.perturb(values, level, units, noise.measure(measured))
        return torch.from_numpy(np.ascontiguousarray(noisy)).to(clean.device, clean.dtype)


@dataclass(frozen=True, repr=False)
class _Sum(Recipe):
    """Several recipes, one after the other."""

    parts: tuple[Recipe, ...]

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        for part in self.parts:
            weights = part.perturb(weights, clean, output_axis, generator)
        return weights

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts))


def _parts(recipe: Recipe) -> tuple[Recipe, ...]:
    return recipe.parts if isinstance(recipe, _Sum) else (recipe,)


def peaks(weights: torch.Tensor, per: Per, output_axis: int | None) -> torch.Tensor:
    """Return the largest absolute weight, of the tensor or of each output channel, in a shape that broadcasts."""
    if weights.numel() == 0:
        return weights.new_zeros((1,) * weights.ndim)
    return weights.abs().amax(dim=reduced_axes(weights, per, output_axis), keepdim=True)


def reduced_axes(weights: torch.Tensor, per: Per, output_axis: int | None) -> tuple[int, ...]:
    """Return the axes along which a layer's, or each output channel's, weights lie."""
    kept = None if per == "layer" or output_axis is None else output_axis % weights.ndim
    return tuple(axis for axis in range(weights.ndim) if axis != kept)


def check_number(value: Any, name: str, *, low: float = 0.0, below: float = math.inf) -> None:
    """Raise unless `value` is a number from `low` to under `below`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not low <= value < below:
        raise ValueError(f"{name}={value} must be >= {low:g} and {'finite' if below == math.inf else f'< {below:g}'}")


def check_per(per: Any) -> None:
    """Raise unless `per` is one of the two words."""
    if per not in get_args(Per):
        raise ValueError(f"per={per!r} is not one of {', '.join(map(repr, get_args(Per)))}")


def _normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.empty_like(like).normal_(generator=generator)


def _on_host(weights: torch.Tensor) -> Any:
    plain = weights if weights.dtype in (torch.float32, torch.float64) else weights.float()
    return plain.cpu().numpy()
