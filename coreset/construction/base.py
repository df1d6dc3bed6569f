"""What every construction shares: checking, one summary a class, assembly."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ..points import Coreset
from ..targets import NUMERIC
from ..validation import RandomState, as_generator, check_count
from .rows import Rows, check_rows
from .targets import joint_rows, with_scale, without_target


class CoresetConstructor(BaseEstimator, ABC):
    """What every construction shares: checking, one summary a class, assembly.

    A subclass has the parameters `n_points`, `random_state`, `target_type` and `label_scale` and computes in
    `_share_key` and `_summarise`.
    """

    n_points: int
    random_state: RandomState
    target_type: str = "auto"
    label_scale: float | str = "auto"

    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> CoresetConstructor:
        """Summarise the rows.

        With classes, each class is summarised apart, so that no point mixes classes and no class is lost. A numeric
        target is one more, scaled coordinate in that; the summary's labels are the cells' mean targets.

        Parameters
        ----------
        X : array-like or DataFrame (of pandas or polars) of shape (n, d)
        y : array-like of shape (n,), optional
            Class labels or, see `target_type`, numbers to regress on.
        sample_weight : array-like of shape (n,), optional
            Weight three means the same row three times; zero means that it is absent.

        Returns
        -------
        self
            With ``coreset_``.

        Raises
        ------
        ValueError
            On bad values, or fewer points than classes; see `check_rows` for the list.
        TypeError
            On values of the wrong type.
        """
        n_points = check_count("n_points", self.n_points)
        self._check_parameters()
        target = {"target_type": self.target_type, "label_scale": self.label_scale}
        rows = check_rows(self, X, y, sample_weight, **target)
        coreset = self._summary(rows, n_points, as_generator(self.random_state))
        names = getattr(self, "feature_names_in_", None)
        self.coreset_ = dataclasses.replace(coreset, feature_names=None if names is None else tuple(names))
        return self

    def _check_parameters(self) -> None:
        """Raise for parameters that only the subclass knows."""

    @abstractmethod
    def _share_key(self, rows: Rows) -> float:
        """How much of the points a class gets, relative to the others."""

    @abstractmethod
    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        """Summary of more than `n_points` rows, without labels.

        A numeric target is the last column of ``rows.X`` and unscaled in ``rows.labels``. Points that are rows need
        nothing more than `sample_indices`; means of cells are split into points and labels by `split_cells`.
        """

    def _summary(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        if rows.labels is None:
            return self._whole(rows, n_points, rng)
        if rows.target_type == NUMERIC:
            scaled = with_scale(rows)
            return without_target(self._whole(joint_rows(scaled), n_points, rng), scaled)
        return self._by_class(rows, n_points, rng)

    def _whole(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        if len(rows) > n_points:
            return self._summarise(rows, n_points, rng)
        return Coreset(
            rows.X.astype(np.float64),
            rows.weights,
            max_displacement=0.0,
            total_displacement=0.0,
            source_dtype=rows.source_dtype,
            sample_indices=rows.indices,
        )

    def _by_class(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        classes, codes = np.unique(np.asarray(rows.labels), return_inverse=True)
        if n_points < len(classes):
            hint = "" if classes.dtype.kind in "bU" else "; target_type='numeric' takes y for numbers"
            raise ValueError(f"n_points={n_points} is less than the {len(classes)} classes in y{hint}")
        order = np.argsort(codes, kind="stable")
        members = [rows.take(part) for part in np.split(order, np.cumsum(np.bincount(codes))[:-1])]
        shares = share_points(
            np.array([self._share_key(part) for part in members]), np.array([len(part) for part in members]), n_points
        )
        parts = [
            self._whole(part, int(share), child)
            for part, share, child in zip(members, shares, rng.spawn(len(members)), strict=True)
        ]
        indices = [part.sample_indices for part in parts]
        return dataclasses.replace(
            Coreset.merge(*parts),
            labels=np.repeat(classes, [len(part) for part in parts]),
            sample_indices=None if any(i is None for i in indices) else np.concatenate(indices),  # type: ignore[arg-type]
        )


def share_points(keys: NDArray[np.float64], limits: NDArray[np.int64], n_points: int) -> NDArray[np.int64]:
    """Share points out in proportion to `keys`, but at least one and at most `limits` each.

    Shares are ``clip(scale * keys, 1, limits)`` with the scale that spends all points, rounded by largest remainder.

    Parameters
    ----------
    keys : ndarray of shape (n_groups,)
        Finite and not negative.
    limits : ndarray of shape (n_groups,), int64
        At least one.
    n_points : int
        At least the number of groups.

    Returns
    -------
    ndarray of shape (n_groups,), int64
        Their sum is `n_points`, or less where the limits, and keys of zero, let no more be spent.
    """
    wanted = _proportional(keys, limits, n_points)
    shares = np.floor(wanted).astype(np.int64)
    remainders = np.round(wanted - shares, 9)  # equal ones must not be told apart by rounding
    left = min(n_points - int(shares.sum()), int((remainders > 0).sum()))
    shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    return shares


def _proportional(keys: NDArray[np.float64], limits: NDArray[np.int64], n_points: int) -> NDArray[np.float64]:
    """Real shares that sum to `n_points` or just less, by bisection of the scale, with which the sum never falls."""
    positive = keys > 0
    shares = np.ones(len(keys))
    if not positive.any():
        return shares
    logs = np.log(keys[positive]) - np.log(keys.max())  # neither tiny nor huge keys leave the range of a double
    low, high = 0.0, 1500.0  # the logarithm of the largest double over the smallest is 1454.9
    for _ in range(100):
        middle = (low + high) / 2
        with np.errstate(over="ignore"):
            tried = np.clip(np.exp(logs + middle), 1.0, limits[positive])
        if tried.sum() + (~positive).sum() <= n_points:
            low = middle
            shares[positive] = tried
        else:
            high = middle
    return shares
