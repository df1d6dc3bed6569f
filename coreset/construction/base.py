"""What every construction shares: checking, one summary a class, assembly."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ..points import Coreset
from ..targets import CLASS, NUMERIC, too_few_points
from ..validation import RandomState, as_generator, check_count
from ..widths import Widths
from .checking import check_rows, rows_of
from .rows import Rows
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
    # Messages leave it behind, so that planners, who build many coresets, do without.
    _keeps_covariance: bool = True

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
        check_count("n_points", self.n_points)
        self._check_parameters()
        target = {"target_type": self.target_type, "label_scale": self.label_scale}
        coreset = self._summary(check_rows(self, X, y, sample_weight, **target, seeded=self._samples_first))
        names = getattr(self, "feature_names_in_", None)
        self.coreset_ = dataclasses.replace(coreset, feature_names=None if names is None else tuple(names))
        return self

    def reduce(self, coreset: Coreset) -> Coreset:
        """Summarise a summary: its points are rows that stand for cells already.

        What the points stood for is kept and what moving them loses is added. For cells of several points, as in
        `RobustCoreset`, that is ``sum w |p - mu|^2`` to the offset, the weighted mean of ``|p - mu|^2 + spread^2`` as
        the new squared spread (with ``power=1``, of its root as the new spread), and the covariance within the old
        cells to that within the new. Methods that pick points keep the old offset, which needs no estimate, and the
        spreads of the points they picked, scaled so that ``sum w spread^2`` stays what it was. (Ours.) Certificates add
        up: a row's distance to its new point is at most that to the old one plus the distance between the two, and what
        is unknown stays unknown. The estimator itself is left as it was.

        Parameters
        ----------
        coreset : Coreset
            From any construction, or merged from several.

        Returns
        -------
        Coreset
            At most `n_points` points, of each class apart, with the same total weight, source and feature names. One
            that has no more points comes back as it is.

        Raises
        ------
        ValueError
            When there are fewer points than classes, all weights are zero, or squared distances overflow or vanish.
        TypeError
            When `coreset` is not a `Coreset`.

        Notes
        -----
        A coreset of a union of coresets is a coreset of the union of their sources, with a larger error: Har-Peled and
        Mazumdar, "On coresets for k-means and k-median clustering" (STOC 2004).

        Examples
        --------
        >>> import numpy as np
        >>> from coreset import Coreset, RobustCoreset
        >>> pairs = Coreset([[1.0], [3.0], [50.0]], weights=[2, 2, 4], offset=4.0, spread=[1.0, 1.0, 0.0])
        >>> smaller = RobustCoreset(n_points=2, random_state=0).reduce(pairs)
        >>> sorted(zip(smaller.points.ravel().tolist(), smaller.weights.tolist()))
        [(2.0, 4.0), (50.0, 4.0)]
        >>> smaller.offset, sorted((smaller.spread**2).round(9).tolist())   # 4 within the pairs, 4 between them
        (8.0, [0.0, 2.0])
        """
        n_points = check_count("n_points", self.n_points)
        self._check_parameters()
        if not isinstance(coreset, Coreset):
            raise TypeError(f"coreset is a {type(coreset).__name__}, not a Coreset; fit takes rows")
        if getattr(self, "min_cell_size", 1) > 1 and coreset.sample_indices is not None:
            raise ValueError("coreset has points that are rows, which reduce would publish in spite of min_cell_size")
        if len(coreset) <= n_points:
            return coreset
        if coreset.target_type == CLASS and len(classes := np.unique(np.asarray(coreset.labels))) > n_points:
            raise ValueError(too_few_points(n_points, classes, "of the coreset"))
        made = self._summary(rows_of(coreset))
        # What the spreads do not explain, such as the error of a coarse codec, is carried on.
        rest = coreset.offset - float(coreset.weights @ coreset._spreads() ** 2)
        indices = None
        if coreset.sample_indices is not None and made.sample_indices is not None:
            indices = coreset.sample_indices[made.sample_indices]
        return dataclasses.replace(
            made,
            offset=made.offset + (rest if abs(rest) > 1e-9 * abs(coreset.offset) else 0.0),
            max_displacement=made.max_displacement + coreset.max_displacement,
            total_displacement=made.total_displacement + coreset.total_displacement,
            n_source=coreset.n_source,
            source_zstd_bytes=coreset.source_zstd_bytes,
            feature_names=coreset.feature_names,
            sample_indices=indices,
        )

    @property
    def _samples_first(self) -> bool:
        """Whether a large table is sampled before anything else, so that the sample must see all its clusters."""
        return False

    def _check_parameters(self) -> None:
        """Raise for parameters that only the subclass knows."""

    @abstractmethod
    def _share_key(self, rows: Rows) -> float:
        """How much of the points a class gets, relative to the others."""

    @abstractmethod
    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        """Summary of rows, mostly more than `n_points`, without classes.

        A numeric target is the last column of ``rows.X`` and unscaled in ``rows.labels``. Points that are rows need
        nothing more than `sample_indices`; means of cells come back with their targets as labels.
        """

    def _check_whole(self, rows: Rows, name: str) -> None:
        """Raise when there are too few rows, those of a class or all, for what only the subclass knows."""

    def _most_points(self, rows: Rows) -> int:
        """How many points so many rows can make."""
        return len(rows)

    def _keeps_rows(self, rows: Rows, n_points: int) -> bool:
        """Whether so few rows come back as they are."""
        return len(rows) <= n_points

    def _summary(self, rows: Rows) -> Coreset:
        """Summary of clean rows, with labels where they have some."""
        rng = as_generator(self.random_state)
        if rows.target_type == CLASS:
            return self._by_class(rows, int(self.n_points), rng)
        self._check_whole(rows, "the table")
        return self._whole(with_scale(rows) if rows.target_type == NUMERIC else rows, int(self.n_points), rng)

    def _whole(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        read = joint_rows(rows) if rows.target_type == NUMERIC else rows
        kept = self._keeps_rows(rows, n_points)
        coreset = _unchanged(read) if kept else self._summarise(read, n_points, rng)
        if rows.target_type == NUMERIC:
            coreset = without_target(coreset, rows)
        if rows.widths is None or coreset.spread is not None:
            return coreset
        return _with_widths(coreset, rows, rows.widths)

    def _by_class(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        classes, codes = np.unique(np.asarray(rows.labels), return_inverse=True)
        if n_points < len(classes):
            raise ValueError(too_few_points(n_points, classes, "in y"))
        order = np.argsort(codes, kind="stable")
        members = [rows.take(part) for part in np.split(order, np.cumsum(np.bincount(codes))[:-1])]
        for label, part in zip(classes.tolist(), members, strict=True):
            self._check_whole(part, f"class {label!r}")
        shares = share_points(
            np.array([self._share_key(part) for part in members]),
            np.array([self._most_points(part) for part in members]),
            n_points,
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


def picked(rows: Rows, chosen: NDArray[np.intp] | slice, weights: NDArray[np.float64], **fields: Any) -> Coreset:
    """A coreset of some of the rows, as they are, with weights of its own and whatever fields are given besides."""
    return Coreset(
        rows.X[chosen].astype(np.float64),
        weights,
        n_source=len(rows),
        source_dtype=rows.source_dtype,
        sample_indices=rows.numbers(chosen),
        **fields,
    )


def _unchanged(rows: Rows) -> Coreset:
    return picked(rows, slice(None), rows.weights, max_displacement=0.0, total_displacement=0.0)


def _with_widths(coreset: Coreset, rows: Rows, widths: Widths) -> Coreset:
    """Picked rows with the widths of what they stood for, scaled so that the offset is the one of all rows."""
    numbers = rows.numbers(np.arange(len(rows)))
    places = np.searchsorted(numbers, np.asarray(coreset.sample_indices))
    variances = widths.variances[places]
    offset = float(rows.weights @ widths.variances.sum(axis=1))
    kept = float(coreset.weights @ variances.sum(axis=1))
    mass = coreset.weights.sum()
    if kept > 0:
        variances = variances * (offset / kept)
    else:  # only points without width were picked
        variances = np.tile(rows.weights @ widths.variances / mass, (len(coreset), 1))
    return dataclasses.replace(
        coreset,
        offset=offset,
        spread=np.sqrt(variances.sum(axis=1)),
        groups=np.arange(len(coreset)),
        group_variances=variances,
        group_slopes=None if widths.slopes is None else widths.slopes[places],
        within_covariance=None if widths.covariance is None else widths.within(rows.weights) / mass,
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
