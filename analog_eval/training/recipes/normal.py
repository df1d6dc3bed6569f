"""Gaussian noise relative to weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from analog_eval.training.recipes.base import Recipe, normal
from analog_eval.training.recipes.channels import Per, peaks
from analog_eval.training.recipes.checks import check_number, check_per

__all__ = ["AddNormal", "Multiplicative"]


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
        return weights + normal(clean, generator).mul_(self.level * peaks(clean, self.per, output_axis))


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
        return weights * normal(clean, generator).mul_(self.level).add_(1.0)
