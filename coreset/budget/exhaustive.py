"""The exhaustive planner: every codec gets its largest coreset, whose error is measured."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..quantizers import Quantizer
from ..wire import encoded_size
from .building import Builder
from .filling import fill
from .forecasts import Forecast, Outcome, Task, nothing_fits
from .measuring import Measure, energy_yardstick, held_out_rows, held_out_yardstick, training_yardstick


def plan_exhaustively(task: Task) -> Outcome:
    """Fill the budget with every codec and measure.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Outcome
    """
    builder, measure = _measuring_builder(task)
    forecasts = [measured_forecast(builder, measure, quantizer, task.budget) for quantizer in task.quantizers]
    if measure.held_out:  # what is sent is built of all rows
        forecasts = [dataclasses.replace(forecast, filled=None) for forecast in forecasts]
    return Outcome(
        forecasts, f"{measure.described}, for coresets of all other rows" if measure.held_out else measure.described
    )


def _measuring_builder(task: Task) -> tuple[Builder, Measure]:
    """A builder of the rows that are not held out, and the rows to measure by."""
    rows = task.builder.rows
    if rows.target_type is not None:
        return task.builder, energy_yardstick(task.measured, task.measured, task.rng)
    held_out = held_out_rows(rows, task.rng)
    if len(held_out) == 0:
        return task.builder, training_yardstick(rows, task.rng)
    rest = np.delete(np.arange(len(rows)), held_out)
    return task.builder.of(rows.take(rest)), held_out_yardstick(rows, held_out)


def measured_forecast(
    builder: Builder, measure: Measure, quantizer: Quantizer, budget: int, guess: int | None = None
) -> Forecast:
    """Fill the budget with one codec and measure.

    Parameters
    ----------
    builder : Builder
    measure : Yardstick or EnergyYardstick
    quantizer : Quantizer
    budget : int
    guess : int, optional
        Points that may fit; by default as many as surely do.

    Returns
    -------
    Forecast
    """
    filled = fill(builder, quantizer, budget, guess or builder.bound.most_points(quantizer, budget))
    if filled is None:
        return nothing_fits()
    coreset = filled.coreset
    cells = measure.squared_error(coreset)
    excess = measure.squared_error(coreset, filled.columns) - cells
    added = measure.what_rounding_adds(coreset, filled.columns, excess)[len(coreset) == len(builder.rows)]
    return Forecast(
        len(coreset),
        filled.message_bytes,
        True,
        math.sqrt(cells),
        math.sqrt(max(added, 0.0)),
        math.sqrt(max(cells + added, 0.0)),
        filled=filled,
    )


def least_size(builder: Builder, quantizer: Quantizer) -> int:
    """Bytes of the message of one point (a class)."""
    return encoded_size(builder.build(builder.bound.least_points), quantizer)
