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
_N_NEIGHBORS = 5
_ROUNDING = 1e-12  # relative to the squared norms: what equal distances differ by


def knn_kl(x: Sample, y: Sample, *, n_neighbors: int = _N_NEIGHBORS) -> float:
    r"""Kullback-Leibler divergence KL(x || y) of two samples, estimated from nearest neighbours.

    Let r_i be the larger of the distances from row i of `x` to its k-th nearest other row of `x` and to its k-th
    nearest row of `y`, and let l_i >= k other rows of `x` and k_i >= k rows of `y` lie within r_i. Then

    .. math::
        \mathrm{KL} = \frac{1}{n} \sum_i [\psi(l_i) - \psi(k_i)] + \log \frac{m}{n - 1}

    with the digamma function [1]_. Distances enter through counts alone, so that duplicates, at distance 0, do no harm
    where the form with logarithms of distances is infinite.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        The reference. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The candidate.
    n_neighbors : int >= 1
        k, less than n and at most m.

    Returns
    -------
    float
        In nats; lower is better; about 0 when the distributions agree, so that it can be negative. At most about
        log(m) + log(n) however far the samples are apart.

    Raises
    ------
    ValueError
        If a sample has too few rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not, or `n_neighbors` is no int.

    References
    ----------
    .. [1] Q. Wang, S. Kulkarni, S. Verdú, "Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor
       Distances", IEEE Transactions on Information Theory 55 (2009), section III.

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
    if k >= len(a) or k > len(b):
        raise ValueError(f"n_neighbors={k} should be < {len(a)}, the rows of x, and <= {len(b)}, the rows of y.")
    return _knn_kl(a, b, k)


def _knn_kl(x: _Array, y: _Array, k: int = _N_NEIGHBORS) -> float:
    count = _counts_by_tree if suits_tree(len(x) + len(y), x.shape[1]) else _counts_by_blocks
    within_x, within_y = count(x, y, k)
    return float((digamma(within_x) - digamma(within_y)).mean() + np.log(len(y) / (len(x) - 1)))


def _counts_by_tree(x: _Array, y: _Array, k: int) -> tuple[_Array, _Array]:
    """Return how many other rows of x, and how many of y, lie within r_i of each row of x."""
    center = center_of(x)
    x, y = x - center, y - center
    trees = cKDTree(x), cKDTree(y)
    # The k-th other row of x is the k + 1-st, itself included.
    radii = np.maximum(trees[0].query(x, k=[k + 1])[0], trees[1].query(x, k=[k])[0])[:, 0]
    radii = np.sqrt(radii**2 + _ROUNDING * (radii**2 + np.einsum("ij,ij->i", x, x)))
    within_x, within_y = (tree.query_ball_point(x, radii, return_length=True) for tree in trees)
    return within_x - 1, within_y


def _counts_by_blocks(x: _Array, y: _Array, k: int) -> tuple[_Array, _Array]:
    # Blocks of both sides have to cover the same rows, which they do when all distances stand side by side.
    both = np.vstack([x, y])
    counts = [np.empty(len(x)), np.empty(len(x))]
    for rows, block, norms in squared_distance_blocks(x, both):
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        sides = block[:, : len(x)], block[:, len(x) :]
        radii = np.maximum(*(np.partition(side, k - 1, axis=1)[:, k - 1] for side in sides))
        radii += _ROUNDING * (radii + norms)
        for count, side in zip(counts, sides, strict=True):
            count[rows] = np.count_nonzero(side <= radii[:, None], axis=1)
    return counts[0], counts[1]


KNN_KL = Metric(
    "knn_kl",
    lambda x, y, rng: _knn_kl(x, y),
    truth_is_floor=False,
    note="knn_kl has a bias that depends on the imputed values, and says little in many dimensions",
    quadratic=True,
)
