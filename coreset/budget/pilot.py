"""Small coresets that codecs are tried on, and what they tell of coresets of all rows."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from ..points import Coreset
from ..quantizers import Quantizer
from ..ward import nested
from ..wire import Draft, arranged
from .building import Builder
from .energy import EnergyYardstick
from .extrapolation import Extrapolation, OwnRows
from .filling import with_spare
from .forecasts import Task
from .measuring import Measure, drawn_by_class, energy_yardstick, held_out_rows, held_out_yardstick, training_yardstick

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
FAR = 2.0
# Of more points merging takes long.
_MOST_MERGED = 512
# Sizes below that of a trial of all rows at which the error of points is measured too.
_NESTED_STEPS = [1.1**step for step in range(1, 8)]
# A trial of all rows serves for other numbers of points within this factor.
_NEAR = 1.4


class Tried(NamedTuple):
    """What a trial tells of a codec: bytes of the message's parts, and what rounding adds to the squared error.

    The latter where points stand for more rows, and where they are all rows.
    """

    point_bytes: int
    weight_bytes: int
    other_bytes: int
    added: float
    added_to_all: float


class Known(NamedTuple):
    """The error of so many points of which no codec was tried."""

    n_points: int
    cells_of_endless_rows: float


class Trial:
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
        self.of = functools.cache(self._of)
        self._arranged: dict[Hashable, Coreset] = {}

    def _of(self, quantizer: Quantizer) -> Tried:
        key = quantizer.arrangement_key
        if key not in self._arranged:
            self._arranged[key] = arranged(self.coreset, quantizer)
        draft = self._drafted(Draft.of_arranged(self._arranged[key], quantizer))
        excess = self._measure.squared_error(draft.coreset, draft.columns) - self.cells
        points, weights = len(draft.point_block), len(draft.weight_block)
        others = draft.message_bytes - points - weights
        return Tried(points, weights, others, *self._measure.what_rounding_adds(draft.coreset, draft.columns, excess))

    def _drafted(self, draft: Draft) -> Draft:
        return draft


class WholeTrial(Trial):
    """A coreset of all rows; its drafts are kept, since the message may be searched for from there."""

    def __init__(self, coreset: Coreset, measure: Measure, extrapolation: Extrapolation) -> None:
        super().__init__(coreset, measure, extrapolation)
        self.drafts: dict[Quantizer, Draft] = {}

    def _drafted(self, draft: Draft) -> Draft:
        self.drafts[draft.quantizer] = draft
        return draft


@final
class Pilot:
    """Trials of some of the rows and of all, and what they tell of coresets of all rows.

    Parameters
    ----------
    task : Task

    Attributes
    ----------
    builder, measure : Builder, and Yardstick or EnergyYardstick
        Of the rows of trials, and what these are measured by.
    whole_builder : Builder
        Of all rows that are not held out.
    trials : list of Trial
        Of some of the rows.
    """

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
        self.trials: list[Trial] = []
        self._wholes: list[WholeTrial] = []
        self._nested: list[Known] = []
        self._add(first)
        half = self.trials[0].n_points // 2
        if self._least < _MANY_CLASSES:
            self._add(half if half >= FAR * self._least else 2 * self.trials[0].n_points)
            if first // _FEW >= FAR * self._least:  # where errors fall faster
                self._add(first // _FEW)

    def _add(self, n_points: int) -> None:
        """Make a trial of about so many points of some rows, unless there is one of as many as there come to be."""
        n_rows, n_features = self.builder.rows.X.shape
        most = n_rows if n_rows == self._n_rows else n_rows // 2
        most = max(self._least, min(most, _TRIAL_VALUES // n_features))
        trial = Trial(self.builder.build(min(n_points, most)), self.measure, self._extrapolation)
        if trial.n_points not in [other.n_points for other in self.trials]:
            self.trials.append(trial)

    def whole(self, n_points: int) -> WholeTrial:
        """A trial of all rows of about so many points or a few more."""
        near = [trial for trial in self._wholes if 1 / _NEAR <= n_points / trial.n_points <= _NEAR]
        if not near:
            coreset = self._all.build(with_spare(n_points, self._n_rows))
            near = [WholeTrial(coreset, self._measure_of_all(), OwnRows(self._n_rows))]
            self._wholes += near
            self._nested += self._nested_in(near[0])
        return min(near, key=lambda trial: abs(trial.n_points - n_points))

    def _nested_in(self, trial: WholeTrial) -> list[Known]:
        """Errors of fewer points, down to half as many: they leap where there are as many as clusters.

        Energy distances, to which such leaps matter less, are not measured: they take long.
        """
        measure, coreset = self._measure_of_all(), trial.coreset
        picks_rows = coreset.sample_indices is not None or trial.is_of_every_row
        if isinstance(measure, EnergyYardstick) or picks_rows or trial.n_points > _MOST_MERGED:
            return []
        sizes = sorted({int(trial.n_points / step) for step in _NESTED_STEPS} - {trial.n_points, 0}, reverse=True)
        law = OwnRows(self._n_rows)
        means = nested(coreset.points, coreset.weights, sizes)
        return [
            Known(size, law.removed(measure.squared_error(coreset, points), size))
            for size, points in zip(sizes, means, strict=True)
        ]

    def cells(self, n_points: int) -> float:
        """Mean squared distance of rows to the nearest of so many points, were all rows read."""
        by_size = {trial.n_points: trial for trial in reversed(self._telling())}  # of equal ones the first
        trials = [by_size[size] for size in sorted(by_size)]
        sizes = np.array([trial.n_points for trial in trials], dtype=np.float64)
        pure = np.array([trial.cells_of_endless_rows for trial in trials])
        return self._extrapolation.restored(_power_law(sizes, pure, n_points), n_points, self._n_rows)

    def _telling(self) -> Sequence[Trial | Known]:
        """Trials to read errors from: of all rows, and of some rows where there is none of about as many points.

        Those that have every row say nothing of the error of fewer points.
        """
        wholes: list[Trial | Known] = [trial for trial in self._wholes if not trial.is_of_every_row]
        wholes += self._nested
        rest = [trial for trial in self.trials if not trial.is_of_every_row]
        far = [trial for trial in rest if all(not 1 / FAR < trial.n_points / one.n_points < FAR for one in wholes)]
        return [*wholes, *far] or self.trials

    def as_forecast(self, draft: Draft) -> float:
        """Error of a message of all rows as forecasts mean it: of rows that it was not made of, if some are spared."""
        measure = self._measure_of_all()
        error = measure.squared_error(draft.coreset, draft.columns)
        if self.measure.held_out and len(draft.coreset) < self._n_rows:
            n_points = len(draft.coreset)
            cells = measure.squared_error(draft.coreset)
            pure = OwnRows(self._n_rows).removed(cells, n_points)
            error += self._extrapolation.restored(pure, n_points, self._n_rows) - cells
        return math.sqrt(max(error, 0.0))


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
