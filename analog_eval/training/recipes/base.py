"""What a recipe of noise is, and what the sum of two is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from analog_eval.noise import RandomState, one_seed
from analog_eval.training.recipes.checks import refuse_noise

__all__ = ["Recipe", "normal"]


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
        refuse_noise(other)
        return _Sum((*_parts(self), *_parts(other))) if isinstance(other, Recipe) else NotImplemented

    def __radd__(self, other: object) -> Recipe:
        """Say what to do with a noise of the sweeps; nothing else is added to a recipe but recipes."""
        refuse_noise(other)
        return NotImplemented


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


def normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return standard normal numbers of the shape and type of `like`."""
    return torch.empty_like(like).normal_(generator=generator)
