"""Products of a torch module that are computed elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from analog_eval.adapters.analog import AnalogKernel

__all__ = ["AnalogProducts", "RowProduct", "by_analog_kernel"]

#: From rows of shape (n_rows, n_inputs) and the matrix that they meet, of shape (n_outputs, n_inputs), to the products;
#: and the part of all outputs that the matrix has.
RowProduct: TypeAlias = Callable[[torch.Tensor, torch.Tensor, slice], torch.Tensor]

# Numbers in the patches that are unfolded at a time.
_PATCHES = 2**19


class AnalogProducts(TorchFunctionMode):
    """Inside a ``with`` block, linear layers and convolutions in one and two dimensions multiply by other functions.

    A convolution is the product of its unfolded patches and the kernel, one row a patch; each group is a matrix of its
    own.  What a module computes from its weights by any other operation stays as it is.

    Parameters
    ----------
    products : mapping of int to callable
        By the ``id`` of the tensors that hold the kernels; see `RowProduct`.
    """

    def __init__(self, products: Mapping[int, RowProduct]) -> None:
        super().__init__()
        self._products = products

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        compute = {F.linear: _linear, F.conv1d: _conv, F.conv2d: _conv}.get(func)
        kwargs = kwargs or {}
        weight = kwargs.get("weight", args[1] if len(args) > 1 else None)
        product = self._products.get(id(weight))
        if compute is None or product is None:
            return func(*args, **kwargs)
        return compute(product, *args, **kwargs)


def by_analog_kernel(kernel: AnalogKernel) -> RowProduct:
    """Return the products of an analog kernel, in the type and at the place of the rows."""

    def product(rows: torch.Tensor, matrix: torch.Tensor, outputs: slice) -> torch.Tensor:
        # Types of half a float's precision are none of NumPy's, or slow there.
        values = rows.detach().to(torch.promote_types(rows.dtype, torch.float32)).cpu().numpy()
        found = kernel.multiply(values, lambda array: array.reshape(len(array), -1)[outputs])
        return torch.from_numpy(found).to(rows.device, rows.dtype)

    return product


def _linear(
    product: RowProduct, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    # input and weight: the names that torch's own function has.
    outputs = product(input.reshape(-1, input.shape[-1]), weight, slice(None))
    outputs = outputs.reshape(*input.shape[:-1], weight.shape[0])
    return outputs if bias is None else outputs + bias


def _conv(
    product: RowProduct,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    n_axes = weight.ndim - 2
    sizes, steps, gaps = tuple(weight.shape[2:]), _each(stride, n_axes), _each(dilation, n_axes)
    images = input if input.ndim == weight.ndim else input[None]
    images = F.pad(images, _padding(padding, sizes, gaps))
    shape = [
        (length - gap * (size - 1) - 1) // step + 1
        for length, size, step, gap in zip(images.shape[2:], sizes, steps, gaps, strict=True)
    ]
    if n_axes == 1:
        # An image of one line.
        images, sizes, steps, gaps = images[:, :, None], (1, *sizes), (1, *steps), (1, *gaps)
    # Autograd keeps all patches, and would keep what belongs to the kernel once a part.
    parts = [images] if torch.is_grad_enabled() else _parts(images, sizes)
    outputs = torch.cat([_convolved(product, part, weight, sizes, steps, gaps, groups) for part in parts])
    outputs = outputs.reshape(len(images), weight.shape[0], *shape)
    if bias is not None:
        outputs = outputs + bias.reshape(-1, *[1] * n_axes)
    return outputs if input.ndim == weight.ndim else outputs[0]


def _convolved(
    product: RowProduct,
    images: torch.Tensor,
    weight: torch.Tensor,
    sizes: tuple[int, ...],
    steps: tuple[int, ...],
    gaps: tuple[int, ...],
    groups: int,
) -> torch.Tensor:
    """Return the outputs for padded images, of shape (n_images, n_outputs, n_patches)."""
    height, matrix = weight.shape[0] // groups, weight.reshape(len(weight), -1)
    outputs = []
    for group, channels in enumerate(images.chunk(groups, dim=1)):
        patches = F.unfold(channels, sizes, dilation=gaps, stride=steps).transpose(1, 2)
        rows = patches.reshape(-1, patches.shape[2])
        lines = slice(group * height, (group + 1) * height)
        own = product(rows, matrix[lines], lines)
        outputs.append(own.reshape(*patches.shape[:2], height))
    return torch.cat(outputs, dim=2).transpose(1, 2)


def _parts(images: torch.Tensor, sizes: Sequence[int]) -> Iterator[torch.Tensor]:
    """Yield as many images at a time as have room when they are unfolded."""
    # A patch at every place is the most there can be.
    unfolded = max(1, images[0].numel() * sizes[0] * sizes[1]) if len(images) else 1
    yield from images.split(max(1, _PATCHES // unfolded))


def _padding(padding: Any, sizes: Sequence[int], gaps: Sequence[int]) -> list[int]:
    """Return the zeros before and after each axis, the last axis first, as ``torch.nn.functional.pad`` takes them."""
    if padding == "same":
        total = [gap * (size - 1) for size, gap in zip(sizes, gaps, strict=True)]
        pairs = [(zeros // 2, zeros - zeros // 2) for zeros in total]
    else:
        pairs = [(zeros, zeros) for zeros in _each(0 if padding == "valid" else padding, len(sizes))]
    return [zeros for pair in reversed(pairs) for zeros in pair]


def _each(value: Any, n_axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values if len(values) == n_axes else values * n_axes
