"""What is measured by layer, or by output channel."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

__all__ = ["Per", "peaks", "reduced_axes"]

Per: TypeAlias = Literal["layer", "channel"]


def peaks(weights: torch.Tensor, per: Per, output_axis: int | None) -> torch.Tensor:
    """Return the largest absolute weight, of the tensor or of each output channel, in a shape that broadcasts."""
    if weights.numel() == 0:
        return weights.new_zeros((1,) * weights.ndim)
    return weights.abs().amax(dim=reduced_axes(weights, per, output_axis), keepdim=True)


def reduced_axes(weights: torch.Tensor, per: Per, output_axis: int | None) -> tuple[int, ...]:
    """Return the axes along which a layer's, or each output channel's, weights lie."""
    kept = None
    if per == "channel" and output_axis is not None:
        if not -weights.ndim <= output_axis < weights.ndim:
            raise ValueError(f"output_axis={output_axis} is no axis of a tensor of shape {tuple(weights.shape)}")
        kept = output_axis % weights.ndim
    return tuple(axis for axis in range(weights.ndim) if axis != kept)
