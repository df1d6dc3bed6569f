"""Maximum mean discrepancy."""

from __future__ import annotations

from functools import partial
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from imputation_eval._validation import RandomStateLike, as_generator, check_integer
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_samples
from imputation_eval.neighborhoods import Kernel, center_of, mean_over_pairs, mean_within, median_distance

_Array = NDArray[np.float64]
_BLOCK_ENTRIES = 2**20
_RANKING_FEATURES = 256


def mmd(
    x: Sample,
    y: Sample,
    *,
    bandwidth: float | None = None,
    n_features: int | None = None,
    random_state: RandomStateLike = None,
) -> float:
    r"""Squared maximum mean discrepancy of two samples, unbiased.

    ``MMD^2 = E k(X, X') + E k(Y, Y') - 2 E k(X, Y)`` with ``k(u, v) = exp(-|u - v|^2 / (2 h^2))`` [1]_; zero only if
    the distributions agree. Means are over pairs of different rows (U-statistic).

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.
    bandwidth : float > 0, optional
        h, in the unit of the features; by default the median distance between rows of `x` alone, of at most 1000 of
        them, so that candidates that are compared with one reference share it.
    n_features : int, optional
        Replace the kernel by that many random Fourier features [2]_, whose kernel is k on average: time is linear in
        the rows instead of quadratic, and the result is unbiased still.
    random_state : None, int, RandomState or Generator
        Draws the features, and the rows for the median where `x` has over 1000.

    Returns
    -------
    float
        Without unit, at most 2; lower is better; 0 on average when the distributions agree, so that it can be negative.

    Raises
    ------
    ValueError
        If a sample has fewer than two rows, contains NaN or infinity, or the columns differ, or if `bandwidth` is not
        positive.
    TypeError
        If one is a DataFrame and the other is not, or an argument has the wrong type.

    References
    ----------
    .. [1] A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), equation 3.
    .. [2] A. Rahimi, B. Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import mmd
    >>> round(mmd([0.0, 1.0], [0.0, 1.0], bandwidth=1.0), 4)  # 2 e^(-1/2) - 2 (1 + e^(-1/2)) / 2
    -0.3935
    >>> rng = np.random.default_rng(0)
    >>> mmd(rng.normal(size=(300, 2)), rng.normal(2, 1, size=(300, 2)), random_state=0) > 0.1
    True
    """
    a, b = check_samples(x, y, "mmd", least=2)
    if bandwidth is not None and (not isinstance(bandwidth, Real) or isinstance(bandwidth, bool)):
        raise TypeError(f"bandwidth should be None or a number, got {bandwidth!r}.")
    if bandwidth is not None and not 0 < bandwidth < np.inf:
        raise ValueError(f"bandwidth={bandwidth} should be positive and finite.")
    rng = as_generator(random_state)
    if n_features is None:
        return _mmd(_Reference(a, bandwidth), b, rng)
    return _mmd_fourier(a, b, rng, check_integer(n_features, "n_features", minimum=1), bandwidth)


class _Reference:
    """A sample, and what its comparisons with others share: the kernel, and its own mean."""

    def __init__(self, rows: _Array, bandwidth: float | None = None) -> None:
        self.rows = rows
        self._bandwidth = bandwidth
        self._shared: tuple[Kernel, float] | None = None

    def shared(self, rng: np.random.Generator) -> tuple[Kernel, float]:
        """Return kernel and mean; ``rng`` draws the rows for the median distance the first time."""
        if self._shared is None:
            kernel = partial(_gaussian, -0.5 / (self._bandwidth or median_distance(self.rows, rng)) ** 2)
            self._shared = kernel, mean_within(self.rows, kernel)
        return self._shared


def _mmd(x: _Reference, y: _Array, rng: np.random.Generator) -> float:
    kernel, within = x.shared(rng)
    return within + mean_within(y, kernel) - 2 * mean_over_pairs(x.rows, y, kernel)


def _gaussian(scale: float, squared: _Array, out: _Array) -> _Array:
    np.multiply(squared, scale, out=out)
    return np.exp(out, out=out)


def _mmd_fourier(
    x: _Array,
    y: _Array,
    rng: np.random.Generator,
    n_features: int = _RANKING_FEATURES,
    bandwidth: float | None = None,
) -> float:
    frequencies = rng.normal(size=(x.shape[1], n_features)) / (bandwidth or median_distance(x, rng))
    center = center_of(x)
    (n, sum_x), (m, sum_y) = ((len(s), _embedding_sum(s - center, frequencies)) for s in (x, y))
    # Each row's features have length 1, which is what a row adds when paired with itself.
    within = (sum_x @ sum_x - n) / (n * (n - 1)) + (sum_y @ sum_y - m) / (m * (m - 1))
    return float(within - 2 * (sum_x @ sum_y) / (n * m))


def _embedding_sum(rows: _Array, frequencies: _Array) -> _Array:
    """Return the sum over rows of their 2 n_features features, cosines and sines, of total length 1 a row."""
    total = np.zeros((2, frequencies.shape[1]))
    step = max(1, _BLOCK_ENTRIES // frequencies.shape[1])
    for start in range(0, len(rows), step):
        phases = rows[start : start + step] @ frequencies
        total += np.cos(phases).sum(axis=0), np.sin(phases).sum(axis=0)
    return total.ravel() / np.sqrt(frequencies.shape[1])


MMD = Metric("mmd", _mmd, quadratic=True, prepare=_Reference)
MMD_FOURIER = Metric("mmd_fourier", _mmd_fourier)
