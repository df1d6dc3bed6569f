"""One model under noise on given rows: what is needed to score its draws, and what the scores come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analog_eval.adapters import Adapter, Targets, adapt
from analog_eval.evaluation.inputs import check_data, check_labels, predicts_labels
from analog_eval.evaluation.metrics import Data, Evaluation, Metric, MetricArgument, resolve_metric
from analog_eval.evaluation.statistics import Estimate, Tally
from analog_eval.injection import NoisyTensors
from analog_eval.noise import RandomState, WeightNoise

__all__ = ["Subject", "prepare"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, its rows, its metric, and its noisy tensors.

    Parameters
    ----------
    adapter : Adapter
        View of the model.
    data : Data
        Test data.
    task : {"classification", "regression"}
        What the model predicts.
    metric : Metric
        Score of the model.
    noisy : NoisyTensors
        Source of the draws.
    clean : Evaluation
        Score and losses without noise.
    """

    adapter: Adapter
    data: Data
    task: str
    metric: Metric
    noisy: NoisyTensors
    clean: Evaluation

    @property
    def rows_text(self) -> str:
        """Say which rows are looked at."""
        return str(len(self.data.y))

    def draw(self, levels: Sequence[float]) -> list[Evaluation]:
        """Return the next draw's evaluation at each level."""
        units = self.noisy.draw()
        return [self.metric(self.noisy.at(level, units)) for level in levels]

    def estimates(self, tally: Tally, n_first: int) -> list[Estimate]:
        """Return the clean score and that of each level; see `Estimate` for `n_first`."""
        scores = tally.scores
        clean = Estimate.of(np.full(scores.shape[1], self.clean[0]), self.clean[1], self.metric, n_first)
        noisy = [
            Estimate.of(row, tally.mean_losses(i), self.metric, n_first, self.clean[1]) for i, row in enumerate(scores)
        ]
        return [clean, *noisy]

    def untouched(self, levels: Sequence[float], noise: WeightNoise) -> list[str]:
        """Return the names of the targets that get no noise at a level that is not clean."""
        noisy = [level for level in levels if not noise.is_clean(level)]
        level = noisy[len(noisy) // 2] if noisy else levels[0]
        return [self.adapter.tensors[i].name for i in self.noisy.untouched(level)]


def prepare(
    model: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    noise: WeightNoise,
    metric: MetricArgument,
    targets: Targets,
    random_state: RandomState,
) -> Subject:
    """Check everything that belongs to one model; see `noise_sweep` for the arguments."""
    adapter, data, predictions = check_data(adapt(model), X, y, sample_weight)
    task = "classification" if predicts_labels(adapter, predictions) else "regression"
    check_labels(adapter, data, predictions, task)
    score = resolve_metric(metric, adapter, data, task)
    noisy = NoisyTensors(adapter, noise, targets, random_state)
    return Subject(adapter, data, task, score, noisy, score.clean(predictions, noisy.clean))
