"""Several models in the same analog devices, on the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from analog_eval.devices import PCM, Device, Time
from analog_eval.drifting import Compensation, DeviceNoise
from analog_eval.evaluation import peripheral
from analog_eval.evaluation.comparison import Quantity, check_models, check_quantity, compare_subjects
from analog_eval.evaluation.comparison_report import Comparison
from analog_eval.evaluation.draws import plan_draws
from analog_eval.evaluation.drift import DEFAULT_TIMES, check_times, drift_report, prepare_drift
from analog_eval.evaluation.drift_report import DriftReport
from analog_eval.evaluation.inputs import check_count
from analog_eval.evaluation.metrics import MetricArgument
from analog_eval.evaluation.statistics import Estimate
from analog_eval.noise import RandomState, one_seed
from analog_eval.periphery import Periphery

__all__ = ["compare_drift"]


def compare_drift(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    device: Device = PCM(),  # noqa: B008 (frozen: sharing it is safe)
    times: Iterable[Time] | Time = DEFAULT_TIMES,
    compensation: Compensation = "global",
    periphery: Periphery | None = None,
    calibration: Any = None,
    n_draws: int = 25,
    metric: MetricArgument = None,
    quantity: Quantity = "score",
    reference: str | None = None,
    progress: bool = True,
    random_state: RandomState = None,
) -> Comparison:
    """Tell which of several fitted models keeps more of its score in analog devices, at which time, and how surely.

    `drift_sweep` for each model, on the same rows and with the same random numbers wherever tensors have the same
    shapes in the same order, and the differences of `compare`.

    Parameters
    ----------
    models : mapping of str to model
        Two or more fitted models, see `noise_sweep`; all classifiers or all regressors.
    X, y, sample_weight, device, times, compensation, periphery, n_draws, metric, progress
        See `drift_sweep`.
    calibration : see `drift_sweep`, or dict of str to such, or None, default=None
        One for all models; or a dict by the names of all the models, such as ``{"plain": X_train, "hardened":
        result.input_scales}``.
    quantity : {"score", "normalized", "chance_corrected"}, default="score"
        What is compared, see `compare`; what `DriftReport.iso_accuracy` judges is ``"chance_corrected"``.
    reference : str, optional
        Compare every other model with this one only.  Default: all pairs.
    random_state : None, int, RandomState or Generator, default=None
        Source of the random numbers.  With an int the scores are those of `drift_sweep` with the same seed.

    Returns
    -------
    Comparison
        Its tables have the index ``a``, ``b``, ``seconds``; its reports are of class `DriftReport`.

    Raises
    ------
    TypeError
        If `models` is not a mapping, or for any reason of `drift_sweep`.
    ValueError
        If `calibration` names some of the models only, or for any reason of `compare` or `drift_sweep`.

    Warns
    -----
    UserWarning
        See `drift_sweep`.

    Notes
    -----
    Differences, intervals and verdicts are those of `compare`; ``average`` is over the times.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import Periphery, compare_drift
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> models = {f"C={c}": LogisticRegression(C=c, max_iter=1000).fit(X[:900], y[:900]) for c in (0.1, 100)}
    >>> chip = {"periphery": Periphery.standard(), "calibration": X[:900]}
    >>> comparison = compare_drift(models, X[900:], y[900:], times=("1h", "1y"), **chip, n_draws=10, random_state=0)
    >>> comparison.table.index.tolist()
    [('C=0.1', 'C=100', 3600.0), ('C=0.1', 'C=100', 31536000.0)]
    """
    noise = DeviceNoise(device, compensation)
    grid = check_times(times, device)
    plan = plan_draws(check_count(n_draws, "n_draws"), None, n_draws)
    names, pairs = check_models(models, reference)
    check_quantity(quantity)
    calibrations = _by_model(calibration, names)
    for name, each in zip(names, calibrations, strict=True):
        with _blamed_on(name):
            peripheral.check_periphery(periphery, each)
    seed, subjects = one_seed(random_state), []
    for name, each in zip(names, calibrations, strict=True):
        with _blamed_on(name):
            subjects.append(prepare_drift(models[name], X, y, sample_weight, noise, periphery, each, metric, seed))

    def report(i: int, estimates: Sequence[Estimate]) -> DriftReport:
        return drift_report(subjects[i], estimates, grid, noise, periphery, calibrations[i])

    comparison = compare_subjects(names, pairs, subjects, grid, plan, quantity, report, progress=progress)
    for name, subject, each in zip(names, subjects, calibrations, strict=True):
        if isinstance(subject, peripheral.AnalogSubject) and not isinstance(each, Mapping):
            peripheral.warn_of_clipping(subject, name)
    return comparison


def _by_model(calibration: Any, names: Sequence[str]) -> list[Any]:
    """Return the calibration of each model."""
    each = [calibration] * len(names)
    if isinstance(calibration, Mapping) and (
        any(name in calibration for name in names) or not all(isinstance(one, Real) for one in calibration.values())
    ):
        if set(calibration) != set(names):
            raise ValueError(f"calibration names {list(calibration)}, but the models are {list(names)}")
        each = [calibration[name] for name in names]
    return [one.to_dict() if isinstance(one, pd.Series) else one for one in each]


@contextmanager
def _blamed_on(name: str) -> Iterator[None]:
    """Name the model whose calibration is wrong; what else is wrong is none of the model's."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if str(error).startswith("calibration"):
            error.args = (f"model {name!r}: {error}",)
        raise
