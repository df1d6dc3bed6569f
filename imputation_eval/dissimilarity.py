"""The Neighborhood-based Dissimilarity Score between a reference and a candidate sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from imputation_eval._validation import RandomStateLike, as_generator, check_integer, warn_user
from imputation_eval.encoding import encode_pair
from imputation_eval.neighborhoods import Reference, count_in_second, nearest_neighbors

_Array = NDArray[np.float64]
_PERMUTED_ENTRIES = 2**22  # labels of some permutations at a time


@dataclass(frozen=True, eq=False)
class NdsResult:
    """Outcome of :func:`nds`.

    Attributes
    ----------
    score : float
        The NDS: about 0 when both samples come from one distribution (small negative values occur), about 1 when they
        do not overlap. Lower is better.
    p_value : float or None
        Permutation p-value of the hypothesis of one distribution; None if no permutation was asked for.
    local : ndarray of shape (n_reference + n_candidate,)
        Share of candidate rows among the neighbours of each row, reference rows first. Far from
        n_candidate / (n_reference + n_candidate) means that the samples differ around that row.
    n_neighbors : int
        Neighbours a row.
    n_reference, n_candidate : int
        Rows of the two samples.
    n_permutations : int
        Permutations behind `p_value`.
    """

    score: float
    p_value: float | None
    local: _Array = field(repr=False)
    n_neighbors: int
    n_reference: int
    n_candidate: int
    n_permutations: int = 0


def nds(
    reference: ArrayLike | pd.DataFrame,
    candidate: ArrayLike | pd.DataFrame,
    *,
    n_neighbors: int | None = None,
    n_permutations: int = 0,
    random_state: RandomStateLike = None,
) -> NdsResult:
    r"""Neighborhood-based Dissimilarity Score of two samples.

    Pool the n reference and m candidate rows, N = n + m. For row i, let p_i be the share of candidate rows among its k
    nearest other rows, and pi_i the share expected when the labels carry no information: (m - 1) / (N - 1) for a
    candidate row, m / (N - 1) for a reference row. Then

    .. math::
        T = \frac{1}{N} \sum_i \frac{(p_i - \pi_i)^2}{\pi_i (1 - \pi_i)}, \quad
        T_0 = \frac{1}{k} \frac{N - 1 - k}{N - 2}, \quad
        \mathrm{NDS} = \frac{T - T_0}{1 - T_0}.

    T_0 is the expectation of T when both samples come from one distribution, so the score is then 0 on average; it is
    about 1 when the samples separate. With n = m it estimates the Le Cam divergence
    :math:`\int (p - q)^2 / (2 (p + q))`, which is zero only if p = q.

    Parameters
    ----------
    reference : array of shape (n, n_features) or DataFrame
        Rows of the true distribution. Arrays are taken as they are and should be scaled; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `reference`.
    candidate : array of shape (m, n_features) or DataFrame
        Rows to judge. They should be *other* rows than those of `reference`: in a table compared with its own copy each
        row has its twin as neighbour, which pushes the score below 0.
    n_neighbors : int, optional
        k >= 2 (with one neighbour T_0 is 1 and the score undefined); by default the square root of min(n, m), rounded
        and kept within 5 and 50.
    n_permutations : int
        Random relabellings for the p-value; 0 for none.
    random_state : None, int, RandomState or Generator
        Breaks ties among neighbours and draws the permutations.

    Returns
    -------
    NdsResult
        With `score`, `p_value` and the `local` shares.

    Raises
    ------
    ValueError
        If the samples have different columns, contain NaN or infinity, or hold values beyond 1e150, or have no
        more than `n_neighbors` rows.
    TypeError
        If one is a DataFrame and the other is not.

    Warns
    -----
    UserWarning
        If more than 20 % of the pooled rows repeat another one, or a column of a DataFrame is constant.

    Notes
    -----
    Name and idea, the comparison of neighbourhoods in a pooled sample, are those of [1]_. The formula is this package's
    own definition: it was not taken from the paper, so values are not comparable with values reported there.

    The neighbour graph does not depend on the labels, so the permutation test relabels on the fixed graph:
    p = (1 + #{T_b >= T}) / (B + 1). It is exact for exchangeable rows and approximate when the imputer that made
    `candidate` was fitted on the rows of `reference`.

    For scores that can be compared between data sets, give samples of equal size.

    In more than a few columns time grows with the square of the rows: seconds for 2 x 20,000, some minutes for
    2 x 200,000. Take random subsamples of larger samples, as :func:`~imputation_eval.compare_samples` does.

    References
    ----------
    .. [1] "A Quantitative Evaluation Framework for Missing Value Imputation Algorithms", arXiv:1311.2276.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import nds
    >>> rng = np.random.default_rng(0)
    >>> result = nds(rng.normal(size=(500, 2)), rng.normal(size=(500, 2)), n_permutations=99, random_state=0)
    >>> abs(result.score) < 0.02, result.p_value > 0.05
    (True, True)
    >>> round(nds(rng.normal(size=(500, 2)), rng.normal(50, 1, size=(500, 2)), random_state=0).score, 6)
    1.002097
    """
    x, y = encode_pair(reference, candidate, ("reference", "candidate"))
    k = _check_n_neighbors(n_neighbors, len(x), len(y))
    n_permutations = check_integer(n_permutations, "n_permutations", minimum=0)
    rng = as_generator(random_state)
    pooled = np.vstack([x, y])
    _warn_of_duplicates(pooled)
    neighbors = nearest_neighbors(pooled, k, rng)
    labels = _labels(len(x), len(pooled))
    local = (neighbors >= len(x)).mean(axis=1)
    statistic = float(_statistic(local, labels))
    p_value = _p_value(statistic, neighbors, labels, n_permutations, rng) if n_permutations else None
    return NdsResult(_normalize(statistic, k, len(pooled)), p_value, local, k, len(x), len(y), n_permutations)


def nds_score(reference: Reference, candidate: _Array, rng: np.random.Generator) -> float:
    """Return the score alone, of clean arrays and with the default k; what :func:`nds` gives without its checks."""
    n, m = len(reference.rows), len(candidate)
    k = default_n_neighbors(n, m)
    shares = count_in_second(reference, candidate, k, rng) / k
    return _normalize(_statistic(shares, _labels(n, n + m)), k, n + m)


def default_n_neighbors(n: int, m: int) -> int:
    """Return the default number of neighbours for samples of n and m rows."""
    return int(np.clip(round(np.sqrt(min(n, m))), 5, 50))


def _check_n_neighbors(n_neighbors: int | None, n: int, m: int) -> int:
    k = default_n_neighbors(n, m) if n_neighbors is None else check_integer(n_neighbors, "n_neighbors", minimum=2)
    if k >= min(n, m):
        default = " (the default)" if n_neighbors is None else ""
        raise ValueError(
            f"n_neighbors={k}{default} should be smaller than both samples; reference has {n} rows, candidate {m}."
        )
    return k


def _warn_of_duplicates(pooled: _Array) -> None:
    share = 1 - len(np.unique(pooled, axis=0)) / len(pooled)
    if share > 0.2:
        warn_user(
            f"{share:.0%} of the pooled rows repeat another row; neighbours among them are drawn at random. "
            "Reference and candidate should not contain the same rows."
        )


def _labels(n_reference: int, n_pooled: int) -> _Array:
    return (np.arange(n_pooled) >= n_reference).astype(np.float64)


def _statistic(shares: _Array, labels: _Array) -> _Array:
    """Return T of ``shares`` and ``labels``, both of shape (N,), or for each column of those of shape (N, B)."""
    n_pooled = len(labels)
    expected = (labels.sum(axis=0, dtype=np.float64) - labels) / (n_pooled - 1)  # float64 whatever the labels are
    return np.asarray(((shares - expected) ** 2 / (expected * (1 - expected))).mean(axis=0))


def _normalize(statistic: float | _Array, k: int, n_pooled: int) -> float:
    # T_0: the variance of a share of k drawn without replacement from N - 1, over that of one draw.
    expectation = (n_pooled - 1 - k) / (k * (n_pooled - 2))
    return float((statistic - expectation) / (1 - expectation))


def _p_value(
    statistic: float, neighbors: NDArray[np.intp], labels: _Array, n_permutations: int, rng: np.random.Generator
) -> float:
    n_pooled, k = neighbors.shape
    starts = np.arange(0, n_pooled * k + 1, k)
    # Counts are small integers, exact in float32, which halves the memory that the products go through.
    ones = np.ones(neighbors.size, dtype=np.float32)
    graph = sparse.csr_array((ones, neighbors.astype(np.int32).ravel(), starts), shape=(n_pooled, n_pooled))
    exceeding, n_batch = 0, max(1, _PERMUTED_ENTRIES // n_pooled)
    for start in range(0, n_permutations, n_batch):
        batch = min(n_batch, n_permutations - start)
        permuted = rng.permuted(np.tile(labels[:, None].astype(np.float32), batch), axis=0)
        shares = (graph @ permuted) / np.float64(k)
        # The tolerance counts a relabelling that gives the same T as one that does, whatever its rounding.
        exceeding += int((_statistic(shares, permuted) >= statistic - 1e-12).sum())
    return (1 + exceeding) / (1 + n_permutations)
