"""What all shards together say of their target."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, clone

from ..construction import RobustCoreset
from ..labels import as_labels
from ..targets import NUMERIC, is_continuous
from ..validation import is_polars_frame
from .base import Source


def with_common_target(base: BaseEstimator | None, source: Source, label_column: str | None) -> BaseEstimator | None:
    """The base, told that targets are numeric if one of those that are seen from here is continuous."""
    chosen = RobustCoreset() if base is None else base
    if getattr(chosen, "target_type", None) != "auto":
        return base
    if not any(_is_seen_continuous(labels, label_column) for labels in source.seen_labels()):
        return base
    return clone(chosen).set_params(target_type=NUMERIC)


def _is_seen_continuous(labels: Any, label_column: str | None) -> bool:
    if isinstance(labels, pd.DataFrame) or is_polars_frame(labels):
        if label_column not in labels.columns:
            return False
        labels = labels[label_column]
    elif getattr(labels, "ndim", 1) != 1:
        return False  # a table without labels
    try:
        return len(labels) > 0 and is_continuous(as_labels(labels))
    except (TypeError, ValueError):
        return False  # the shard's own worker says what is wrong with it
