"""Coresets of the same rows and seed in any size, and how large their messages can be."""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from ..construction import RobustCoreset, Rows
from ..points import Coreset
from ..quantizers import Quantizer
from ..raw import target_dtype, zstd_bytes
from ..targets import NUMERIC
from ..wire import max_encoded_size

# In a smaller message the few bytes of the source's size after zstd would take the place of a point.
_LEAST_BUDGET_WITH_ZSTD = 1024


def checked_base(base: BaseEstimator | None) -> BaseEstimator:
    """The estimator that makes points, `RobustCoreset` by default.

    Raises
    ------
    TypeError
        When it lacks a parameter that planning sets.
    """
    if base is None:
        return RobustCoreset()
    missing = {"n_points", "random_state"} - set(
        base.get_params() if hasattr(base, "get_params") and not isinstance(base, type) else ()
    )
    if missing:
        raise TypeError(f"base={base!r} must be an estimator with the parameters n_points and random_state")
    return base


def affordable_zstd_bytes(
    rows: Rows, feature_names: tuple[str, ...] | None, quantizers: Sequence[Quantizer], budget: int
) -> int | None:
    """The source's size after zstd; None where the budget has better use for its bytes, or would be too small."""
    if budget < _LEAST_BUDGET_WITH_ZSTD:
        return None
    target = rows.labels
    if target is not None:
        classes, codes = (None, target) if rows.target_type == NUMERIC else np.unique(target, return_inverse=True)
        stored = target_dtype(rows.source_dtype, rows.target_type, 0 if classes is None else len(classes))
        with np.errstate(over="ignore"):  # of numbers that the table's type cannot hold
            target = codes.astype(stored)
    size = zstd_bytes(rows.X, rows.source_dtype, target)
    if size is None:
        return None
    bound = Bound(rows, feature_names, size)
    return size if min(bound(bound.least_points, quantizer) for quantizer in quantizers) <= budget else None


class Bound:
    """No message of so many points of these rows is larger.

    Parameters
    ----------
    rows : Rows
    feature_names : tuple of str or None
    source_zstd_bytes : int, optional
        What the messages tell the rows to take after zstd.
    """

    def __init__(self, rows: Rows, feature_names: tuple[str, ...] | None, source_zstd_bytes: int | None = None) -> None:
        self._rows = rows
        self._feature_names = feature_names
        self._source_zstd_bytes = source_zstd_bytes
        self._classes = None if rows.labels is None or rows.target_type == NUMERIC else np.unique(rows.labels)
        self._label_bytes: dict[int, int] = {}
        self.least_points = 1 if self._classes is None else len(self._classes)

    def __call__(self, n_points: int, quantizer: Quantizer) -> int:
        """Bytes that a message of so many points takes at most."""
        size = self._size(n_points, quantizer, None)
        if self._classes is None:
            return size
        # A table of many classes takes long to write, and depends on points by the bytes of their number alone.
        width = (n_points.bit_length() - 1) // 7
        if width not in self._label_bytes:
            self._label_bytes[width] = self._size(n_points, quantizer, self._classes) - size
        return size + self._label_bytes[width]

    def _size(self, n_points: int, quantizer: Quantizer, classes: NDArray[Any] | None) -> int:
        return max_encoded_size(
            (n_points, self._rows.X.shape[1]),
            quantizer,
            classes=classes,
            numeric_target=self._rows.target_type == NUMERIC,
            feature_names=self._feature_names,
            n_source=len(self._rows),
            source_zstd_bytes=self._source_zstd_bytes,
        )

    def most_points(self, quantizer: Quantizer, budget: int) -> int:
        """Points that surely fit, no more than there are rows; 0 when not even one (a class) does."""
        numbers = range(self.least_points, len(self._rows) + 1)
        fitting = bisect.bisect_right(numbers, budget, key=lambda n: self(n, quantizer))
        return numbers[fitting - 1] if fitting else 0


class Builder:
    """Coresets of the same rows with the same seed, of any number of points.

    Parameters
    ----------
    rows : Rows
        With the scale of a numeric target.
    feature_names : tuple of str or None
    base : estimator
        With `n_points` and `random_state`.
    seed : int
    source_zstd_bytes : int, optional
        What the messages tell the rows to take after zstd.
    """

    def __init__(
        self,
        rows: Rows,
        feature_names: tuple[str, ...] | None,
        base: BaseEstimator,
        seed: int,
        source_zstd_bytes: int | None = None,
    ) -> None:
        self.rows = rows
        self.feature_names = feature_names
        self.base = base
        self.seed = seed
        self.source_zstd_bytes = source_zstd_bytes
        self.bound = Bound(rows, feature_names, source_zstd_bytes)
        # Codecs of like width ask for like sizes, one after the other.
        self.build = functools.lru_cache(maxsize=4)(self._build)

    def of(self, rows: Rows) -> Builder:
        """One for other rows of the same table."""
        return Builder(rows, self.feature_names, self.base, self.seed, self.source_zstd_bytes)

    @property
    def power(self) -> int:
        """Power of the distances that the coresets' spreads are about."""
        return 1 if getattr(self.base, "power", 2) == 1 else 2

    def _build(self, n_points: int) -> Coreset:
        base = clone(self.base).set_params(n_points=n_points, random_state=self.seed)
        base._keeps_covariance = False
        if self.rows.labels is not None and "target_type" in base.get_params():
            base.set_params(target_type=self.rows.target_type)
        if self.rows.target_type == NUMERIC and "label_scale" in base.get_params():
            base.set_params(label_scale=self.rows.label_scale)
        coreset: Coreset = base.fit(self.rows.X, self.rows.labels, self.rows.weights).coreset_
        if coreset.target_type != self.rows.target_type:
            raise TypeError(f"base={self.base!r} makes a {coreset.target_type} target of a {self.rows.target_type} one")
        return dataclasses.replace(
            coreset,
            feature_names=self.feature_names,
            source_dtype=self.rows.source_dtype,
            n_source=len(self.rows),
            source_zstd_bytes=self.source_zstd_bytes,
        )
