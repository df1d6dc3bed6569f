"""Rows, labels and weights, checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from analog_eval.adapters import as_array
from analog_eval.adapters.modules import module_rows

__all__ = ["Batch", "Rows", "check_rows"]

# Rows, labels and weights (None: all 1).
Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with labels or targets, and weights if they differ."""

    X: torch.Tensor
    y: torch.Tensor
    weights: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: torch.Tensor | slice) -> Rows:
        return Rows(self.X[rows], self.y[rows], None if self.weights is None else self.weights[rows])

    @property
    def batch(self) -> Batch:
        """All as one batch."""
        return self.X, self.y, self.weights

    def digest(self) -> str:
        """Return a fingerprint of the contents."""
        parts = [part.contiguous().cpu() for part in self.batch if part is not None]
        sha = hashlib.sha256("|".join(f"{part.dtype}{tuple(part.shape)}" for part in parts).encode())
        for part in parts:
            sha.update(part.reshape(-1).view(torch.uint8).numpy().data)
        return sha.hexdigest()


def check_rows(module: nn.Module, X: Any, y: Any, sample_weight: Any = None, *, what: str = "") -> Rows:
    """Return rows in the types that `module` and the losses compute in, or raise, naming arguments after `what`.

    Integers in `y` become int64, floats the type of the module.  Rows of weight 0 are left out: they are not there.
    """
    inputs = module_rows(module, X)
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"{what}X must have rows, got shape {tuple(inputs.shape)}")
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        raise ValueError(f"{what}X holds {int((~torch.isfinite(inputs)).sum())} NaN or infinite entries")
    targets, weights = _targets(module, y, what), _weights(sample_weight, what)
    for name, values in (("y", targets), ("sample_weight", weights)):
        if values is not None and (values.ndim == 0 or len(values) != len(inputs)):
            raise ValueError(f"{what}{name} has shape {tuple(values.shape)}, but {what}X has {len(inputs)} rows")
    if weights is None:
        return Rows(inputs, targets, None)
    rows = Rows(inputs, targets, weights)[weights > 0.0]
    if len(rows) == 0:
        raise ValueError(f"{what}sample_weight is 0 in every row")
    return rows


def _targets(module: nn.Module, y: Any, what: str) -> torch.Tensor:
    values = as_array(y)
    if values.dtype.kind == "O":
        values = np.array(values.tolist())
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{what}y holds {values.dtype}, but a torch module answers with class numbers: give 0, 1, ...")
    if values.dtype.kind != "f":
        return torch.from_numpy(values.astype(np.int64))
    if not np.isfinite(values).all():
        raise ValueError(f"{what}y holds {int((~np.isfinite(values)).sum())} NaN or infinite entries")
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    return torch.from_numpy(np.array(values)).to(dtype)


def _weights(sample_weight: Any, what: str) -> torch.Tensor | None:
    if sample_weight is None:
        return None
    try:
        weights = np.array(as_array(sample_weight), dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{what}sample_weight must hold numbers") from None
    if weights.ndim != 1:
        raise ValueError(f"{what}sample_weight must have shape (n_rows,), got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0.0).any():
        raise ValueError(f"{what}sample_weight holds entries that are negative, NaN or infinite")
    return torch.from_numpy(weights)
