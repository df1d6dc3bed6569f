"""Running statistics measured anew, such as those of a net whose weights have become noisy."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from analog_eval.adapters.modules import check_module, module_rows, unchanged_rng

__all__ = ["recalibrate_batchnorm"]


def recalibrate_batchnorm(module: nn.Module, X: Any, *, batch_size: int = 256) -> nn.Module:
    """Return a copy of a module whose batch normalizations have the running statistics of given rows.

    Parameters
    ----------
    module : torch.nn.Module
        A module with batch normalizations, of torch or of this package.
    X : array-like or Tensor of shape (n_rows, ...), or iterable of batches
        Rows to measure; labels are not needed.  A batch is an array or tensor, or a tuple or list that begins with one,
        as a ``DataLoader`` yields them.
    batch_size : int, default=256
        Most rows of a batch, if `X` is an array: batches are as equal as they can be.

    Returns
    -------
    torch.nn.Module
        On the same device and in the same mode as `module`; only running statistics differ.  They are the plain average
        over the batches, in which normalizations use the statistics of the batch and everything else is in eval mode.

    Raises
    ------
    TypeError
        If `module`, `X` or `batch_size` is of a wrong kind.
    ValueError
        If there are no batch normalizations with running statistics, fewer than 2 rows, or `X` is not finite.

    Notes
    -----
    Statistics change with noise, and measuring them on the device repairs a part of the damage.  Called inside
    `analog_eval.inject_noise` it does just that: the copy has the noisy weights of one device, and its statistics.

    Examples
    --------
    >>> import torch
    >>> from analog_eval import GaussianNoise, inject_noise
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    >>> X = torch.randn(100, 4)
    >>> with inject_noise(net, GaussianNoise("std"), 0.3):
    ...     device = recalibrate_batchnorm(net, X)
    >>> y = device.eval()(X)
    >>> torch.allclose(y.mean(dim=0), torch.zeros(3), atol=1e-5)
    True
    """
    check_module(module)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int):
        raise TypeError(f"batch_size must be an int, got {batch_size!r}")
    if batch_size < 2:
        raise ValueError(f"batch_size={batch_size} must be >= 2")
    twin: Any = copy.deepcopy(module)
    norms = [part for part in twin.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.running_mean is not None]
    if not norms:
        raise ValueError(f"module: {type(module).__name__} has no batch normalization with running statistics")
    modes = [(part, part.training) for part in twin.modules()]
    momenta = [(norm, norm.momentum) for norm in norms]
    _measure(twin, norms, _batches(module, X, batch_size))
    for part, training in modes:
        part.training = training
    for norm, momentum in momenta:
        norm.momentum = momentum
    return twin


def _measure(module: Any, norms: list[Any], batches: Iterator[torch.Tensor]) -> None:
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # the average of all batches
    device = norms[0].running_mean.device
    n_batches = 0
    with torch.no_grad(), unchanged_rng(device):
        for batch in batches:
            if batch.is_floating_point() and not torch.isfinite(batch).all():
                raise ValueError(f"X holds {int((~torch.isfinite(batch)).sum())} NaN or infinite entries in a batch")
            module(batch.to(device))
            n_batches += 1
    if n_batches == 0:
        raise ValueError("X holds no batches")


def _batches(module: nn.Module, X: Any, batch_size: int) -> Iterator[torch.Tensor]:
    """Yield batches of 2 rows or more, in the type that the module computes in."""
    if hasattr(X, "shape"):
        n_rows = X.shape[0] if X.shape else 0
        if n_rows < 2:
            raise ValueError(f"X must have at least 2 rows to measure, got shape {tuple(X.shape)}")
        # One row alone has no deviation.
        yield from module_rows(module, X).tensor_split(min(-(-n_rows // batch_size), n_rows // 2))
        return
    if not isinstance(X, Iterable):
        raise TypeError(f"X must be an array, a tensor or an iterable of batches, got {type(X).__name__}")
    for batch in X:
        yield module_rows(module, batch[0] if isinstance(batch, tuple | list) else batch)
