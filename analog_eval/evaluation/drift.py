"""Sweeps over the time since programming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analog_eval.devices import PCM, Device, Time, in_words
from analog_eval.drifting import Compensation, DeviceNoise
from analog_eval.evaluation import peripheral
from analog_eval.evaluation.draws import plan_draws, run
from analog_eval.evaluation.drift_report import DriftReport
from analog_eval.evaluation.inputs import check_count
from analog_eval.evaluation.metrics import MetricArgument
from analog_eval.evaluation.statistics import Estimate
from analog_eval.evaluation.subject import Subject, prepare
from analog_eval.evaluation.sweep import sweep_report
from analog_eval.noise import RandomState, one_seed
from analog_eval.periphery import Periphery

__all__ = ["DEFAULT_TIMES", "check_times", "drift_report", "drift_sweep", "prepare_drift"]

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
    periphery: Periphery | None = None,
    calibration: Any = None,
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
    periphery : Periphery, optional
        What surrounds the crossbars: converters, their noise, the drop of voltage, tiles.  Default: nothing, inputs and
        outputs are exact.  Products of scikit-learn's linear models and MLPs, of torch's linear layers and convolutions
        in one and two dimensions, and those of an `ArrayModel` whose function multiplies by a whole kernel (``X @
        kernel``, ``X @ kernel.T``, `numpy.dot`) go through it; all others are exact, and the report lists both.  A
        kernel that is also used otherwise, such as by its transpose in a decoder, is named in a note.
    calibration : array-like of shape (n_rows, n_features), "test", dict of str to float, or None, default=None
        Rows, best training rows, that give every layer an input scale of its own: the greatest absolute input it gets
        for them in the digital model.  ``"test"``: the first 256 rows of `X`.  A dict, or a Series: the scales
        themselves, by the name of the kernel, such as `harden` learns with `InputRanges`; other kernels, named in a
        note, have that of `periphery`.  None: all have the scale of `periphery`, dynamic unless it is set.
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
        If the model, the metric, `device`, `periphery`, `calibration` or a time is of an unsupported kind, or sparse
        rows meet a periphery.
    ValueError
        If the model is not fitted, rows disagree in number, an argument is out of range, a time has an unknown unit or
        is not known to the device, ``"column"`` meets a tensor whose outputs may lie along any axis, no product of the
        model goes through `periphery`, or `calibration` has no periphery, one whose scale is set, or a kernel that the
        model has not.

    Warns
    -----
    UserWarning
        If the input scale clipped more than 1 % of a layer's inputs, unless scales were given by name: learned ones
        clip on purpose.

    Notes
    -----
    Statistics and intervals are those of `noise_sweep`.

    With a periphery the greatest programmed weight stands for its unit, and drifts with the device; the compensation
    multiplies what comes out of the converters.  A convolution is the product of its unfolded patches and its kernel,
    each group a matrix of its own; products are in the precision of model and inputs, float32 at least.  Noise of
    inputs, outputs and short-term reading is new for every draw, layer and row, and the same at all times of a draw, as
    the device's own is; the devices are those of the sweep without a periphery.  Without one a tensor is one crossbar,
    however large.

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

    With eight-bit converters, noise of outputs, and a drop of voltage:

    >>> from analog_eval import Periphery
    >>> converted = drift_sweep(model, X, y, times="1h", periphery=Periphery.standard(), calibration=X, random_state=0)
    >>> converted.analog_layers
    ('coef_',)
    """
    noise = DeviceNoise(device, compensation)
    grid = check_times(times, device)
    plan = plan_draws(check_count(n_draws, "n_draws"), None, n_draws)
    calibration = calibration.to_dict() if isinstance(calibration, pd.Series) else calibration
    peripheral.check_periphery(periphery, calibration)
    seed = random_state if periphery is None else one_seed(random_state)
    subject = prepare_drift(model, X, y, sample_weight, noise, periphery, calibration, metric, seed)
    estimates = run([subject], grid, plan, lambda every: every[0][1:], label="drift sweep", progress=progress)[0]
    if isinstance(subject, peripheral.AnalogSubject) and not isinstance(calibration, Mapping):
        peripheral.warn_of_clipping(subject)
    return drift_report(subject, estimates, grid, noise, periphery, calibration)


def prepare_drift(
    model: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    noise: DeviceNoise,
    periphery: Periphery | None,
    calibration: Any,
    metric: MetricArgument,
    seed: RandomState,
) -> Subject:
    """Check everything that belongs to one model; see `drift_sweep` for the arguments."""
    subject = prepare(model, X, y, sample_weight, noise, metric, "weights", seed)
    return subject if periphery is None else peripheral.with_periphery(subject, periphery, calibration, seed)


def drift_report(
    subject: Subject,
    estimates: Sequence[Estimate],
    seconds: NDArray[np.float64],
    noise: DeviceNoise,
    periphery: Periphery | None,
    calibration: Any,
) -> DriftReport:
    """Return the report of one subject, given its clean score and that of each time."""
    notes = subject.notes if isinstance(subject, peripheral.AnalogSubject) else ()
    report = sweep_report(subject, estimates, seconds, noise, "weights", str(len(estimates[0].scores)), notes)
    settings = {
        "model": subject.adapter.name,
        "device": repr(noise.device),
        "compensation": str(noise.compensation),
    }
    layers: dict[str, tuple[str, ...]] = {}
    if isinstance(subject, peripheral.AnalogSubject):
        settings |= {"periphery": repr(periphery), "calibration": peripheral.in_words(calibration)}
        layers = {"analog_layers": subject.analog_layers(), "digital_layers": subject.digital_layers()}
    return DriftReport(
        **vars(report)
        | {
            "table": report.table.rename_axis(index="seconds"),
            "draws": report.draws.rename(columns={"level": "seconds"}),
            "settings": settings | {name: report.settings[name] for name in ("draws", "rows")},
        }
        | layers
    )


def check_times(times: Iterable[Time] | Time, device: Device) -> NDArray[np.float64]:
    """Return the times in seconds, in ascending order."""
    # Bytes hold numbers, but are no times.
    given: list[Any] = [times] if isinstance(times, str | bytes) or not isinstance(times, Iterable) else list(times)
    seconds = np.array([device.check_time(time, "times") for time in given], dtype=np.float64)
    if seconds.size == 0:
        raise ValueError("times is empty; a sweep needs at least one")
    values, counts = np.unique(seconds, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"times holds {[in_words(value) for value in values[counts > 1].tolist()]} more than once")
    return values
