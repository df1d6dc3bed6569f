"""Which tensors a torch module has, each once, and their roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import nn
from torch.nn.utils import parametrize

from analog_eval.adapters.base import Role

__all__ = ["Group", "check_module", "grouped", "is_plain", "module_rows", "numpy_view", "unwrapped"]

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
# Called around the forward of a module: what they expect to see is gone once the module is changed or inside another.
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LOOKUPS = (nn.Embedding, nn.EmbeddingBag)
# Running statistics by name, with the least value that means anything.
_STATISTICS = {"running_mean": -np.inf, "running_var": 0.0, "running_scale": 0.0}
# Modules whose kernels have their outputs along the first axis, and those whose kernels have them along the second.
_OUTPUTS_FIRST = (
    nn.Linear,
    nn.Bilinear,
    nn.MultiheadAttention,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
)
_OUTPUTS_SECOND = (nn.Embedding, nn.EmbeddingBag, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# Modules that wrap another one, and where they keep it.
_WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}


@dataclass(frozen=True, eq=False)
class Group:
    """One tensor under all of its names."""

    role: Role
    lowest: float
    output_axis: int | None
    members: list[tuple[str, torch.Tensor]]


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module inside wrappers that compile or distribute it; raise for kinds whose tensors are hidden."""
    while type(module).__name__ in _WRAPPERS:
        module = getattr(module, _WRAPPERS[type(module).__name__])
    if isinstance(module, torch.jit.ScriptModule):
        raise TypeError("model: cannot see the weights of a TorchScript module; give the module that it was made from")
    return module


def grouped(module: nn.Module) -> list[Group]:
    """Return the parameters and running statistics of a module, each once, in the order of ``named_modules``."""
    groups: dict[Any, Group] = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        _check_owner(path, owner)
        for key, tensor, role, lowest in _owned(owner):
            name = f"{path}.{key}" if path else key
            _check_tensor(name, tensor)
            groups.setdefault(_memory(tensor), Group(role, lowest, _output_axis(owner), [])).members.append(
                (name, tensor)
            )
    return list(groups.values())


def _owned(owner: nn.Module) -> Iterator[tuple[str, torch.Tensor, Role, float]]:
    norm = isinstance(owner, _NORMS) or "running_mean" in owner._buffers
    for key, tensor in owner._parameters.items():
        if tensor is not None:
            yield key, tensor, _role(key, tensor, norm), -np.inf
    for key, lowest in _STATISTICS.items():
        tensor = owner._buffers.get(key)
        if tensor is not None:
            yield key, tensor, "statistic", lowest


def _role(key: str, tensor: torch.Tensor, norm: bool) -> Role:
    bias = "bias" in key
    if norm:
        return "shift" if bias else "gain"
    if bias:
        return "bias"
    return "kernel" if tensor.ndim >= 2 else "gain"


def _output_axis(owner: nn.Module) -> int | None:
    if isinstance(owner, _OUTPUTS_FIRST):
        return 0
    return 1 if isinstance(owner, _OUTPUTS_SECOND) else None


def _memory(tensor: torch.Tensor) -> Any:
    """Return what two names of one tensor have in common, even if they are separate objects on the same memory."""
    if tensor.numel() == 0:
        return id(tensor)
    return tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()


def _check_owner(path: str, owner: nn.Module) -> None:
    """Raise if weights of this very module are computed from other tensors in every call."""
    where = f"model: {path or 'the module'}"
    if parametrize.is_parametrized(owner):
        names = ", ".join(owner.parametrizations)
        raise ValueError(
            f"{where} computes {names} by parametrizations, so what a device would store is not a tensor of the model; "
            "call torch.nn.utils.parametrize.remove_parametrizations on a copy first"
        )
    for hook in owner._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils."):
            raise ValueError(
                f"{where} computes a weight before every call ({type(hook).__name__} of {type(hook).__module__}); make "
                "it a plain weight first (remove_weight_norm, remove_spectral_norm or prune.remove)"
            )


def _check_tensor(name: str, tensor: torch.Tensor) -> None:
    if nn.parameter.is_lazy(tensor):
        raise ValueError(f"model: {name} has no values yet; run the module on a batch first")
    if tensor.is_meta:
        raise ValueError(f"model: {name} is on the meta device and has no values")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else f"of layout {tensor.layout}"
        raise TypeError(f"model: {name} is {kind}; only dense tensors can be noisy")
    if not tensor.is_floating_point():
        raise TypeError(f"model: {name} must hold real numbers, got {tensor.dtype}")


def check_module(module: object) -> None:
    """Raise ``TypeError`` unless `module` is one of torch."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")


def is_plain(part: nn.Module) -> bool:
    """Whether calling a module does no more than its class says; a hook would see other numbers, or change them."""
    return "forward" not in vars(part) and not any(getattr(part, hooks) for hooks in _HOOKS)


def numpy_view(tensor: torch.Tensor) -> NDArray[Any]:
    """Return what NumPy sees of a tensor: its own memory where that is possible."""
    plain = tensor.detach()
    if plain.dtype not in (torch.float32, torch.float64, torch.float16):
        plain = plain.float()
    return np.asarray(plain.cpu().numpy())


def module_rows(module: nn.Module, X: Any) -> torch.Tensor:
    """Return a copy of the rows `X` in the type that the module computes in; integers stay if it looks things up."""
    if issparse(X):
        raise TypeError("X is sparse; a torch module needs dense rows, X.toarray()")
    if not isinstance(X, torch.Tensor):
        array = np.array(X, order="C")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"X must hold numbers, got dtype {array.dtype}")
        X = torch.from_numpy(array)
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    if not X.is_floating_point() and any(isinstance(part, _LOOKUPS) for part in module.modules()):
        dtype = torch.int64
    return X.detach().to(dtype, copy=True)
