"""Sweeps over the time since programming."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_eval.devices import PCM, Device, Time, in_words
from analog_eval.drifting import Compensation, DeviceNoise
from analog_eval.evaluation.draws import plan_draws, run
from analog_eval.evaluation.drift_report import DriftReport
from analog_eval.evaluation.inputs import check_count
from analog_eval.evaluation.metrics import MetricArgument
from analog_eval.evaluation.subject import prepare
from analog_eval.evaluation.sweep import sweep_report
from analog_eval.noise import RandomState

__all__ = ["DEFAULT_TIMES", "drift_sweep"]

DEFAULT_TIMES: tuple[str, ...] = ("25s", "1h", "1d", "1mo", "1y")


def drift_sweep(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    device: Device = PCM(),  # noqa: B008 (frozen: sharing it is safe)
    times: Iterable[Time] | Time = DEFAULT_TIMES,
    compensation: Compensation = "global",
    n_draws: int = 25,
    metric: MetricArgument = None,
    progress: bool = True,
    random_state: RandomState = None,
) -> DriftReport:
    r"""Measure how a fitted model's score falls in the time after its weights were programmed into analog devices.

    Every draw is one programming: all kernels are programmed once, and read at every time with the same random numbers,
    so that differences between times are far less noisy than the scores themselves.  With the same seed, models whose
    tensors have the same shapes share them, too.  The model is only read, never changed.

    Parameters
    ----------
    model : fitted scikit-learn estimator, torch.nn.Module, or ArrayModel
        See `noise_sweep`.  Kernels are programmed, tied ones once; biases, normalizations and all else stay digital.
    X : array-like of shape (n_rows, n_features)
        Test rows; see `noise_sweep`.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        True labels or targets.
    sample_weight : array-like of shape (n_rows,), optional
        Importance of each row, in any unit.
    device : Device, default=PCM()
        What keeps the weights: `PCM`, `Hermes`, `ReRAM`, `StateIndependent`, `TabulatedDevice`, or one of your own.
    times : sequence of str or float, default=("25s", "1h", "1d", "1mo", "1y")
        Distinct times since programming: seconds, or numbers with one of the units s, min, h, d, mo (30 days), y (365
        days); reported in ascending order.  0 is just after programming, which a device need not have measured.
    compensation : {"global", "column"} or None, default="global"
        What the digital part does about drift: one factor a tensor, one factor an output, or nothing; see
        `DeviceNoise`.
    n_draws : int, default=25
        Programmings.
    metric : str, callable or None, default=None
        See `noise_sweep`.
    progress : bool, default=True
        Show how far the sweep is, on standard error.
    random_state : None, int, RandomState or Generator, default=None
        Source of the random numbers.  The same int gives the same numbers; raising `n_draws` keeps the first draws.

    Returns
    -------
    DriftReport
        A `SweepReport` whose levels are seconds, with verdicts.

    Raises
    ------
    TypeError
        If the model, the metric, `device` or a time is of an unsupported kind.
    ValueError
        If the model is not fitted, rows disagree in number, an argument is out of range, a time has an unknown unit or
        is not known to the device, or ``"column"`` meets a tensor whose outputs may lie along any axis.

    Notes
    -----
    Statistics and intervals are those of `noise_sweep`.  Inputs and outputs are exact here: no converters, no noise of
    their own.  A tensor is one crossbar, however large.

    One programming is held in memory at a time, with three numbers a device in the precision of the weights: for one
    pair of devices 24 bytes a weight of float32, 48 of float64; what is computed on the way adds a few megabytes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import PCM, drift_sweep
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X, y)
    >>> report = drift_sweep(model, X, y, device=PCM(), times=("1h", "1y"), random_state=0)
    >>> report.table.index.tolist()
    [3600.0, 31536000.0]
    >>> report.iso_accuracy()["verdict"].tolist()
    ['open', 'fails']
    """
    noise = DeviceNoise(device, compensation)
    grid = _check_times(times, device)
    plan = plan_draws(check_count(n_draws, "n_draws"), None, n_draws)
    subject = prepare(model, X, y, sample_weight, noise, metric, "weights", random_state)
    estimates = run([subject], grid, plan, lambda every: every[0][1:], label="drift sweep", progress=progress)[0]
    report = sweep_report(subject, estimates, grid, noise, "weights", plan.text(n_draws))
    settings = {"model": subject.adapter.name, "device": repr(device), "compensation": str(compensation)}
    return DriftReport(
        **vars(report)
        | {
            "table": report.table.rename_axis(index="seconds"),
            "draws": report.draws.rename(columns={"level": "seconds"}),
            "settings": settings | {name: report.settings[name] for name in ("draws", "rows")},
        }
    )


def _check_times(times: Iterable[Time] | Time, device: Device) -> NDArray[np.float64]:
    """Return the times in seconds, in ascending order."""
    if isinstance(times, str) or not isinstance(times, Iterable):
        times = [times]
    seconds = np.array([device.check_time(time, "times") for time in times], dtype=np.float64)
    if seconds.size == 0:
        raise ValueError("times is empty; a sweep needs at least one")
    values, counts = np.unique(seconds, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"times holds {[in_words(value) for value in values[counts > 1].tolist()]} more than once")
    return values
