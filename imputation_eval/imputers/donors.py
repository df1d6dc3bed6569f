"""Draws from a conditional distribution by picking, for each row, a row with a known value as its donor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from sklearn.ensemble import RandomForestRegressor

_Array = NDArray[np.float64]
_Index = NDArray[np.intp]
_RIDGE = 1e-5  # relative to the diagonal, as R's mice does it
_SAME = 1e-9  # predictions that differ by less than this share of their range are alike
_MIN_LEAF = 5  # donors a leaf, as in R's mice


def matched_donors(known: _Array, target: _Array, unknown: _Array, n_donors: int, rng: np.random.Generator) -> _Index:
    """Predictive mean matching: donors are known rows whose predictions are close.

    A linear regression of the target, fitted on all known rows, predicts these; one fitted on a bootstrap sample of
    them predicts the unknown rows (so that the uncertainty of the coefficients enters the draws). Each unknown row then
    picks one of the `n_donors` known rows with the nearest predictions, or of more where predictions tie. That is the
    "type 1" matching of [1]_, with a bootstrap in place of a Bayesian draw of the coefficients. Targets of several
    features (indicators of levels) are matched by Euclidean distance, which is ours.

    Parameters
    ----------
    known : ndarray of shape (n_known, n_features)
        Covariates of the rows whose target is known.
    target : ndarray of shape (n_known, width)
    unknown : ndarray of shape (n_unknown, n_features)
    n_donors : int
    rng : Generator

    Returns
    -------
    ndarray of shape (n_unknown,)
        Positions among the known rows.

    References
    ----------
    .. [1] S. van Buuren, "Flexible Imputation of Missing Data", 2nd edition (2018), section 3.4.
    """
    sample = rng.integers(len(known), size=len(known))
    predicted = _design(known) @ _ridge(_design(known), target)
    wanted = _design(unknown) @ _ridge(_design(known[sample]), target[sample])
    return _near_rows(predicted, wanted, n_donors, rng)


def leaf_donors(
    known: _Array, target: _Array, unknown: _Array, n_trees: int, rng: np.random.Generator, *, n_draws: int = 1
) -> _Index:
    """Donors from the leaves of a random forest: a random tree, then a random known row of the same leaf [1]_.

    Parameters
    ----------
    known : ndarray of shape (n_known, n_features)
        Covariates of the rows whose target is known.
    target : ndarray of shape (n_known, width)
    unknown : ndarray of shape (n_unknown, n_features)
    n_trees : int
    rng : Generator
    n_draws : int
        Donors a row.

    Returns
    -------
    ndarray of shape (n_draws, n_unknown)
        Positions among the known rows.

    References
    ----------
    .. [1] L. Doove, S. van Buuren, E. Dusseldorp, "Recursive partitioning for missing data imputation in the presence
       of interaction effects", Computational Statistics & Data Analysis 72 (2014).
    """
    forest = RandomForestRegressor(
        n_trees, min_samples_leaf=_MIN_LEAF, max_features=1 / 3, random_state=int(rng.integers(2**31 - 1))
    ).fit(known, target[:, 0] if target.shape[1] == 1 else target)
    leaves, wanted = forest.apply(known), forest.apply(unknown)
    tree = rng.integers(n_trees, size=(n_draws, len(unknown)))
    lottery = rng.random(tree.shape)
    donors = np.empty(tree.shape, dtype=np.intp)
    for t in range(n_trees):
        order = np.argsort(leaves[:, t], kind="stable")
        draw, row = np.nonzero(tree == t)
        leaf = wanted[row, t]
        start, stop = (np.searchsorted(leaves[order, t], leaf, side=side) for side in ("left", "right"))
        donors[draw, row] = order[start + (lottery[draw, row] * (stop - start)).astype(np.intp)]
    return donors


def _near_rows(known: _Array, wanted: _Array, n_donors: int, rng: np.random.Generator) -> _Index:
    """Return for each wanted point one of the nearest known ones, at random among `n_donors` and those that tie."""
    step = max(_SAME * float(np.ptp(known)), 1e-300)
    points, group, counts = np.unique(np.round(known / step) * step, axis=0, return_inverse=True, return_counts=True)
    n_nearest = min(n_donors, len(points))
    nearest = KDTree(points).query(wanted, k=n_nearest)[1].reshape(len(wanted), n_nearest)
    size = counts[nearest]
    size[np.cumsum(size, axis=1) - size >= n_donors] = 0  # nearer groups suffice
    lottery = rng.random((2, len(wanted)))
    chosen = (np.cumsum(size, axis=1) <= (lottery[0] * size.sum(axis=1))[:, None]).sum(axis=1)
    chosen = nearest[np.arange(len(wanted)), chosen]
    members = np.argsort(group.ravel(), kind="stable")
    return members[(np.cumsum(counts) - counts)[chosen] + (lottery[1] * counts[chosen]).astype(np.intp)]


def _design(covariates: _Array) -> _Array:
    return np.column_stack([np.ones(len(covariates)), covariates])


def _ridge(design: _Array, target: _Array) -> _Array:
    gram = design.T @ design
    gram[np.diag_indices_from(gram)] *= 1 + _RIDGE
    gram[np.diag_indices_from(gram)] += _RIDGE  # for columns that are zero in this sample
    return np.asarray(np.linalg.solve(gram, design.T @ target), dtype=np.float64)
