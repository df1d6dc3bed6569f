"""The empirical planner: small trials tell what every codec would reach; only the best one is built in full."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from ..points import Coreset
from ..quantizers import ContextQuantizer, Quantizer, UniformQuantizer
from ..wire import Draft, arranged, columns_sent, encoded_size
from .building import Builder
from .candidates import MOST_CONTEXT_COLUMNS, bits_of, families
from .energy import EnergyYardstick
from .exhaustive import measured_error, measured_forecast
from .extrapolation import Extrapolation, OwnRows
from .filling import with_spare
from .forecasts import Forecast, Outcome, Task, nothing_fits
from .measuring import (
    Measure,
    drawn_by_class,
    energy_yardstick,
    held_out_rows,
    held_out_yardstick,
    training_yardstick,
)

# Rows that trials are built of: a share of all within these limits, but some for each point.
_PILOT_SHARE = 1 / 8
_LEAST_PILOT_ROWS, _MOST_PILOT_ROWS = 2048, 16384
_PILOT_ROWS_A_POINT = 4
_MOST_FIRST_POINTS = 1024
_FEW = 8
_SQUEEZED = 1.5
# Of so many classes one trial is enough: building takes long, and most points are not to be chosen.
_MANY_CLASSES = 1000
# Values of a trial, so that wide tables take no longer than others.
_TRIAL_VALUES = 1 << 21
# A trial of fewer points than a candidate, or more, by this factor says little of it.
_FAR = 2.0
# A trial of all rows serves for other numbers of points within this factor.
_NEAR = 1.4
_MOST_LOOKS = 4
# One trial tells that no codec of a slow family is worth another when all are expected to be worse by this factor.
_HOPELESS = 1.03
_WORSE_ANYWAY = "not tried: so few points do worse, however exact"
_FIRST_BITS = 2
# The error should fall by so much for one more codec to be tried.
_WORTHWHILE = 0.995
# A slow codec is tried if trials of one with fewer or more bits let it expect no more than the least error by this.
_LIKELY = 1.25
# Tables of so few values have their leading candidates built and encoded in full.
_EXACT_VALUES = 4096
_EXACT_CANDIDATES = 4  # at least, and others as long as they are expected to be better


def plan_empirically(task: Task) -> Outcome:
    """Try codecs on coresets of some rows, and forecast what each reaches on all of them.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Outcome
    """
    pilot = _Pilot(task)
    is_small = task.builder.rows.X.size <= _EXACT_VALUES
    forecasts = _Search(task, pilot).run(look_again=not is_small)
    built_of = f"coresets of {len(pilot.builder.rows)} rows, extrapolated to all {len(task.builder.rows)}"
    if is_small:
        forecasts = _exact(task, pilot, forecasts)
        built_of = "coresets of the other rows"
    described = f"{pilot.measure.described}, for {built_of}"
    return Outcome(forecasts, described, error_of=functools.partial(measured_error, pilot.measure))


class _Trial:
    """A coreset that codecs are tried on.

    Parameters
    ----------
    coreset : Coreset
    measure : Yardstick or EnergyYardstick
    extrapolation : HeldOutRows or OwnRows
        What its error tells of coresets of other numbers of rows.
    """

    def __init__(self, coreset: Coreset, measure: Measure, extrapolation: Extrapolation) -> None:
        self.coreset = coreset
        self.n_points = len(coreset)
        self._measure = measure
        self.cells = measure.squared_error(coreset)
        self.is_of_every_row = self.n_points == extrapolation.n_rows
        self.cells_of_endless_rows = extrapolation.removed(self.cells, self.n_points)
        plain = UniformQuantizer(1)
        self.other_bytes = encoded_size(coreset, plain) - plain.encoded_size(columns_sent(coreset))
        self.of = functools.cache(self._of)
        self._arranged: dict[Hashable, Coreset] = {}

    def _of(self, quantizer: Quantizer) -> tuple[int, float, float]:
        """Bytes of the point block, and what rounding adds to the squared error of some and of all rows."""
        key = quantizer.arrangement_key
        if key not in self._arranged:
            self._arranged[key] = arranged(self.coreset, quantizer)
        draft = self._drafted(Draft.of_arranged(self._arranged[key], quantizer))
        excess = self._measure.squared_error(draft.coreset, draft.columns) - self.cells
        return len(draft.point_block), *self._measure.what_rounding_adds(draft.coreset, draft.columns, excess)

    def _drafted(self, draft: Draft) -> Draft:
        return draft


class _WholeTrial(_Trial):
    """A coreset of all rows; its drafts are kept, since the message may be searched for from there."""

    def __init__(self, coreset: Coreset, measure: Measure, extrapolation: Extrapolation) -> None:
        super().__init__(coreset, measure, extrapolation)
        self.drafts: dict[Quantizer, Draft] = {}

    def _drafted(self, draft: Draft) -> Draft:
        self.drafts[draft.quantizer] = draft
        return draft


class _Pilot:
    """Trials of some of the rows and of all, and what they tell of coresets of all rows."""

    def __init__(self, task: Task) -> None:
        rows = task.builder.rows
        self._all = task.builder
        self._n_rows = len(rows)
        self._least = task.builder.bound.least_points
        points = [task.builder.bound.most_points(quantizer, task.budget) for quantizer in task.quantizers]
        surely = [number for number in points if number] or [self._least]
        # Codecs that squeeze fit more points than is sure.
        first = max(self._least, min(self._n_rows, _MOST_FIRST_POINTS, int(_SQUEEZED * np.quantile(surely, 0.75))))
        wanted = max(_LEAST_PILOT_ROWS, min(_MOST_PILOT_ROWS, int(_PILOT_SHARE * self._n_rows)))
        wanted = max(wanted, _PILOT_ROWS_A_POINT * first, 2 * self._least)
        self.builder, self.measure, self.whole_builder = _pilot(task, wanted)
        self._extrapolation = self.measure.extrapolation(len(self.builder.rows))
        self._measure_of_all = functools.cache(lambda: _measure_of_all(task, self.measure))
        self.trials: list[_Trial] = []
        self._wholes: list[_WholeTrial] = []
        self._add(first)
        half = self.trials[0].n_points // 2
        if self._least < _MANY_CLASSES:
            self._add(half if half >= _FAR * self._least else 2 * self.trials[0].n_points)
            if first // _FEW >= _FAR * self._least:  # where errors fall faster
                self._add(first // _FEW)

    def _add(self, n_points: int) -> None:
        """Make a trial of about so many points of some rows, unless there is one of as many as there come to be."""
        n_rows, n_features = self.builder.rows.X.shape
        most = n_rows if n_rows == self._n_rows else n_rows // 2
        most = max(self._least, min(most, _TRIAL_VALUES // n_features))
        trial = _Trial(self.builder.build(min(n_points, most)), self.measure, self._extrapolation)
        if trial.n_points not in [other.n_points for other in self.trials]:
            self.trials.append(trial)

    def whole(self, n_points: int) -> _WholeTrial:
        """A trial of all rows of about so many points or a few more."""
        near = [trial for trial in self._wholes if 1 / _NEAR <= n_points / trial.n_points <= _NEAR]
        if not near:
            coreset = self._all.build(with_spare(n_points, self._n_rows))
            near = [_WholeTrial(coreset, self._measure_of_all(), OwnRows(self._n_rows))]
            self._wholes += near
        return min(near, key=lambda trial: abs(trial.n_points - n_points))

    def cells(self, n_points: int) -> float:
        """Mean squared distance of rows to the nearest of so many points, were all rows read."""
        trials = sorted(self._telling(), key=lambda trial: trial.n_points)
        sizes = np.array([trial.n_points for trial in trials], dtype=np.float64)
        pure = np.array([trial.cells_of_endless_rows for trial in trials])
        return self._extrapolation.restored(_power_law(sizes, pure, n_points), n_points, self._n_rows)

    def _telling(self) -> list[_Trial]:
        """Trials to read errors from: of all rows, and of some rows where there is none of about as many points.

        Those that have every row say nothing of the error of fewer points.
        """
        wholes = [trial for trial in self._wholes if not trial.is_of_every_row]
        rest = [trial for trial in self.trials if not trial.is_of_every_row]
        far = [trial for trial in rest if all(not 1 / _FAR < trial.n_points / one.n_points < _FAR for one in wholes)]
        return [*wholes, *far] or self.trials

    def other_bytes(self, n_points: int) -> float:
        """Bytes of a message besides its points."""
        trials = (*self.trials, *self._wholes)
        sizes = np.array([trial.n_points for trial in trials], dtype=np.float64)
        others = np.array([trial.other_bytes for trial in trials], dtype=np.float64)
        far = int(np.abs(sizes - sizes[0]).argmax())
        rate = (others[far] - others[0]) / (sizes[far] - sizes[0]) if far else 1.0
        return float(others[0] + np.clip(rate, 0.0, 1.0) * (n_points - sizes[0]))


def _power_law(sizes: NDArray[np.float64], errors: NDArray[np.float64], n_points: int) -> float:
    """Error between and beyond known sizes, straight lines of logarithms that never rise."""
    errors = np.minimum.accumulate(errors)
    if len(sizes) == 1 or errors[-1] <= 0:
        return float(errors[min(int(np.searchsorted(sizes, n_points)), len(sizes) - 1)])
    at = int(np.clip(np.searchsorted(sizes, n_points), 1, len(sizes) - 1))
    logs = np.log(sizes[at - 1 : at + 1])
    slope = math.log(errors[at] / errors[at - 1]) / (logs[1] - logs[0])
    return float(errors[at] * math.exp(slope * (math.log(n_points) - logs[1])))


def _pilot(task: Task, wanted: int) -> tuple[Builder, Measure, Builder]:
    """Builders of about so many rows, and of as many as there are to build of, and what coresets are measured by."""
    whole = task.builder
    if whole.rows.target_type is not None:
        pilot = _builder_of(whole, drawn_by_class(whole.rows, wanted, task.rng))
        return pilot, energy_yardstick(pilot.rows, task.measured, task.rng), whole
    held_out = held_out_rows(whole.rows, task.rng)
    if len(held_out) == 0:
        return whole, training_yardstick(task.measured, task.rng), whole
    rest = _builder_of(whole, np.delete(np.arange(len(whole.rows)), held_out))
    pilot = _builder_of(rest, drawn_by_class(rest.rows, wanted, task.rng))
    return pilot, held_out_yardstick(task.measured, held_out), rest


def _measure_of_all(task: Task, measure: Measure) -> Measure:
    """What coresets of all rows are measured by."""
    if isinstance(measure, EnergyYardstick) and len(task.measured) > measure.n_rows:
        return energy_yardstick(task.measured, task.measured, task.rng)
    return measure


def _builder_of(builder: Builder, rows: NDArray[np.intp]) -> Builder:
    """Itself when these are all of its rows, so that it remembers what it built."""
    return builder if len(rows) == len(builder.rows) else builder.of(builder.rows.take(rows))


class _Search:
    """Which codecs have been tried, and what that tells of all."""

    def __init__(self, task: Task, pilot: _Pilot) -> None:
        self._task, self._pilot = task, pilot
        self._trials: dict[int, list[_Trial]] = {}  # of each codec that was tried
        self._settled: set[int] = set()
        self._family = {position: family for family in families(task.quantizers) for position in family}
        self._first_bits = _FIRST_BITS
        self._fading = 0.0
        self._fading = self._how_rounding_fades()

    def run(self, *, look_again: bool) -> list[Forecast]:
        """Try as few codecs as tell the best one, and forecast all."""
        for family in families(self._task.quantizers):
            if not self._is_too_slow(family) and not self._is_hopeless(family):
                self._climb(family)
        if look_again:
            self._look_again()
        return [self._forecast(position) for position in range(len(self._task.quantizers))]

    def _how_rounding_fades(self) -> float:
        """Power of the number of points with which that falls which rounding adds, as one codec shows."""
        quantizers = self._task.quantizers
        fast = [position for position, family in self._family.items() if not self._is_too_slow(family)]
        position = min(fast, key=lambda position: abs(bits_of(quantizers[position]) - _FIRST_BITS))
        self._try(position)
        if len(self._pilot.trials) == 1:
            return 0.0
        trials = sorted(self._pilot.trials[:2], key=lambda trial: trial.n_points)
        few, many = (trial.of(quantizers[position])[1] for trial in trials)
        if min(few, many) <= 0:
            return 0.0
        return float(np.clip(math.log(many / few) / math.log(trials[1].n_points / trials[0].n_points), -1, 0))

    def _is_hopeless(self, family: list[int]) -> bool:
        """Whether codecs fit so few points that these would do worse however exact, or none; not of squeezing ones."""
        if any(isinstance(self._task.quantizers[position], ContextQuantizer) for position in family):
            return False
        best = min(map(self._error, self._trials), default=math.inf)
        return all(self._unrounded(position).error > _HOPELESS * best for position in family)

    def _unrounded(self, position: int) -> Forecast:
        """As many points as surely fit, without what rounding adds."""
        quantizer, bound = self._task.quantizers[position], self._task.builder.bound
        n_points = bound.most_points(quantizer, self._task.budget)
        if n_points == 0:
            return dataclasses.replace(nothing_fits(), error=math.inf, tried=False)
        cells = math.sqrt(self._pilot.cells(n_points))
        return Forecast(n_points, bound(n_points, quantizer), False, cells, math.nan, cells, _WORSE_ANYWAY, tried=False)

    def _is_too_slow(self, family: list[int]) -> bool:
        """Whether codecs would take minutes while there are others."""
        quantizers = self._task.quantizers
        wide = self._task.builder.rows.X.shape[1] > MOST_CONTEXT_COLUMNS
        slow = [isinstance(quantizer, ContextQuantizer) for quantizer in quantizers]
        return wide and slow[family[0]] and not all(slow)

    def _climb(self, family: list[int]) -> None:
        """Try codecs of one family, from a likely number of bits on, as long as their error falls."""
        bits = [bits_of(self._task.quantizers[position]) for position in family]
        at = min(range(len(family)), key=lambda place: abs(bits[place] - self._first_bits))
        slow = isinstance(self._task.quantizers[family[0]], ContextQuantizer)
        best_before = min(map(self._error, self._trials), default=math.inf)
        best = self._try(family[at])
        if slow and min(map(self._error, family)) > _HOPELESS * best_before:
            return
        for step in (-1, 1):
            start = at
            while 0 <= at + step < len(family):
                if slow and self._error(family[at + step]) > _LIKELY * best:
                    break
                error, before = self._try(family[at + step]), best
                if error >= best and (step == 1 or best < math.inf):  # what fits no point may with fewer bits
                    break
                at, best = at + step, error
                if error > _WORTHWHILE * before:
                    break
            if at != start:
                break
        if best < best_before and slow:
            self._first_bits = bits[at]

    def _try(self, position: int) -> float:
        """Error that is to be expected of a codec, now that it is tried; infinite when it fits no point."""
        trial = self._pilot.trials[0]
        trial.of(self._task.quantizers[position])
        self._trials[position] = [trial]
        return self._error(position)

    def _error(self, position: int) -> float:
        forecast = self._forecast(position)
        return forecast.error if forecast.fits else math.inf

    def _look_again(self) -> None:
        """Try what leads or may do so once more, at about the size that it would have, until the leader is known."""
        for _ in range(_MOST_LOOKS):
            doubtful = self._doubtful()
            if not doubtful:
                return
            position = min(doubtful, key=self._error)
            trial = self._pilot.whole(self._forecast(position).n_points)
            own = self._trials.setdefault(position, [])
            if trial in own:  # fewer points than asked for: there are no more to be had
                self._settled.add(position)
            else:
                trial.of(self._task.quantizers[position])
                own[:] = [other for other in own if other.n_points != trial.n_points] + [trial]

    def _doubtful(self) -> list[int]:
        """Codecs of which a trial of all rows may show that they are the best; first of all the one that leads."""
        searched = [position for position, family in self._family.items() if any(p in self._trials for p in family)]
        forecasts = {position: self._forecast(position) for position in searched if position not in self._settled}
        fitting = {position: forecast for position, forecast in forecasts.items() if forecast.fits}
        known = {position for position, forecast in fitting.items() if self._is_known(position, forecast, _WholeTrial)}
        if not known:
            return list(fitting)
        least = min(fitting[position].error for position in known)
        return [
            position
            for position, forecast in fitting.items()
            if position not in known and self._may_win(position, forecast, least)
        ]

    def _is_known(self, position: int, forecast: Forecast, kind: type[_Trial] = _Trial) -> bool:
        """Whether there was a trial of about as many points as a codec would send."""
        trials = [trial for trial in self._trials.get(position, []) if isinstance(trial, kind)]
        return any(1 / _FAR < forecast.n_points / trial.n_points < _FAR for trial in trials)

    def _may_win(self, position: int, forecast: Forecast, least: float) -> bool:
        """Whether a codec should do better, or would if rounding hurt less among more points than were tried."""
        if forecast.error < _WORTHWHILE * least:
            return True
        return (
            forecast.cell_error < least and forecast.error < _LIKELY * least and not self._is_known(position, forecast)
        )

    def _forecast(self, position: int) -> Forecast:
        own = self._trials.get(position)
        if own is not None:
            whole = [trial for trial in own if isinstance(trial, _WholeTrial)]
            near = whole[-1].drafts[self._task.quantizers[position]] if whole else None
            return dataclasses.replace(self._expected(position, position, own), near=near)
        tried = [other for other in self._family[position] if other in self._trials]
        if not tried and self._is_too_slow(self._family[position]):
            return dataclasses.replace(nothing_fits("not tried: it is slow for so many columns"), tried=False)
        if not tried:
            return self._unrounded(position)
        quantizers = self._task.quantizers
        near = min(tried, key=lambda other: abs(bits_of(quantizers[other]) - bits_of(quantizers[position])))
        best = min(tried, key=self._error)
        better = "other codecs do better"
        if near != best:
            better = f"{bits_of(quantizers[near])} bits do worse than {bits_of(quantizers[best])}"
        forecast = self._expected(position, near, self._trials[near])
        return dataclasses.replace(
            forecast, tried=False, note=f"not tried: {better}" if forecast.fits else forecast.note
        )

    def _expected(self, position: int, like: int, trials: list[_Trial]) -> Forecast:
        """What a codec reaches on all rows, from trials of its own or of one with other bits."""
        quantizer, source = self._task.quantizers[position], self._task.quantizers[like]
        more_bits = bits_of(quantizer) - bits_of(source)
        n_points = self._points_that_fit(quantizer, source, trials)
        if n_points == 0:
            return nothing_fits()
        trial = min(trials, key=lambda trial: abs(math.log(trial.n_points / n_points)))
        added = trial.of(source)[1 + (n_points == len(self._task.builder.rows))] * 4.0 ** -min(more_bits, 32)
        added *= (n_points / trial.n_points) ** self._fading
        cells = self._pilot.cells(n_points)
        whole = max(cells + added, 0.0)
        size = min(self._bytes(n_points, quantizer, source, trials), self._task.budget)
        return Forecast(n_points, size, False, math.sqrt(cells), math.sqrt(max(added, 0.0)), math.sqrt(whole))

    def _points_that_fit(self, quantizer: Quantizer, source: Quantizer, trials: list[_Trial]) -> int:
        bound, budget = self._task.builder.bound, self._task.budget
        numbers = range(bound.least_points, len(self._task.builder.rows) + 1)
        fitting = bisect.bisect_right(numbers, budget, key=lambda n: self._bytes(n, quantizer, source, trials))
        return numbers[fitting - 1] if fitting else bound.most_points(quantizer, budget)

    def _bytes(self, n_points: int, quantizer: Quantizer, source: Quantizer, trials: list[_Trial]) -> int:
        """Bytes of a message of so many points."""
        n_columns = columns_sent(trials[0].coreset).shape[1]
        sizes = [trial.n_points for trial in trials]
        blocks = [float(trial.of(source)[0]) for trial in trials]
        # Codecs that were not tried, and sizes, are told apart by the most bytes that they can take.
        wanted, known = (codec.max_encoded_size((n_points, n_columns)) for codec in (quantizer, source))
        if len(trials) > 1:
            rate = max((blocks[-1] - blocks[0]) / (sizes[-1] - sizes[0]), 0.0)
            points = wanted / known * (blocks[-1] + rate * (n_points - sizes[-1]))
        else:
            points = blocks[0] * wanted / source.max_encoded_size((sizes[0], n_columns))
        return math.ceil(max(points, 1.0) + self._pilot.other_bytes(n_points))


def _exact(task: Task, pilot: _Pilot, forecasts: list[Forecast]) -> list[Forecast]:
    """The forecasts, the best replaced by what is measured on coresets of all rows that are not held out."""
    ranked = sorted((f.error, position) for position, f in enumerate(forecasts) if f.tried and f.fits)
    found, best = list(forecasts), math.inf
    for place, (expected, position) in enumerate(ranked):
        if place >= _EXACT_CANDIDATES and expected >= best:
            found[position] = dataclasses.replace(forecasts[position], tried=False)
            continue
        guess = forecasts[position].n_points
        exact = measured_forecast(pilot.whole_builder, pilot.measure, task.quantizers[position], task.budget, guess)
        found[position] = dataclasses.replace(exact, filled=None) if pilot.measure.held_out else exact
        if exact.fits:
            best = min(best, exact.error)
    return found
