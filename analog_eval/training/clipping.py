"""Kernels without a few large weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from analog_eval.training.recipes import Per, check_number, check_per, reduced_axes

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """Weights are kept within so many standard deviations.

    Parameters
    ----------
    sigmas : float, default=2.5
        Bound, in root mean squares of the weights, >= 1.
    per : {"layer", "channel"}, default="layer"
        Whose root mean square: the tensor's, or that of each output channel.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    A few large weights decide what the greatest conductance stands for, and so how small, beside the noise, all others
    are.  Rasch et al., arXiv 2302.08469, clip at 2 to 2.5 standard deviations of the layer.  The deviation from 0
    rather than from the mean is ours: the bounds lie about 0, and a channel of a single weight keeps it.

    Examples
    --------
    >>> weights = torch.tensor([3.0, -1.0, 1.0, 1.0])  # root mean square: sqrt(3)
    >>> Clip(1.0)(weights, output_axis=None)
    tensor([ 1.7321, -1.0000,  1.0000,  1.0000])
    """

    sigmas: float = 2.5
    per: Per = "layer"

    def __post_init__(self) -> None:
        check_number(self.sigmas, "sigmas", low=1.0)  # under 1 every step would shrink the weights
        check_per(self.per)

    def __call__(self, weights: torch.Tensor, output_axis: int | None) -> torch.Tensor:
        """Return the clipped weights, a new tensor.

        Parameters
        ----------
        weights : Tensor of any shape
            Weights of one tensor.
        output_axis : int or None
            Axis along which its outputs lie.

        Returns
        -------
        Tensor
        """
        if weights.numel() == 0:
            return weights.clone()
        axes = reduced_axes(weights, self.per, output_axis)
        # Squares of half precision vanish or overflow.
        wide = weights.to(torch.promote_types(weights.dtype, torch.float32))
        bound = wide.square().mean(dim=axes, keepdim=True).sqrt().mul_(self.sigmas).to(weights.dtype)
        return torch.clamp(weights, -bound, bound)
