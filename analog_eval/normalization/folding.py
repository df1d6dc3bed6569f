"""Batch normalizations folded into the products before or after them."""

from __future__ import annotations

import copy
from collections import Counter
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from analog_eval.adapters.modules import check_module, is_plain
from analog_eval.normalization.layers import ScaleNorm

__all__ = ["Folded", "fold_batchnorm"]

# Products that a normalization can be folded into, with the number of dimensions of their inputs and outputs.
_PRODUCTS = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}
# What normalizations that are known compute; a subclass with another may do anything.
_FORWARDS = (_BatchNorm.forward, nn.SyncBatchNorm.forward, ScaleNorm.forward)
# Properties of a tensor that a fold does not change.
_HARMLESS = ("shape", "ndim", "dtype", "device")


class Folded(nn.Module):
    """Stands where a batch normalization was folded away; it returns its input, or a copy.

    Parameters
    ----------
    ndim : int
        Number of dimensions for which the fold is exact.  A ``Linear`` also takes inputs of three, whose
        normalization would run along the second one; so other numbers are an error.
    copies : bool, default=False
        Whether it returns a copy, as before a product, which must see its input even if that is written to meanwhile.

    Examples
    --------
    >>> import torch
    >>> Folded(2)(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, ndim: int, *, copies: bool = False) -> None:
        super().__init__()
        self.ndim, self.copies = ndim, copies

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x` or a copy; raise ``ValueError`` if it has another number of dimensions."""
        if x.ndim != self.ndim:
            raise ValueError(f"a batch normalization was folded for inputs of {self.ndim} dimensions, got {x.ndim}")
        return x.clone() if self.copies else x


def fold_batchnorm(module: nn.Module, *, strict: bool = True) -> nn.Module:
    r"""Return a copy of a module without batch normalizations that gives the same outputs in eval mode.

    In eval mode a normalization is :math:`a x + b` for each channel, and so part of a product that is next to it: after
    it, :math:`W' = a W` and :math:`b' = a b_W + b`; before it, :math:`W' = W a` and :math:`b' = b_W + W b`.  That is
    how a net gets onto a crossbar, and it changes what weight noise does, because the noise of a level grows with the
    folded kernel.

    Parameters
    ----------
    module : torch.nn.Module
        A module that ``torch.fx`` can trace: no control flow that depends on the data.
    strict : bool, default=True
        Whether a normalization that cannot be folded is an error; otherwise it stays.

    Returns
    -------
    torch.nn.Module
        In eval mode.  `Folded` stands for every normalization that is gone.

    Raises
    ------
    ValueError
        If `strict` and a normalization is not next to a ``Linear`` or a convolution, or is not used just once, has no
        running statistics, a forward or a hook of its own, or precedes a convolution that pads with zeros.  Tensors
        that the module reads beside calling the part that owns them count as another use.  The message names all.
    TypeError
        If `module` is no torch module, or cannot be traced.

    Notes
    -----
    Computed in double precision and rounded once, to the type of the weights.  A normalization is folded into the
    product before it where that is possible.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU()).eval()
    >>> x = torch.randn(5, 1, 8, 8)
    >>> torch.allclose(fold_batchnorm(net)(x), net(x), atol=1e-6)
    True
    """
    check_module(module)
    twin = copy.deepcopy(module).eval()
    parts = dict(twin.named_modules())
    left = {}
    nodes, read = _trace(twin)
    calls = Counter(parts[node.target] for node in nodes)
    for part in parts.values():
        # What is read beside the module's own call is as good as a second one.
        calls[part] += any(id(tensor) in read for tensor in (*part._parameters.values(), *part._buffers.values()))
    for node in nodes:
        if not isinstance(parts[node.target], _BatchNorm):
            continue
        reason = _folded(node, parts, calls)
        if reason is None:
            owner, _, name = node.target.rpartition(".")
            parts[owner]._modules[name] = parts[node.target]
        else:
            left[node.target] = reason
    if strict:
        _check_none_left(twin, left)
    return twin


def _check_none_left(module: nn.Module, reasons: dict[str, str]) -> None:
    left = [
        f"{path or 'the module'} ({type(part).__name__}): {reasons.get(path, 'no product is next to it')}"
        for path, part in module.named_modules()
        if isinstance(part, _BatchNorm)
    ]
    if left:
        raise ValueError(f"module: cannot fold {'; '.join(left)}. Give strict=False to leave what cannot be folded")


class _Tracer(fx.Tracer):
    """Looks into all modules but torch's own and normalizations."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether to stay outside."""
        return isinstance(m, _BatchNorm | Folded) or super().is_leaf_module(m, module_qualified_name)


class _ShallowTracer(_Tracer):
    """Stays outside of modules that have no parts, too, which may do what cannot be traced."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether to stay outside."""
        return not any(True for _ in m.children()) or super().is_leaf_module(m, module_qualified_name)


class _Reads(TorchFunctionMode):
    """Collects the tensors that torch's functions get while a graph is made, which has only what comes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.tensors += tree_leaves((args, kwargs))
        return func(*args, **(kwargs or {}))


def _trace(module: nn.Module) -> tuple[list[fx.Node], set[int]]:
    """Return the calls of modules, in order, and the identities of all tensors that are read beside them."""
    if not any(True for _ in module.children()):
        return [], set()
    try:
        graph, reads = _traced(_Tracer(), module)
    except Exception:
        try:
            graph, reads = _traced(_ShallowTracer(), module)
        except Exception as error:
            raise TypeError(f"module: torch.fx cannot trace {type(module).__name__}: {error}") from error
    reads += [attrgetter(str(node.target))(module) for node in graph.nodes if node.op == "get_attr" and _matters(node)]
    return [node for node in graph.nodes if node.op == "call_module"], {id(tensor) for tensor in reads}


def _traced(tracer: fx.Tracer, module: nn.Module) -> tuple[fx.Graph, list[Any]]:
    with _Reads() as reads:
        return tracer.trace(module), reads.tensors


def _matters(node: fx.Node) -> bool:
    """Whether more is read of a tensor than a fold leaves as it is."""
    return any(user.target is not getattr or user.args[1] not in _HARMLESS for user in node.users)


def _folded(node: fx.Node, parts: dict[str, nn.Module], calls: Counter[nn.Module]) -> str | None:
    """Fold one normalization into a neighbour, or return why that cannot be done."""
    norm: Any = parts[node.target]
    if type(norm).forward not in _FORWARDS or not is_plain(norm):
        return "it has a forward or a hook of its own"
    if calls[norm] > 1:
        return f"it is used {calls[norm]} times"
    if norm.running_mean is None:
        return "it has no running statistics"
    factor, shift = _affine(norm)
    before = _product(node.all_input_nodes[0], parts, calls)
    if before is not None and len(node.all_input_nodes[0].users) == 1:
        _scale_outputs(before, factor, shift)
        parts[node.target] = Folded(_PRODUCTS[type(before)]).eval()
        return None
    users = list(node.users)
    after = _product(users[0], parts, calls) if len(users) == 1 else None
    if after is None:
        return "no Linear or convolution of its own is next to it"
    if _pads_with_zeros(after) and bool((shift != 0.0).any()):
        return "the convolution after it pads with zeros, which the normalization would have shifted"
    _scale_inputs(after, factor, shift)
    # Others may write to what comes in before the product reads it.
    parts[node.target] = Folded(_PRODUCTS[type(after)], copies=True).eval()
    return None


def _product(node: fx.Node, parts: dict[str, nn.Module], calls: Counter[nn.Module]) -> Any:
    """Return the product that a node calls, if it is a plain one that is used nowhere else."""
    part: Any = parts.get(str(node.target)) if node.op == "call_module" else None
    return part if type(part) in _PRODUCTS and is_plain(part) and calls[part] == 1 else None


def _affine(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return factor and shift of each channel in eval mode, in double precision."""
    if isinstance(norm, ScaleNorm):
        factor = 1.0 / (norm.running_scale.double() + norm.eps)
    else:
        factor = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    shift = -norm.running_mean.double() * factor
    return factor, shift if norm.bias is None else shift + norm.bias.detach().double()


def _scale_outputs(product: Any, factor: torch.Tensor, shift: torch.Tensor) -> None:
    kernel = product.weight.detach().double()
    _write(product, kernel * factor.view(-1, *[1] * (kernel.ndim - 1)), _bias(product) * factor + shift)


def _scale_inputs(product: Any, factor: torch.Tensor, shift: torch.Tensor) -> None:
    kernel = product.weight.detach().double()
    groups = getattr(product, "groups", 1)

    # Every group of outputs sees its own channels.
    def seen(values: torch.Tensor) -> torch.Tensor:
        by_output = values.view(groups, -1).repeat_interleave(len(kernel) // groups, dim=0)
        return by_output.view(len(kernel), -1, *[1] * (kernel.ndim - 2))

    moved = (kernel * seen(shift)).flatten(1).sum(dim=1)
    _write(product, kernel * seen(factor), _bias(product) + moved)


def _bias(product: Any) -> torch.Tensor:
    if product.bias is not None:
        return product.bias.detach().double()
    return torch.zeros(len(product.weight), dtype=torch.float64, device=product.weight.device)


def _write(product: Any, kernel: torch.Tensor, bias: torch.Tensor) -> None:
    # New parameters: the old ones may be tied to those of another module.
    old = product.weight
    product.weight = nn.Parameter(kernel.to(old.dtype), requires_grad=old.requires_grad)
    product.bias = nn.Parameter(bias.to(old.dtype), requires_grad=old.requires_grad)


def _pads_with_zeros(product: Any) -> bool:
    padding = getattr(product, "padding", 0)
    if getattr(product, "padding_mode", "zeros") != "zeros" or padding == "valid":
        return False
    return padding == "same" or any(padding if isinstance(padding, tuple) else (padding,))
