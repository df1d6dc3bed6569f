"""Batch normalizations of one kind for those of another."""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import nn

from analog_eval.adapters.modules import check_module
from analog_eval.normalization.layers import (
    L1BatchNorm1d,
    L1BatchNorm2d,
    ScaleNorm,
    TopKBatchNorm1d,
    TopKBatchNorm2d,
    scale_of_variance,
)

__all__ = ["Kind", "convert_batchnorm"]

Kind: TypeAlias = Literal["l2", "l1", "topk"]
_CLASSES: dict[str, tuple[Any, Any]] = {
    "l2": (nn.BatchNorm1d, nn.BatchNorm2d),
    "l1": (L1BatchNorm1d, L1BatchNorm2d),
    "topk": (TopKBatchNorm1d, TopKBatchNorm2d),
}


def convert_batchnorm(module: nn.Module, kind: Kind, *, k: int = 10, calibrated: bool = False) -> nn.Module:
    """Return a copy of a module whose batch normalizations are all of one kind.

    Parameters
    ----------
    module : torch.nn.Module
        A module with any number of ``BatchNorm1d`` and ``BatchNorm2d``, or of those of this package.
    kind : {"l2", "l1", "topk"}
        What they become: torch's own, or those by L1 norm or by the greatest deviations.
    k, calibrated
        Of `TopKBatchNorm1d`.

    Returns
    -------
    torch.nn.Module
        Gains, shifts, running means, modes and options are kept, and the running scale is such that outputs in eval
        mode stay the same up to rounding.  What the new kind would have measured is another number: train on, or
        see `recalibrate_batchnorm`.

    Raises
    ------
    TypeError
        If `module` is no torch module.
    ValueError
        If `kind` is unknown, or a batch normalization is of a kind that has no counterpart, such as ``BatchNorm3d``.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    >>> [type(layer).__name__ for layer in convert_batchnorm(net, "l1")]
    ['Linear', 'L1BatchNorm1d']
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r} is not one of {', '.join(map(repr, get_args(Kind)))}")
    check_module(module)
    options = {"k": k, "calibrated": calibrated} if kind == "topk" else {}
    twin = copy.deepcopy(module)
    converted = {
        part: _converted(part, path, kind, options)
        for path, part in twin.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    }
    for owner in list(twin.modules()):
        for name, part in owner._modules.items():
            if part in converted:
                owner._modules[name] = converted[part]
    return converted.get(twin, twin)


def _converted(old: Any, path: str, kind: Kind, options: dict[str, Any]) -> nn.Module:
    place = next((i for i, base in enumerate((nn.BatchNorm1d, nn.BatchNorm2d)) if isinstance(old, base)), None)
    if place is None or not (isinstance(old, ScaleNorm) or type(old) in _CLASSES["l2"]):
        raise ValueError(f"module: {path or 'it'} is a {type(old).__name__}, which has no counterpart of kind {kind!r}")
    new = _CLASSES[kind][place](old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats, **options)
    # The very tensors of the copy: device, type and what requires gradients come with them.
    new.weight, new.bias = old.weight, old.bias
    for name in ("running_mean", "num_batches_tracked"):
        setattr(new, name, getattr(old, name))
    if old.running_mean is not None:
        with torch.no_grad():
            _hand_over_scale(old, new)
    return new.train(old.training)


def _hand_over_scale(old: Any, new: Any) -> None:
    if isinstance(old, ScaleNorm) and isinstance(new, ScaleNorm):
        new.running_scale = old.running_scale
    elif isinstance(new, ScaleNorm):
        new.running_scale = scale_of_variance(old.running_var, old.eps, new.eps)
    elif isinstance(old, ScaleNorm):
        new.running_var = ((old.running_scale + old.eps) ** 2 - new.eps).clamp(min=0.0)
    else:
        new.running_var = old.running_var
