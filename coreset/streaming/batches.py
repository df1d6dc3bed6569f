"""What an iterable of batches may hold."""

from __future__ import annotations

import os
from typing import Any


def check_batches(batches: object) -> None:
    """Raise TypeError for what is a table, or the path of one, instead of an iterable of tables."""
    if hasattr(batches, "shape") or isinstance(batches, str | os.PathLike):
        kind = "one table" if hasattr(batches, "shape") else "a path"
        raise TypeError(f"batches is {kind}, expected an iterable of tables; fit takes a single table")


def parts_of(batch: Any) -> tuple[Any, Any, Any] | None:
    """Table, labels and weights of a batch, which is a table or a tuple of up to three; None where it has no rows.

    Raises
    ------
    ValueError
        When it has another number of parts.
    TypeError
        When it is a list of tables.
    """
    parts = batch if isinstance(batch, tuple) else (batch,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"batch has {len(parts)} parts, expected X, (X, y) or (X, y, sample_weight)")
    X, y, sample_weight = (*parts, None, None)[:3]
    if isinstance(X, list) and any(hasattr(part, "shape") for part in X):
        raise TypeError("batch is a list of tables, expected a table or a tuple (X, y)")
    return None if getattr(X, "shape", (1,))[:1] == (0,) else (X, y, sample_weight)
