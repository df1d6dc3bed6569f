"""Fields of summaries of disjoint data put together.

This stands below `Coreset`, so that it cannot name the type of what it merges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .labels import merge_labels
from .targets import NUMERIC, fitted_slopes
from .validation import finite_sum


def merged_fields(coresets: Sequence[Any]) -> dict[str, Any]:
    """All fields of the union of coresets; see `Coreset.merge`.

    Raises
    ------
    TypeError
        When an argument is no coreset.
    ValueError
        When nothing is given, or features, labels or the types of targets disagree.
    """
    if not coresets:
        raise ValueError("merge needs at least one coreset")
    first = coresets[0]
    for position, other in enumerate(coresets):
        if not hasattr(other, "group_variances"):
            raise TypeError(f"merge takes coresets one by one, argument {position} is a {type(other).__name__}")
    for position, other in enumerate(coresets):
        if other.n_features != first.n_features:
            raise ValueError(f"coreset {position} has {other.n_features} features, coreset 0 {first.n_features}")
        if (other.labels is None) != (first.labels is None):
            raise ValueError(f"coreset {position} and coreset 0 disagree on having labels")
        if other.target_type != first.target_type:
            raise ValueError(
                f"coreset {position} has a {other.target_type} target, coreset 0 a {first.target_type} one: "
                "set target_type where they are made"
            )
    return {
        "points": np.concatenate([c.points for c in coresets]),
        "weights": np.concatenate([c.weights for c in coresets]),
        "labels": merge_labels([c.labels for c in coresets]),
        "offset": finite_sum("offset", (c.offset for c in coresets)),
        "spread": _merged_spread(coresets),
        **_merged_groups(coresets),
        "within_covariance": _merged_covariance(coresets),
        "max_displacement": float(np.max([c.max_displacement for c in coresets])),
        "total_displacement": float(np.sum([c.total_displacement for c in coresets])),
        "n_source": sum(c.n_source or 0 for c in coresets),
        "source_dtype": np.result_type(*[c.source_dtype for c in coresets]),
        "source_zstd_bytes": _merged_zstd_bytes(coresets),
        "feature_names": _merged_names(coresets),
        "target_type": first.target_type,
        "label_scale": _merged_scale(coresets) if first.target_type == NUMERIC else None,
    }


def _merged_scale(coresets: Sequence[Any]) -> float:
    """Least scale of those that matter: distances that count the target less are no larger, so certificates hold."""
    moved = [c.label_scale for c in coresets if c.total_displacement != 0]
    return float(min(moved or [c.label_scale for c in coresets]))


def _merged_spread(coresets: Sequence[Any]) -> NDArray[np.float64] | None:
    if all(c.spread is None and c.offset == 0 for c in coresets):
        return None
    return np.concatenate([c._spreads() for c in coresets])


def _merged_groups(coresets: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Groups and their variances, numbered on; a part without them becomes one group, unless none has any."""
    if all(c.groups is None for c in coresets):
        return {}
    groups, variances = zip(*(_groups_of(c) for c in coresets), strict=True)
    starts = np.cumsum([0, *(len(part) for part in variances[:-1])])
    merged = {
        "groups": np.concatenate([part + start for part, start in zip(groups, starts, strict=True)]),
        "group_variances": np.concatenate(variances),
    }
    if coresets[0].target_type == NUMERIC:
        slopes = [_slopes_of(c, len(part)) for c, part in zip(coresets, variances, strict=True)]
        merged["group_slopes"] = np.concatenate(slopes)
    return merged


def _merged_covariance(coresets: Sequence[Any]) -> NDArray[np.float64] | None:
    """Mean by mass; where a part has none, its columns vary independently within its cells."""
    if all(c.within_covariance is None for c in coresets):
        return None
    mass = finite_sum("weights", (c.total_weight for c in coresets))
    return np.sum([_within(c, c.weights / (mass or 1.0)) for c in coresets], axis=0)


def _within(coreset: Any, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    if coreset.within_covariance is not None:
        return np.asarray(coreset.within_covariance * shares.sum())
    widths, n_features = coreset._widths(), coreset.n_features
    if widths is None:
        return np.zeros((n_features, n_features + (coreset.target_type == NUMERIC)))
    return np.asarray(widths.within(shares))


def _groups_of(coreset: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if coreset.groups is not None and coreset.group_variances is not None:
        return coreset.groups, coreset.group_variances
    # Rows kept as they are have no width to shape.
    wide = coreset._spreads().any()
    return np.zeros(len(coreset), dtype=np.int64), coreset._shapes()[:1] * bool(wide)


def _slopes_of(coreset: Any, n_groups: int) -> NDArray[np.float64]:
    if coreset.group_slopes is not None:
        slopes: NDArray[np.float64] = coreset.group_slopes
        return slopes
    return np.tile(fitted_slopes(coreset.points, coreset.labels, coreset.weights), (n_groups, 1))


def _merged_zstd_bytes(coresets: Sequence[Any]) -> int | None:
    known = [c.source_zstd_bytes for c in coresets if c.source_zstd_bytes is not None]
    return sum(known) if len(known) == len(coresets) else None


def _merged_names(coresets: Sequence[Any]) -> tuple[str, ...] | None:
    known = {c.feature_names for c in coresets if c.feature_names is not None}
    if len(known) > 1:
        one, other = sorted(known)[:2]
        column = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        raise ValueError(
            f"coresets disagree on feature_names: column {column} is {one[column]!r} and {other[column]!r}"
        )
    return known.pop() if known else None
