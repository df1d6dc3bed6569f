"""Energy distances between samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from imputation_eval._validation import RandomStateLike, as_generator, check_integer
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_samples
from imputation_eval.metrics.slices import DEFAULT_PROJECTIONS, sorted_projections
from imputation_eval.neighborhoods import mean_over_pairs, mean_within

_Array = NDArray[np.float64]


def energy_distance(x: Sample, y: Sample, *, scaled: bool = False) -> float:
    """Energy distance of two samples, in its squared form.

    E = 2 E|X - Y| - E|X - X'| - E|Y - Y'| with Euclidean distances; zero only if the distributions agree [1]_.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.
    scaled : bool
        False: the unbiased estimate (U-statistic: means over pairs of different rows), which is 0 on average when the
        distributions agree, so that it can be negative. True: the V-statistic (each row paired with itself, too) times
        n m / (n + m), the test statistic as R's *energy* package gives it; never negative.

    Returns
    -------
    float
        In the unit of the features; lower is better. The square of ``scipy.stats.energy_distance`` is the V-statistic.

    Raises
    ------
    ValueError
        If a sample has fewer than two rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    References
    ----------
    .. [1] G. Székely, M. Rizzo, "Energy statistics: A class of statistics based on distances", Journal of Statistical
       Planning and Inference 143 (2013).

    Examples
    --------
    >>> from imputation_eval import energy_distance
    >>> energy_distance([0.0, 1.0], [2.0, 3.0])  # 2 * 2 - 1 - 1
    2.0
    >>> energy_distance([0.0, 1.0], [2.0, 3.0], scaled=True)  # (2 * 2 - 1/2 - 1/2) * 2 * 2 / 4
    3.0
    """
    a, b = check_samples(x, y, "energy_distance", least=2)
    if not scaled:
        return _energy_distance(_with_own_mean(a), b)
    n, m = len(a), len(b)
    within = mean_within(a, np.sqrt) * (n - 1) / n + mean_within(b, np.sqrt) * (m - 1) / m
    return n * m / (n + m) * (2 * mean_over_pairs(a, b, np.sqrt) - within)


def sliced_energy(
    x: Sample, y: Sample, *, n_projections: int = DEFAULT_PROJECTIONS, random_state: RandomStateLike = None
) -> float:
    r"""Energy distance of two samples from random projections, in time n log n.

    The mean of the energy distances of projections on directions that are uniform on the sphere, times
    :math:`\sqrt{\pi}\, \Gamma((d + 1) / 2) / \Gamma(d / 2)`. A uniform direction takes the length of a vector to that
    constant's inverse times it on average, so that this is an unbiased estimate of what
    :func:`~imputation_eval.energy_distance` gives for the same samples, to which it tends with many projections.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Any number of rows. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.
    n_projections : int >= 1
        Directions. One column has but one.
    random_state : None, int, RandomState or Generator
        Draws the directions.

    Returns
    -------
    float
        In the unit of the features; lower is better; 0 on average when the distributions agree, so that it can be
        negative.

    Raises
    ------
    ValueError
        If a sample has fewer than two rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import energy_distance, sliced_energy
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(500, 3)), rng.normal(1, 1, size=(500, 3))
    >>> sliced = sliced_energy(x, y, n_projections=2000, random_state=0)
    >>> abs(sliced / energy_distance(x, y) - 1) < 0.05
    True
    """
    a, b = check_samples(x, y, "sliced_energy", least=2)
    n_projections = check_integer(n_projections, "n_projections", minimum=1)
    return _sliced_energy(a, b, as_generator(random_state), n_projections)


def _energy_distance(x: tuple[_Array, float], y: _Array) -> float:
    rows, within = x
    return 2 * mean_over_pairs(rows, y, np.sqrt) - within - mean_within(y, np.sqrt)


def _with_own_mean(x: _Array) -> tuple[_Array, float]:
    return x, mean_within(x, np.sqrt)


def _sliced_energy(x: _Array, y: _Array, rng: np.random.Generator, n_projections: int = DEFAULT_PROJECTIONS) -> float:
    n, m, d = len(x), len(y), x.shape[1]
    values = []
    for a, b in sorted_projections(x, y, n_projections, rng):
        within_a, within_b = _pair_sums(a), _pair_sums(b)
        between = _pair_sums(np.sort(np.hstack([a, b]), axis=1)) - within_a - within_b
        values.append(2 * (between / (n * m) - within_a / (n * (n - 1)) - within_b / (m * (m - 1))))
    log_length = gammaln(d / 2) - gammaln((d + 1) / 2) - 0.5 * np.log(np.pi)
    return float(np.concatenate(values).mean() / np.exp(log_length))


def _pair_sums(ordered: _Array) -> _Array:
    """Return the sums of |a - b| over all pairs of each row of sorted values: each counts once a value below it."""
    n = ordered.shape[1]
    return ordered @ (2.0 * np.arange(n) - (n - 1))


ENERGY = Metric("energy", lambda x, y, rng: _energy_distance(x, y), quadratic=True, prepare=_with_own_mean)
SLICED_ENERGY = Metric("sliced_energy", _sliced_energy)
