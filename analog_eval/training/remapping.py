"""Kernels whose channels use the whole range of conductances, with the channels' scales kept in digital."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import nn

from analog_eval.adapters.modules import check_module, is_plain
from analog_eval.training.recipes import peaks

__all__ = ["Remapped", "remap_channels"]

# Products with outputs along the first axis of the kernel; the number of axes after the channels of what they return.
_PRODUCTS = {nn.Linear: 0, nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}


class Remapped(nn.Module):
    """A product with a largest weight of 1 in every output channel; the outputs are scaled in digital.

    Made by `remap_channels`.

    Parameters
    ----------
    product : Linear, Conv1d, Conv2d or Conv3d
        The product; it is taken over and changed.

    Attributes
    ----------
    product : torch.nn.Module
        The product without its bias.
    scale : Tensor of shape (n_outputs,)
        Largest absolute weight that each channel had; a buffer, so no noise touches it.
    bias : Parameter of shape (n_outputs,) or None
        What is added after scaling.

    Notes
    -----
    Modules that read the weights of their layers, as ``nn.TransformerEncoderLayer`` does in eval mode, find the scaled
    ones in ``weight``, and sizes, strides and the like under their own names.  To write to them is of no effect.

    How to save and load: see `remap_channels`.

    Examples
    --------
    >>> layer = Remapped(torch.nn.Linear(3, 2))
    >>> layer.product.weight.abs().amax(dim=1).tolist()
    [1.0, 1.0]
    """

    scale: torch.Tensor

    def __init__(self, product: nn.Module) -> None:
        super().__init__()
        own: Any = product
        if type(own) not in _PRODUCTS:
            names = ", ".join(kind.__name__ for kind in _PRODUCTS)
            raise TypeError(f"product must be one of {names}, got {type(own).__name__}")
        self._n_axes = _PRODUCTS[type(own)]
        self.product = product
        self.bias, own.bias = own.bias, None
        self.register_buffer("scale", own.weight.new_ones(len(own.weight)).detach())
        self.rescale()

    @property
    def weight(self) -> torch.Tensor:
        """The weights that the outputs have after scaling, computed anew at every look."""
        own: Any = self.product
        return own.weight * self.scale.view(-1, *[1] * (own.weight.ndim - 1))

    def __getattr__(self, name: str) -> Any:
        """Return a part of this module, or a setting of the product."""
        product = self.__dict__.get("_modules", {}).get("product")
        if product is not None and name in product.__constants__:
            return getattr(product, name)
        return super().__getattr__(name)

    def rescale(self) -> None:
        """Move into the scales what the kernel has moved away from a largest weight of 1 since; channels of 0 stay."""
        own: Any = self.product
        with torch.no_grad():
            peak = peaks(own.weight, "channel", 0)
            peak = torch.where(peak > 0.0, peak, torch.ones_like(peak))
            own.weight.div_(peak)
            self.scale.mul_(peak.flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``product(x) * scale + bias``."""
        shape = (-1, *[1] * self._n_axes)
        scaled = self.product(x) * self.scale.view(shape)
        return scaled if self.bias is None else scaled + self.bias.view(shape)


def remap_channels(module: nn.Module) -> nn.Module:
    """Return a copy of a module with every output channel scaled to a largest weight of 1, the scales kept in digital.

    The function is the same, but for rounding.  On a crossbar, whose greatest conductance stands for the largest weight
    of a tensor, channels of small weights no longer drown in the noise: it is relative to the largest weight of each
    channel now.

    Parameters
    ----------
    module : torch.nn.Module
        A module with ``Linear`` layers or convolutions.

    Returns
    -------
    torch.nn.Module
        On the same device and in the same mode as `module`.  `Remapped` stands for every layer that could be scaled:
        those with a kernel and bias of their own, without hooks or a ``forward`` set on the very layer.
        `harden` keeps the largest weights at 1.

    Raises
    ------
    TypeError
        If `module` is no torch module.
    ValueError
        If no layer can be scaled.

    Notes
    -----
    Channel-wise weight scaling of Rasch et al., arXiv 2302.08469.

    Kernels have other names than before, such as ``0.product.weight`` for ``0.weight``.  Input scales that `harden`
    learned go by the old ones: ``result.remapped()`` remaps ``result.model`` and renames its ``input_scales``.  A
    ``state_dict`` of the remapped net is loaded into one that was made in the same way: build the net, untrained,
    remap it, load.

    Best remap when training is over, and train with noise and clipping by channel, ``AddNormal(0.1, "channel")``: that
    is the noise which the remapped net will have.  A remapped net can be trained, too, but its weights are larger, so
    the steps of Adam, which know no scale, are relatively smaller: it needs a greater learning rate.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> x = torch.randn(5, 4)
    >>> remapped = remap_channels(net)
    >>> torch.allclose(remapped(x), net(x), atol=1e-6)
    True

    What was saved by ``torch.save(remapped.state_dict(), path)`` is loaded into an untrained net, remapped:

    >>> fresh = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> again = remap_channels(fresh)
    >>> _ = again.load_state_dict(remapped.state_dict())
    >>> torch.equal(again(x), remapped(x))
    True
    """
    check_module(module)
    twin = copy.deepcopy(module)
    holders = Counter(p.data_ptr() for part in twin.modules() for p in part._parameters.values() if p is not None)
    if _is_scalable(twin, holders):
        return Remapped(twin).train(twin.training)
    done: dict[nn.Module | None, Remapped] = {}
    for parent in list(twin.modules()):
        if isinstance(parent, Remapped):
            continue
        for name, part in parent._modules.items():
            if part is not None and part not in done and _is_scalable(part, holders):
                done[part] = Remapped(part).train(part.training)
            if part in done:
                parent._modules[name] = done[part]
    if not done:
        raise ValueError(f"module: {type(module).__name__} has no Linear or convolution that can be scaled")
    return twin


def _is_scalable(part: Any, holders: Counter[int]) -> bool:
    if type(part) not in _PRODUCTS or part.weight.numel() == 0 or not is_plain(part):
        return False
    return all(holders[p.data_ptr()] == 1 for p in part._parameters.values() if p is not None)
