"""Kullback-Leibler divergence from nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

from imputation_eval._validation import check_integer
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_samples
from imputation_eval.neighborhoods import center_of, squared_distance_blocks, suits_tree

_Array = NDArray[np.float64]
_Reach = tuple[_Array, NDArray[np.intp]]  # squared distances, and how many rows lie within
_N_NEIGHBORS = 5
_ROUNDING = 1e-12  # relative to the squared norms: what equal distances differ by


def knn_kl(x: Sample, y: Sample, *, symmetric: bool = False, n_neighbors: int = _N_NEIGHBORS) -> float:
    r"""Kullback-Leibler divergence KL(x || y) of two samples, estimated from nearest neighbours.

    With r_i and s_i the distances from row i of `x` to its k-th nearest other row of `x` and to its k-th nearest row of
    `y`, and d features, the estimate is [1]_

    .. math::
        \mathrm{KL} = \frac{1}{n} \sum_i \left[d \log \frac{s_i}{r_i} + \psi(l_i) - \psi(k_i)\right]
        + \log \frac{m}{n - 1}.

    Here l_i other rows of `x` lie within r_i, and k_i rows of `y` within s_i. Both are k where all distances differ, so
    that the digammas cancel. Where the k-th neighbour is a duplicate, at distance 0, the nearest row that is none takes
    its place, with more rows within; that guard is this package's own. A sample that has no other row than duplicates
    counts as reaching as far as the other.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        The reference. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The candidate.
    symmetric : bool
        Add KL(y || x). In more than some five dimensions the estimate of KL(x || y) is far too low when `y` varies less
        than `x`, even negative, and that of KL(y || x) too high by more; rankings use the sum.
    n_neighbors : int >= 1
        k, less than n and m; with ``symmetric=False`` m may equal it.

    Returns
    -------
    float
        In nats; lower is better; about 0 when the distributions agree, so that it can be negative.

    Raises
    ------
    ValueError
        If a sample has too few rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not, or `n_neighbors` is no int.

    References
    ----------
    .. [1] Q. Wang, S. Kulkarni, S. Verdú, "Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor
       Distances", IEEE Transactions on Information Theory 55 (2009), equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import knn_kl
    >>> rng = np.random.default_rng(0)
    >>> abs(knn_kl(rng.normal(size=(3000, 1)), rng.normal(1, 1, size=(3000, 1))) - 0.5) < 0.1  # shift^2 / 2
    True
    """
    k = check_integer(n_neighbors, "n_neighbors", minimum=1)
    a, b = check_samples(x, y, "knn_kl")
    if k >= len(a) or k > len(b) - symmetric:
        raise ValueError(f"n_neighbors={k} should be smaller than both samples, x with {len(a)} rows and y {len(b)}.")
    return _jeffreys(a, b, k) if symmetric else _knn_kl(a, b, k)


def _jeffreys(x: _Array, y: _Array, k: int = _N_NEIGHBORS) -> float:
    return _knn_kl(x, y, k) + _knn_kl(y, x, k)


def _knn_kl(x: _Array, y: _Array, k: int = _N_NEIGHBORS) -> float:
    reach = _reach_by_tree if suits_tree(len(x) + len(y), x.shape[1]) else _reach_by_blocks
    (within, within_counts), (between, between_counts) = reach(x, y, k)
    alone = np.isinf(within) | np.isinf(between)
    ratios = np.log(np.where(alone, 1, between) / np.where(alone, 1, within)) / 2
    terms = x.shape[1] * ratios + digamma(within_counts) - digamma(between_counts)
    return float(terms.mean() + np.log(len(y) / (len(x) - 1)))


def _reach_by_blocks(x: _Array, y: _Array, k: int) -> tuple[_Reach, _Reach]:
    """Return how far the k-th nearest other row of x is from each row of x, and how far the k-th nearest of y."""
    # Both sides stand in one block, so that they have one centre and cover the same rows.
    within, between = ((np.empty(len(x)), np.empty(len(x), dtype=np.intp)) for _ in range(2))
    for rows, block, norms in squared_distance_blocks(x, np.vstack([x, y])):
        own = np.arange(len(block))
        block[own, own + rows.start] = np.inf
        for (squared, counts), side in ((within, block[:, : len(x)]), (between, block[:, len(x) :])):
            squared[rows], counts[rows] = _kth(side, k, _ROUNDING * norms)
    return within, between


def _kth(squared: _Array, k: int, rounding: _Array) -> _Reach:
    """Return the k-th smallest of each row, or the next that is more than rounding, and how many are not above it."""
    kth = np.partition(squared, k - 1, axis=1)[:, k - 1]
    equal = np.flatnonzero(kth <= rounding)
    apart = squared[equal]
    apart[apart <= rounding[equal, None]] = np.inf
    kth[equal] = apart.min(axis=1, initial=np.inf)
    return kth, np.count_nonzero(squared <= (kth * (1 + _ROUNDING) + rounding)[:, None], axis=1)


def _reach_by_tree(x: _Array, y: _Array, k: int) -> tuple[_Reach, _Reach]:
    center = center_of(x)
    x, y = x - center, y - center
    rounding = _ROUNDING * np.einsum("ij,ij->i", x, x)
    # A row of x is its own nearest neighbour there, at distance 0.
    (within, counts), between = (_tree_kth(rows, x, k + own, rounding) for rows, own in ((x, 1), (y, 0)))
    return (within, counts - 1), between


def _tree_kth(rows: _Array, x: _Array, k: int, rounding: _Array) -> _Reach:
    tree = cKDTree(rows)
    kth = tree.query(x, k=[k])[0][:, 0] ** 2
    equal = np.flatnonzero(kth <= rounding)
    if len(equal):
        # Among different rows the first is the duplicate itself, if there is one.
        nearest = cKDTree(np.unique(rows, axis=0)).query(x[equal], k=2)[0] ** 2
        kth[equal] = np.where(nearest > rounding[equal, None], nearest, np.inf).min(axis=1)
    # No radius for rows without any other: all lie within infinity.
    radii = np.sqrt(kth * (1 + _ROUNDING) + rounding)
    return kth, tree.query_ball_point(x, radii, return_length=True)


KNN_KL = Metric(
    "knn_kl",
    lambda x, y, rng: _jeffreys(x, y),
    truth_is_floor=False,
    note="knn_kl is the sum of both directions here; its bias depends on the imputed values and grows with the columns",
    quadratic=True,
)
