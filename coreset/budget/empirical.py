"""The empirical planner: trials of some rows tell which codecs may be the best, and trials of all rows which one is."""

from __future__ import annotations

import bisect
import dataclasses
import math

import numpy as np

from ..quantizers import ContextQuantizer, Quantizer
from ..wire import columns_sent
from .candidates import MOST_CONTEXT_COLUMNS, bits_of, families
from .exhaustive import measured_forecast
from .forecasts import Forecast, Outcome, Task, nothing_fits
from .pilot import FAR, Pilot, Trial, WholeTrial

# Trials of all rows.
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
    pilot = Pilot(task)
    is_small = task.builder.rows.X.size <= _EXACT_VALUES
    forecasts = _Search(task, pilot).run(look_again=not is_small)
    built_of = f"coresets of {len(pilot.builder.rows)} rows and of all {len(task.builder.rows)}"
    if is_small:
        forecasts = _exact(task, pilot, forecasts)
        built_of = "coresets of the other rows"
    described = f"{pilot.measure.described}, for {built_of}"
    return Outcome(forecasts, described, error_of=pilot.as_forecast)


class _Search:
    """Which codecs have been tried, and what that tells of all."""

    def __init__(self, task: Task, pilot: Pilot) -> None:
        self._task, self._pilot = task, pilot
        self._trials: dict[int, list[Trial]] = {}  # of each codec that was tried
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
        few, many = (trial.of(quantizers[position]).added for trial in trials)
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
        known = {position for position, forecast in fitting.items() if self._is_known(position, forecast, WholeTrial)}
        if not known:
            return list(fitting)
        least = min(fitting[position].error for position in known)
        return [
            position
            for position, forecast in fitting.items()
            if position not in known and self._may_win(position, forecast, least)
        ]

    def _is_known(self, position: int, forecast: Forecast, kind: type[Trial] = Trial) -> bool:
        """Whether there was a trial of about as many points as a codec would send."""
        trials = [trial for trial in self._trials.get(position, []) if isinstance(trial, kind)]
        return any(1 / FAR < forecast.n_points / trial.n_points < FAR for trial in trials)

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
            whole = [trial for trial in own if isinstance(trial, WholeTrial)]
            begin = whole[-1].drafts[self._task.quantizers[position]] if whole else None
            return dataclasses.replace(self._expected(position, position, own), near=begin)
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

    def _expected(self, position: int, like: int, trials: list[Trial]) -> Forecast:
        """What a codec reaches on all rows, from trials of its own or of one with other bits."""
        quantizer, source = self._task.quantizers[position], self._task.quantizers[like]
        more_bits = bits_of(quantizer) - bits_of(source)
        n_points = self._points_that_fit(quantizer, source, trials)
        if n_points == 0:
            return nothing_fits()
        trial = min(trials, key=lambda trial: abs(math.log(trial.n_points / n_points)))
        tried = trial.of(source)
        added = tried.added_to_all if n_points == len(self._task.builder.rows) else tried.added
        added *= 4.0 ** -min(more_bits, 32)
        added *= (n_points / trial.n_points) ** self._fading
        cells = self._pilot.cells(n_points)
        whole = max(cells + added, 0.0)
        size = min(self._bytes(n_points, quantizer, source, trials), self._task.budget)
        return Forecast(n_points, size, False, math.sqrt(cells), math.sqrt(max(added, 0.0)), math.sqrt(whole))

    def _points_that_fit(self, quantizer: Quantizer, source: Quantizer, trials: list[Trial]) -> int:
        bound, budget = self._task.builder.bound, self._task.budget
        numbers = range(bound.least_points, len(self._task.builder.rows) + 1)
        fitting = bisect.bisect_right(numbers, budget, key=lambda n: self._bytes(n, quantizer, source, trials))
        return numbers[fitting - 1] if fitting else bound.most_points(quantizer, budget)

    def _bytes(self, n_points: int, quantizer: Quantizer, source: Quantizer, trials: list[Trial]) -> int:
        """Bytes of a message of so many points."""
        n_columns = columns_sent(trials[0].coreset).shape[1]
        known = sorted((trial.n_points, float(trial.of(source).point_bytes)) for trial in trials)
        sizes, blocks = zip(*known, strict=True)
        # Codecs that were not tried, and fewer points, are told apart by the most bytes that they can take.
        most = quantizer.max_encoded_size((n_points, n_columns))
        if n_points <= sizes[0] or len(sizes) == 1:
            points = blocks[0] * most / source.max_encoded_size((sizes[0], n_columns))
        else:
            rate = max((blocks[-1] - blocks[0]) / (sizes[-1] - sizes[0]), 0.0)
            block = blocks[-1] + rate * (n_points - sizes[-1])
            points = block * most / source.max_encoded_size((n_points, n_columns))
        last = trials[-1].of(source)
        return math.ceil(max(points, 1.0) + last.other_bytes + last.weight_bytes * n_points / trials[-1].n_points)


def _exact(task: Task, pilot: Pilot, forecasts: list[Forecast]) -> list[Forecast]:
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
