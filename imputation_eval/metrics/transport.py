"""Optimal-transport distances between samples."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imputation_eval._validation import RandomStateLike, as_generator, check_integer, warn_user
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_samples
from imputation_eval.metrics.slices import DEFAULT_PROJECTIONS, monotone_coupling, sorted_projections
from imputation_eval.neighborhoods import median_distance, squared_distance_blocks

_Array = NDArray[np.float64]
_MAX_EXACT_ROWS = 2000  # exact transport takes 1.5 s at 2000 rows and grows with the cube
_MAX_SINKHORN_ROWS = 5000  # three plans of 200 MB
# The dual value is off by the square of what the marginals are off by.
_SINKHORN_TOLERANCE, _ACCEPTED = 1e-5, 1e-3
_SINKHORN_STEPS, _MANY_SINKHORN_STEPS = 2000, 10_000  # for large and for tiny samples
_LOG_STEP = 4  # for so many steps one is done in logarithms, which takes some ten times as long
_RELATIVE_REGULARIZATION = 0.1
_LARGEST_EXPONENT = 500  # exp of up to 709 is finite


def wasserstein(x: Sample, y: Sample) -> float:
    """Exact 2-Wasserstein distance of two samples.

    W_2 = min over couplings of sqrt(E|X - Y|^2), solved as a linear program by the POT library.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        At most 2000 rows. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample, at most 2000 rows.

    Returns
    -------
    float
        In the unit of the features; lower is better. It stays above 0 also for two samples of one distribution, the
        more so the more features there are and the wider the samples scatter. A candidate that scatters too little can
        therefore come out below a second sample of the reference's own distribution.

    Raises
    ------
    ValueError
        If a sample has over 2000 rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import wasserstein
    >>> round(wasserstein([0.0, 1.0], [5.0, 4.0]), 6)
    4.0
    """
    return _wasserstein(*check_samples(x, y, "wasserstein", most=_MAX_EXACT_ROWS, instead="sliced_wasserstein"))


def sliced_wasserstein(
    x: Sample, y: Sample, *, n_projections: int = DEFAULT_PROJECTIONS, random_state: RandomStateLike = None
) -> float:
    """Sliced 2-Wasserstein distance of two samples, in time n log n.

    The root of the mean, over random directions, of the squared 2-Wasserstein distances of the projections [1]_.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Any number of rows. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.
    n_projections : int >= 1
        Directions, uniform on the sphere. One column has but one.
    random_state : None, int, RandomState or Generator
        Draws the directions.

    Returns
    -------
    float
        In the unit of the features; lower is better. Above 0 also for two samples of one distribution.

    Raises
    ------
    ValueError
        If a sample contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    References
    ----------
    .. [1] N. Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", Journal of Mathematical Imaging
       and Vision 51 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import sliced_wasserstein
    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> round(sliced_wasserstein(x, x + [3.0, 0, 0, 0], n_projections=5000, random_state=0), 1)  # 3 / sqrt(4)
    1.5
    """
    n_projections = check_integer(n_projections, "n_projections", minimum=1)
    return _sliced_wasserstein(*check_samples(x, y, "sliced_wasserstein"), as_generator(random_state), n_projections)


def sinkhorn_divergence(
    x: Sample, y: Sample, *, regularization: float | None = None, random_state: RandomStateLike = None
) -> float:
    r"""Sinkhorn divergence of two samples: entropic transport without its bias.

    S = OT(X, Y) - (OT(X, X) + OT(Y, Y)) / 2, where OT is the least of E|X - Y|^2 + epsilon KL(coupling | independence)
    over all couplings [1]_, solved by the POT library. It is 0 for equal samples, positive otherwise, and lies between
    the squared Wasserstein distance (epsilon to 0) and the squared distance of the means (epsilon to infinity).

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        At most 5000 rows. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample, at most 5000 rows.
    regularization : float > 0, optional
        epsilon, in the squared unit of the features; by default a tenth of the squared median distance between rows of
        `x` alone, so that candidates that are compared with one reference share it.
    random_state : None, int, RandomState or Generator
        Draws the rows for that median where `x` has over 1000.

    Returns
    -------
    float
        In the squared unit of the features; lower is better. Above 0 also for two samples of one distribution.

    Raises
    ------
    ValueError
        If a sample has over 5000 rows, contains NaN or infinity, the columns differ, or `regularization` is not
        positive.
    TypeError
        If one is a DataFrame and the other is not, or `regularization` is no number.

    Warns
    -----
    UserWarning
        If the marginals of the coupling are still off by over 0.001 after the last step.

    References
    ----------
    .. [1] J. Feydy et al., "Interpolating between Optimal Transport and MMD using Sinkhorn Divergences", AISTATS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import sinkhorn_divergence
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> round(sinkhorn_divergence(x, x + [3.0, 0.0], random_state=0), 4)  # a shift costs its square, whatever epsilon
    9.0
    """
    a, b = check_samples(x, y, "sinkhorn_divergence", most=_MAX_SINKHORN_ROWS, instead="sliced_wasserstein")
    if regularization is not None and (not isinstance(regularization, Real) or isinstance(regularization, bool)):
        raise TypeError(f"regularization should be None or a number, got {regularization!r}.")
    if regularization is not None and not 0 < regularization < np.inf:
        raise ValueError(f"regularization={regularization} should be positive and finite.")
    return _sinkhorn_divergence(a, b, as_generator(random_state), regularization)


def _wasserstein(x: _Array, y: _Array) -> float:
    import ot  # here, because importing it takes long when it finds torch

    cost = _squared_distances(x, y)
    uniform = [np.full(n, 1 / n) for n in cost.shape]
    # The default limit of iterations stops short of the optimum at 2000 rows.
    value: Any = ot.emd2(*uniform, cost, numItermax=10_000_000)
    return float(np.sqrt(max(value, 0.0)))


def _sliced_wasserstein(
    x: _Array, y: _Array, rng: np.random.Generator, n_projections: int = DEFAULT_PROJECTIONS
) -> float:
    i, j, mass = monotone_coupling(len(x), len(y))
    moved = [(a[:, i] - b[:, j]) ** 2 @ mass for a, b in sorted_projections(x, y, n_projections, rng)]
    return float(np.sqrt(np.concatenate(moved).mean()))


def _sinkhorn_divergence(x: _Array, y: _Array, rng: np.random.Generator, regularization: float | None = None) -> float:
    epsilon = regularization or _RELATIVE_REGULARIZATION * median_distance(x, rng) ** 2
    between = _entropic_cost(x, y, epsilon)
    return between - (_entropic_cost(x, x, epsilon) + _entropic_cost(y, y, epsilon)) / 2


def _entropic_cost(x: _Array, y: _Array, epsilon: float) -> float:
    """Return the least of transport cost plus epsilon KL, from the dual potentials at its optimum."""
    import ot

    cost = _squared_distances(x, y)
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    n_steps = int(np.clip(10**8 / cost.size, _SINKHORN_STEPS, _MANY_SINKHORN_STEPS))
    options: dict[str, Any] = {"numItermax": n_steps, "stopThr": _SINKHORN_TOLERANCE, "log": True, "warn": False}
    farthest = max(cost.min(axis=1).max(), cost.min(axis=0).max())
    with np.errstate(all="ignore"):  # POT also takes exponentials of the potentials, which may overflow
        if farthest < _LARGEST_EXPONENT * epsilon:
            log = ot.sinkhorn(a, b, cost, epsilon, **options)[1]
            potentials = np.log(log["u"] / a).mean() + np.log(log["v"] / b).mean()
        else:  # all that some row could exchange would vanish
            options["numItermax"] = n_steps // _LOG_STEP
            log = ot.sinkhorn(a, b, cost, epsilon, method="sinkhorn_log", **options)[1]
            potentials = (log["log_u"] - np.log(a)).mean() + (log["log_v"] - np.log(b)).mean()
    if log["err"][-1] > _ACCEPTED:
        warn_user(
            f"sinkhorn_divergence did not converge: marginals are off by {log['err'][-1]:.2g} after {n_steps} steps."
        )
    return float(epsilon * potentials)


def _squared_distances(x: _Array, y: _Array) -> _Array:
    return np.vstack([block for _, block, _ in squared_distance_blocks(x, y)])


WASSERSTEIN = Metric(
    "wasserstein",
    lambda x, y, rng: _wasserstein(x, y),
    truth_is_floor=False,
    note="wasserstein between samples is above 0 even for the truth, and favours imputed values that vary too little",
    max_rows=_MAX_EXACT_ROWS,
    quadratic=True,
)
SLICED_WASSERSTEIN = Metric(
    "sliced_wasserstein",
    _sliced_wasserstein,
    truth_is_floor=False,
    note="sliced_wasserstein is above 0 even for the truth, and slightly favours imputed values that vary too little",
)
SINKHORN = Metric(
    "sinkhorn_divergence",
    _sinkhorn_divergence,
    truth_is_floor=False,
    note="sinkhorn_divergence between samples is above 0 even for the truth, and favours imputed values that vary too "
    "little",
    max_rows=_MAX_SINKHORN_ROWS,
    quadratic=True,
)
