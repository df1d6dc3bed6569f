"""How much of each nonideality a model bears, and how much of it there is in a chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analog_eval._progress import ProgressLine
from analog_eval.devices import PCM, Device, TabulatedDevice, to_seconds
from analog_eval.drifting import DeviceNoise
from analog_eval.evaluation.drift import drift_sweep
from analog_eval.evaluation.inputs import check_count
from analog_eval.evaluation.metrics import MetricArgument
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.sweep import noise_sweep
from analog_eval.noise import GaussianNoise, RandomState, one_seed
from analog_eval.periphery import Periphery

__all__ = ["sensitivity"]

# Programmed exactly, without drift.
_STILL = TabulatedDevice(conductances=(0.0, 1.0), programming=(0.0, 0.0))
_BITS = tuple(range(2, 17))
_GRID_POINTS = 9
# Of a bracket's ends: how exactly a level is found.
_RATIO = 1.02
_YEARS = 100 * 365 * 86400.0
_LEVELS: dict[str, tuple[float, float, str]] = {
    "programming_noise": (1e-3, 10.0, "share of the greatest weight"),
    "read_noise": (1e-3, 10.0, "factor"),
    "in_noise": (1e-3, 10.0, "share of the input scale"),
    "out_noise": (1e-3, 10.0, "input scale times the greatest weight"),
    "in_bits": (2, 16, "bits"),
    "out_bits": (2, 16, "bits"),
    "ir_drop": (0.1, 1e5, "factor"),
    "drift_time": (1.0, _YEARS, "s"),
}
# What a chip has of each: that of `Periphery.standard`, the deviation of `PCM` at the greatest conductance, a year.
_STANDARD: dict[str, float] = {
    "programming_noise": float(PCM().programming_sd(np.array(PCM().g_max))) / PCM().g_max,
    "drift_time": to_seconds("1y"),
}
# Nothing random in them: two draws are as good as any number.
_CERTAIN = ("in_bits", "out_bits", "ir_drop")

#: From a level to the sweep at this level alone.
Sweep: TypeAlias = Callable[[float], SweepReport]


def sensitivity(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    target: float = 0.99,
    nonidealities: Iterable[str] | None = None,
    device: Device = PCM(programming_scale=0.0, read_scale=0.0),  # noqa: B008 (frozen: sharing it is safe)
    n_draws: int = 25,
    metric: MetricArgument = None,
    progress: bool = True,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Find how much of each nonideality, alone, a fitted model bears before its normalized score falls to a target.

    Parameters
    ----------
    model, X, y, sample_weight, metric
        See `drift_sweep`.
    target : float, default=0.99
        Share of the clean score, from chance on: > 0, below 1; see `DriftReport.iso_accuracy`.
    nonidealities : str or sequence of str, optional
        Rows of the table below, in the order wanted; default: all of them, the least margin first.
    device : Device, default=PCM(programming_scale=0.0, read_scale=0.0)
        What drifts, in the row ``drift_time``; by default it does nothing else.  The drift is globally compensated.
    n_draws : int, default=25
        Draws of what is random; at least 2.
    progress : bool, default=True
        Show how far it is, on standard error.
    random_state : None, int, RandomState or Generator, default=None
        Source of the random numbers; all levels share them.

    Returns
    -------
    DataFrame, index ``nonideality``
        ``critical``: the level at which the normalized score falls to `target`; ``ci_low``, ``ci_high``: the levels
        between which the sweep does not say on which side it is, at 95 %; ``unit``; ``standard``: the level that a
        chip has; ``margin``: how many times this level the model bears, so that below 1 it alone costs too much;
        ``margin_low``, ``margin_high``: the same for the ends of the interval.  Rows are in the order of ``margin``,
        which is not certain where these intervals overlap.  They are:

        - ``programming_noise``: standard deviation of Gaussian noise on the weights, over the greatest of a tensor;
          standard: that of one device of `PCM` at its greatest conductance;
        - ``read_noise``, ``in_noise``, ``out_noise``, ``ir_drop``: the parameters of `Periphery` of these names;
          standard: those of `Periphery.standard`;
        - ``in_bits``, ``out_bits``: the fewest bits from which on the score is at or above `target`; standard as above;
        - ``drift_time``: seconds since programming; standard: a year.

        The attributes (``attrs``) ``clean``, ``metric``, ``target`` and ``notes`` say what was measured;
        ``analog_layers`` and ``digital_layers`` are those of `DriftReport`, empty if no row needs a periphery.  Noise
        of programming and drift hit every kernel, the other rows analog layers alone.

        Levels are sought from 0.001 to 10 (noise), 0.1 to 100000 (drop of voltage), 1 second to 100 years and 2 to 16
        bits.  Infinite: the model bears the greatest of them; 0: not even the least.  Of bits it is the other way
        round: infinite where 16 do not do, 2 where 2 do, so that a margin of 64 says 64 or more.  NaN: the score has no
        ratio to the clean one; of margins: the standard has none of it, as of ``in_noise``.

    Raises
    ------
    TypeError, ValueError
        For the reasons of `drift_sweep`, or if `target` is out of range, a nonideality is unknown, or ``drift_time``
        meets a device that does not know all times from 1 second to 100 years.

    Notes
    -----
    A margin is ``critical / standard``; of bits it is ``2 ** (standard - critical)``, the ratio of the steps.  Margins
    and the standard levels of programming noise and time are ours.  Drift goes with the logarithm of time, so that a
    margin of 2 is little there.

    The experiment follows Rasch et al. 2023, arXiv 2302.08469, who scale one nonideality at a time; the interval is
    ours.  The first bracket on a logarithmic grid is halved until its ends are within 2 %, with the same draws at every
    level.  With few rows no accuracy can be said to hold 99 %, and then ``ci_low`` is 0 (``ci_high`` of bits infinite):
    with fewer than 388 where no row changes sides and the clean score is 1 above chance, with more the smaller that
    distance is (`DriftReport.iso_accuracy`).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import sensitivity
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X, y)
    >>> table = sensitivity(model, X, y, nonidealities=("out_noise", "in_bits"), n_draws=5, random_state=0)
    >>> bool(0.0 < table.loc["out_noise", "critical"] < 1.0), bool(2 < table.loc["in_bits", "critical"] < 9)
    (True, True)
    """
    if not (isinstance(target, Real) and 0.0 < target < 1.0):
        raise ValueError(f"target={target!r} must be a number > 0, below 1")
    if check_count(n_draws, "n_draws") < 2:
        raise ValueError(f"n_draws={n_draws} must be >= 2, to tell the spread")
    names = _check_names(nonidealities)
    # Before anything takes time.
    DeviceNoise(device)
    if "drift_time" in names:
        _check_all_times(device)
    usual = {"sample_weight": sample_weight, "metric": metric, "n_draws": n_draws, "progress": False}
    experiment = _Experiment(model, X, y, usual | {"random_state": one_seed(random_state)}, device)
    known, rows = experiment.known(names), {}
    with ProgressLine("sensitivity, nonidealities", len(names), enabled=progress) as line:
        for name in names:
            low, high, unit = _LEVELS[name]
            curves = _Curves(experiment.sweep(name), float(target))
            levels = curves.fewest_bits() if name.endswith("_bits") else curves.crossings(low, high)
            rows[name] = (*levels, unit, *_margins(name, levels))
            line.step()
    columns = ["critical", "ci_low", "ci_high", "unit", "standard", "margin", "margin_low", "margin_high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis(index="nonideality")
    if nonidealities is None:
        table = table.sort_values("margin", kind="stable")
    table.attrs = {**known, "target": float(target)}
    return table


def _margins(name: str, levels: Sequence[float]) -> list[float]:
    """Return the standard level, how many times it is borne, and at least and at most how many times."""
    chip = Periphery.standard()
    standard = float(_STANDARD[name] if name in _STANDARD else getattr(chip, name))
    if name.endswith("_bits"):
        # The most bits that may be needed make the least margin.
        margin, high, low = (2.0 ** (standard - bits) for bits in levels)
        return [standard, margin, low, high]
    return [standard, *(level / standard if standard else float("nan") for level in levels)]


def _check_all_times(device: Device) -> None:
    low, high, _ = _LEVELS["drift_time"]
    try:
        for time in _grid(low, high):
            device.check_time(time)
    except ValueError as error:
        raise ValueError(
            f"device={device!r} does not know all times from 1 second to 100 years, among which drift_time is sought; "
            "leave it out of nonidealities"
        ) from error


def _grid(low: float, high: float) -> list[float]:
    return [float(level) for level in np.geomspace(low, high, _GRID_POINTS)]


def _check_names(names: Iterable[str] | None) -> list[str]:
    if names is None:
        return list(_LEVELS)
    chosen = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in chosen if name not in _LEVELS]
    if unknown or not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"nonidealities={chosen} must be distinct names among {', '.join(_LEVELS)}")
    return chosen


@dataclass(frozen=True, eq=False)
class _Experiment:
    """A model, its rows, and what all sweeps have in common."""

    model: Any
    X: Any
    y: ArrayLike
    usual: dict[str, Any]
    device: Device

    def known(self, names: Iterable[str]) -> dict[str, Any]:
        """Return what holds at every level, with the layers if a nonideality is one of the periphery."""
        periphery = None if _STANDARD.keys() >= set(names) else Periphery.exact()
        settings = self.usual | {"n_draws": 2}
        report = drift_sweep(self.model, self.X, self.y, times="1d", periphery=periphery, **settings)
        return {key: getattr(report, key) for key in ("clean", "metric", "notes", "analog_layers", "digital_layers")}

    def sweep(self, name: str) -> Sweep:
        """Return the sweep over one nonideality."""
        data = (self.model, self.X, self.y)
        if name == "programming_noise":
            return lambda level: noise_sweep(*data, noise=GaussianNoise("absmax"), levels=level, **self.usual)
        if name == "drift_time":
            return lambda level: drift_sweep(*data, device=self.device, times=level, **self.usual)
        settings = self.usual | ({"n_draws": 2} if name in _CERTAIN else {})
        bare = Periphery.exact()
        if name == "out_bits":
            # A converter of outputs needs a bound.
            bare = replace(bare, out_bound=Periphery().out_bound)

        def sweep(level: float) -> SweepReport:
            value: Any = int(level) if name.endswith("_bits") else level
            periphery = replace(bare, **{name: value})
            return drift_sweep(*data, device=_STILL, compensation=None, times=0.0, periphery=periphery, **settings)

        return sweep


class _Curves:
    """What the normalized score, and the two limits of its interval, are above a target, over the level.

    Parameters
    ----------
    sweep : callable
        From a level to its sweep.
    target : float
        Share of the clean score.
    """

    def __init__(self, sweep: Sweep, target: float) -> None:
        @cache
        def excess(level: float) -> tuple[float, float, float]:
            share, half = (float(values[0]) for values in sweep(level).normalized_interval())
            return share - target, share - half - target, share + half - target

        self._excess = excess

    def crossings(self, low: float, high: float) -> list[float]:
        """Return where each curve first falls below 0 between two levels."""
        grid = _grid(low, high)
        return [self._crossing(curve, grid) for curve in range(3)]

    def _crossing(self, curve: int, grid: list[float]) -> float:
        below = 0.0
        for level in grid:
            value = self._excess(level)[curve]
            if np.isnan(value):
                return float("nan")
            if value < 0.0:
                return self._halved(curve, below, level) if below else 0.0
            below = level
        return float("inf")

    def _halved(self, curve: int, low: float, high: float) -> float:
        while high > _RATIO * low:
            middle = float(np.sqrt(low * high))
            if self._excess(middle)[curve] < 0.0:
                high = middle
            else:
                low = middle
        return float(np.sqrt(low * high))

    def fewest_bits(self) -> list[float]:
        """Return from how many bits on the curves are at 0 or above; the surest number last."""
        middle, surely, perhaps = (self._fewest(curve) for curve in range(3))
        return [middle, perhaps, surely]

    def _fewest(self, curve: int) -> float:
        fewest = float("inf")
        for bits in reversed(_BITS):
            value = self._excess(float(bits))[curve]
            if np.isnan(value):
                return float("nan")
            if value < 0.0:
                break
            fewest = float(bits)
        return fewest
