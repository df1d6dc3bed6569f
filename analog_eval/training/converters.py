"""Products in training as a crossbar with a periphery computes them, with gradients as if nothing were rounded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from analog_eval.adapters import further_uses, further_uses_note, of_memory
from analog_eval.adapters.modules import AnalogProducts, ModuleAdapter, RowProduct
from analog_eval.periphery import Periphery, wire_loss
from analog_eval.training.kernels import Kernel
from analog_eval.training.recipes import check_number

__all__ = ["Converters", "InputRanges", "converted"]

# Rows that tell what a kernel is used for.
_FEW = 16


@dataclass(frozen=True)
class InputRanges:
    r"""Input scales that are learned, one a layer.

    Parameters
    ----------
    sigmas : float, default=3.0
        Where they start: so many root mean squares of the layer's inputs, > 0, at most the greatest of them.
    learning_rate : float, default=0.01
        Of Adam on their logarithms, > 0; it falls with that of the weights.

    Raises
    ------
    TypeError, ValueError
        If a parameter is no number or out of range.

    Notes
    -----
    The gradient of a range r is that of :math:`r\, \mathrm{clip}(\mathrm{round}(x / r), \pm 1)` with rounding taken
    for the identity: the sign of x where it is clipped, elsewhere the rounding error, as in Esser et al., arXiv
    1902.08153, and what the noise of inputs and outputs, which grows with r, adds to the loss.  Learned ranges are from
    Rasch et al., arXiv 2302.08469, where the clipped part is all, and ranges shrink while few inputs are clipped.

    A start so large that nearly all inputs are rounded to 0, as where a few are a hundred times the others, is one from
    which nothing is learned; a smaller `sigmas` helps.
    """

    sigmas: float = 3.0
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("sigmas", "learning_rate"):
            check_number(getattr(self, name), name)
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be > 0")


class Converters(nn.Module):
    """What surrounds the kernels of a module in training.

    Parameters
    ----------
    periphery : Periphery
        How products are computed.
    ranges : InputRanges or None
        How input scales are learned; None: they are what the periphery says.
    kernels : sequence of Kernel
        The kernels that lie in crossbars, at least one.
    module : torch.nn.Module
        Whose they are.
    rows : sequence of Tensor
        Rows to start the ranges from, and to see by what the kernels are used for.

    Attributes
    ----------
    notes : tuple of str
        What there is to know about uses of the kernels.

    Raises
    ------
    ValueError
        If the module is not seen to multiply inputs by any of the kernels.
    """

    def __init__(
        self,
        periphery: Periphery,
        ranges: InputRanges | None,
        kernels: Sequence[Kernel],
        module: nn.Module,
        rows: Sequence[torch.Tensor],
    ) -> None:
        super().__init__()
        self._periphery, self._kernels = periphery, kernels
        seen = _inputs_of(module, self._kernels, rows)
        if not seen:
            names = ", ".join(kernel.name for kernel in self._kernels)
            raise ValueError(f"periphery: the model was not seen to multiply inputs by a whole kernel; it has {names}")
        self.notes = _notes(module, seen, rows)
        self._names: list[str] = []
        self.logarithms = nn.ParameterList()
        if ranges is not None:
            starts = {name: seen[name].start(ranges.sigmas) for name in seen}
            # A layer that gets nothing but zeros has no range to learn.
            self._names = [name for name, start in starts.items() if start > 0.0]
            device = self._kernels[0].tensor.device
            for name in self._names:
                self.logarithms.append(nn.Parameter(torch.tensor(starts[name], device=device).log()))

    def scales(self) -> dict[str, float]:
        """Return the learned scales by the name of the kernel."""
        return {name: float(own.detach().exp()) for name, own in zip(self._names, self.logarithms, strict=True)}

    @contextmanager
    def around(self, generator: torch.Generator) -> Iterator[None]:
        """Let the kernels multiply in crossbars for the length of a ``with`` block.

        To be entered with clean kernels: the greatest clean weight is what the greatest conductance stands for.
        """
        learned = {name: own.exp() for name, own in zip(self._names, self.logarithms, strict=True)}
        products = {id(k.tensor): self._product(k, learned.get(k.name), generator) for k in self._kernels}
        with AnalogProducts(products):
            yield

    def _product(self, kernel: Kernel, scale: torch.Tensor | None, generator: torch.Generator) -> RowProduct:
        peak = float(kernel.tensor.detach().abs().max())
        return lambda rows, matrix, _: converted(rows, matrix, self._periphery, peak, generator, scale)


def converted(
    X: torch.Tensor,
    W: torch.Tensor,
    periphery: Periphery,
    peak: float,
    generator: torch.Generator,
    scale: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return what `Periphery.product` returns, with other random numbers, and with gradients.

    Rounding has the gradient of the identity, clipping that of clipping; noise has none.

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_inputs)
        Inputs.
    W : Tensor of shape (n_outputs, n_inputs)
        Weights.
    periphery : Periphery
        How products are computed.
    peak : float
        Weight that the greatest conductance stands for.
    generator : torch.Generator
        Source of the noise.
    scale : Tensor of shape (), optional
        Input scale; default: that of the periphery.

    Returns
    -------
    Tensor of shape (n_rows, n_outputs)
    """
    if peak == 0.0:
        return X @ W.T
    with torch.autocast(X.device.type, enabled=False):
        rows, weights = X.to(W.dtype), W / peak
        return (_tiles(rows, weights, periphery, generator, scale) * peak).to(X.dtype)


def _tiles(
    X: torch.Tensor, W: torch.Tensor, periphery: Periphery, generator: torch.Generator, scale: torch.Tensor | None
) -> torch.Tensor:
    height, width = W.shape if periphery.tile_shape is None else periphery.tile_shape
    bands = []
    for part in W.split(max(1, height)):
        pairs = zip(X.split(max(1, width), dim=1), part.split(max(1, width), dim=1), strict=True)
        bands.append(sum(_tile(own, tile, periphery, generator, scale) for own, tile in pairs))
    return torch.cat(bands, dim=1)


def _tile(
    X: torch.Tensor, W: torch.Tensor, periphery: Periphery, generator: torch.Generator, scale: torch.Tensor | None
) -> torch.Tensor:
    if scale is None:
        fixed = periphery.input_scale.value
        scale = X.detach().abs().amax(dim=1, keepdim=True) if fixed is None else X.new_tensor(fixed)
    scaled = X / torch.where(scale > 0.0, scale, torch.ones_like(scale))
    outputs, pending = X.new_zeros(len(X), len(W)), torch.arange(len(X), device=X.device)
    for doublings in range(periphery.max_doublings + 1):
        size = 2.0**doublings
        currents = _currents(scaled[pending] / size, W, periphery, generator)
        reached = (currents.detach().abs() >= periphery.out_bound).any(dim=1)
        outputs = outputs.index_put((pending,), _read(currents, periphery) * size)
        pending = pending[reached]
        if not len(pending):
            break
    return outputs * scale


def _currents(x: torch.Tensor, W: torch.Tensor, periphery: Periphery, generator: torch.Generator) -> torch.Tensor:
    if periphery.in_bits is not None:
        x = _rounded(x, 2.0 / (2**periphery.in_bits - 2))
    x = x.clamp(-1.0, 1.0)
    if periphery.in_noise:
        x = x + periphery.in_noise * _normal(x, generator)
    currents = x @ W.T
    if periphery.ir_drop:
        place = torch.arange(W.shape[1], device=W.device, dtype=W.dtype) / W.shape[1]
        lost = wire_loss(x.abs() @ W.abs().T, W.shape[1])
        currents = currents - periphery.ir_drop * lost * (x @ (W * (1.0 - (1.0 - place) ** 2)).T)
    if periphery.read_noise:
        # Without a gradient: that of the root is infinite where a row is 0.
        spread = (x.detach() ** 2 @ W.detach().abs().T).sqrt()
        currents = currents + periphery.read_noise * spread * _normal(spread, generator)
    if periphery.out_noise:
        currents = currents + periphery.out_noise * _normal(currents, generator)
    return currents


def _read(currents: torch.Tensor, periphery: Periphery) -> torch.Tensor:
    if periphery.out_bits is not None:
        currents = _rounded(currents, 2.0 * periphery.out_bound / (2**periphery.out_bits - 2))
    return currents.clamp(-periphery.out_bound, periphery.out_bound)


def _rounded(values: torch.Tensor, step: float) -> torch.Tensor:
    return values + (torch.round(values.detach() / step) * step - values.detach())


def _normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.empty_like(like, requires_grad=False).normal_(generator=generator)


@dataclass
class _Seen:
    """What inputs a layer got."""

    squares: float = 0.0
    count: int = 0
    greatest: float = 0.0

    def add(self, rows: torch.Tensor) -> None:
        if rows.numel():
            values = rows.detach().double()
            self.squares, self.count = self.squares + float(values.square().sum()), self.count + values.numel()
            self.greatest = max(self.greatest, float(values.abs().max()))

    def start(self, sigmas: float) -> float:
        return min(self.greatest, sigmas * float(np.sqrt(self.squares / max(1, self.count))))


def _notes(module: nn.Module, multiplied: Collection[str], rows: Sequence[torch.Tensor]) -> tuple[str, ...]:
    """Say which kernels reach the outputs by another way than products through the periphery, too."""
    adapter = ModuleAdapter(module)
    positions = [i for i, tensor in enumerate(adapter.tensors) if tensor.name in multiplied]
    arrays = [tensor.values for tensor in adapter.tensors]
    try:
        also = further_uses(lambda changed: adapter.outputs(changed, rows[0][:_FEW]), arrays, positions)
    except Exception as error:
        # Sweeps do not take such a module, but it may be trained: one that answers with images, or wants more rows.
        if of_memory(error):
            raise
        return ()
    return (further_uses_note(adapter.tensors[i].name for i in also),) if also else ()


def _inputs_of(module: nn.Module, kernels: Sequence[Kernel], rows: Iterable[torch.Tensor]) -> Mapping[str, _Seen]:
    """Return what is seen of the inputs of each kernel that multiplies any, in the digital module in eval mode."""
    seen: dict[str, _Seen] = {}

    def watched(kernel: Kernel) -> RowProduct:
        def product(inputs: torch.Tensor, matrix: torch.Tensor, _: slice) -> torch.Tensor:
            seen.setdefault(kernel.name, _Seen()).add(inputs)
            return inputs @ matrix.T

        return product

    modes: list[tuple[Any, bool]] = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), AnalogProducts({id(kernel.tensor): watched(kernel) for kernel in kernels}):
            for part in rows:
                module(part.to(kernels[0].tensor.device))
    finally:
        for part, training in modes:
            part.training = training
    return seen
