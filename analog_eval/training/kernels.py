"""The kernels of a module in training: noisy for the length of a block, clipped after a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from analog_eval.adapters.modules.tensors import grouped
from analog_eval.training.clipping import Clip
from analog_eval.training.recipes import Recipe

__all__ = ["Kernel", "Kernels"]


@dataclass(frozen=True, eq=False)
class Kernel:
    """One tensor of weights that would lie in a crossbar."""

    name: str
    tensor: torch.Tensor
    output_axis: int | None


class Kernels:
    """All the kernels of a module, each once.

    Parameters
    ----------
    module : torch.nn.Module
        Whose kernels; they are written to.

    Raises
    ------
    TypeError
        If the module's tensors are hidden (TorchScript, quantized).
    ValueError
        If there is no kernel, kernels lie on several devices, or a weight of any kind is NaN or infinite.
    """

    def __init__(self, module: nn.Module) -> None:
        groups = list(grouped(module))
        for group in groups:
            _check_finite(*group.members[0])
        kernels = [(*group.members[0], group.output_axis) for group in groups if group.role == "kernel"]
        self.all = [Kernel(name, tensor, axis) for name, tensor, axis in kernels if tensor.numel()]
        if not self.all:
            raise ValueError(f"model: {type(module).__name__} has no kernels, so there is nothing to harden")
        devices = {str(kernel.tensor.device) for kernel in self.all}
        if len(devices) > 1:
            raise ValueError(f"model: its kernels lie on several devices, {', '.join(sorted(devices))}")
        self.device = self.all[0].tensor.device

    def generator(self, seed: int) -> torch.Generator:
        """Return a source of random numbers on the device of the kernels."""
        return torch.Generator(self.device).manual_seed(seed)

    @contextmanager
    def noisy(self, recipe: Recipe | None, generator: torch.Generator) -> Iterator[None]:
        """Make the kernels noisy for the length of a ``with`` block; afterwards they have their bits back.

        What is computed back inside the block are gradients at the noisy weights; they stay on the module's own
        parameters, for a step from the clean ones.
        """
        if recipe is None:
            yield
            return
        originals = [kernel.tensor.detach().clone() for kernel in self.all]
        try:
            with torch.no_grad():
                for kernel, clean in zip(self.all, originals, strict=True):
                    kernel.tensor.copy_(recipe.perturb(clean, clean, kernel.output_axis, generator))
            yield
        finally:
            with torch.no_grad():
                for kernel, clean in zip(self.all, originals, strict=True):
                    kernel.tensor.copy_(clean)

    def clip(self, clip: Clip) -> None:
        """Clip the kernels that are trained; frozen ones are what they are."""
        with torch.no_grad():
            for kernel in self.all:
                if kernel.tensor.requires_grad:
                    kernel.tensor.copy_(clip(kernel.tensor, kernel.output_axis))


def _check_finite(name: str, tensor: torch.Tensor) -> None:
    n_bad = int((~torch.isfinite(tensor)).sum())
    if n_bad:
        raise ValueError(f"model: {name} holds {n_bad} NaN or infinite entries of {tensor.numel()}")
