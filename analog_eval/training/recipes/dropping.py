"""Weights that are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from analog_eval.training.recipes.base import Recipe
from analog_eval.training.recipes.checks import check_number

__all__ = ["DropConnect"]


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
