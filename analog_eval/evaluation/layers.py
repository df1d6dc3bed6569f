"""Which layer suffers most from noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analog_eval.adapters import Targets, target_indices
from analog_eval.evaluation.draws import plan_draws, run
from analog_eval.evaluation.metrics import Evaluation, Metric, MetricArgument, resolve_metric
from analog_eval.evaluation.subject import Subject, prepare
from analog_eval.injection import check_noise
from analog_eval.noise import GaussianNoise, RandomState, WeightNoise

__all__ = ["layer_sensitivity"]


def layer_sensitivity(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    noise: WeightNoise = GaussianNoise("std"),  # noqa: B008 (frozen: sharing it is safe)
    level: float | str = 0.2,
    n_draws: int | str = 25,
    half_width: float | None = None,
    max_draws: int = 1000,
    metric: MetricArgument = None,
    targets: Targets = "weights",
    progress: bool = True,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Measure what noise on one layer alone costs, layer by layer.

    Parameters
    ----------
    model, X, y, sample_weight, noise, metric, targets, progress
        See `noise_sweep`.
    level : float or str, default=0.2
        Noise level, in the unit of `noise`; a time such as ``"1d"`` for `DeviceNoise`.
    n_draws, half_width, max_draws
        See `noise_sweep`; under ``"auto"`` the half-width is that of ``drop``.
    random_state : None, int, RandomState or Generator, default=None
        Source of the noise.  With an int a layer gets the noise that it gets in `noise_sweep` with the same seed.

    Returns
    -------
    DataFrame, index ``layer``
        A row for every tensor that `targets` names, in the model's order; a layer here is one tensor.  ``role``;
        ``n_weights``; ``mean``: mean score with noise on this tensor only; ``drop``: clean score less `mean`, the
        clean and the noisy score from the same rows; ``ci_low``, ``ci_high``: 95 % interval of the drop, one at a
        time; ``draws_se``, ``rows_se``: the two standard errors it is made of; ``n_draws``.  The attributes
        (``attrs``) ``clean``, ``metric``, ``noise`` and ``level`` say what was measured.

    Raises
    ------
    TypeError, ValueError
        For the reasons of `noise_sweep`.

    Notes
    -----
    ``rows_se`` is that of `compare`.  Drops of layers do not add up to the drop of all at once.  The layers before the
    noisy one are run once where the adapter knows the order of the layers (multi-layer perceptrons), which gives the
    same numbers sooner.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from analog_eval import layer_sensitivity
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), solver="lbfgs", max_iter=200, random_state=0).fit(X, y)
    >>> layer_sensitivity(model, X, y, level=0.5, random_state=0).index.tolist()
    ['coefs_[0]', 'coefs_[1]']
    """
    check_noise(noise)
    level = noise.check_level(level)
    plan = plan_draws(n_draws, half_width, max_draws)
    whole = prepare(model, X, y, sample_weight, noise, metric, targets, random_state)
    plan.check([whole])
    positions = target_indices(whole.adapter.tensors, targets)
    subject = _LayerSubject(**vars(whole), metrics=_metrics(whole, metric, positions), level=level)
    sign = 1.0 if whole.metric.greater_is_better else -1.0
    tracked = run(
        [subject],
        np.array(positions, dtype=np.float64),
        plan,
        lambda every: [(every[0][0] - layer) * sign for layer in every[0][1:]],
        label="layer sensitivity",
        progress=progress,
    )
    clean, *layers = tracked[0]
    rows = []
    for i, layer in zip(positions, layers, strict=True):
        tensor, drop = whole.adapter.tensors[i], (clean - layer) * sign
        low, high = drop.interval()
        row = {"layer": tensor.name, "role": tensor.role, "n_weights": tensor.values.size, "mean": layer.mean}
        row |= {"drop": drop.mean, "ci_low": low, "ci_high": high}
        rows.append(row | {"draws_se": drop.draws_se, "rows_se": drop.rows_se, "n_draws": len(layer.scores)})
    table = pd.DataFrame(rows).set_index("layer")
    table.attrs = {"clean": whole.clean[0], "metric": whole.metric.name, "noise": repr(noise), "level": level}
    return table


@dataclass(frozen=True, eq=False)
class _LayerSubject(Subject):
    """A model whose tensors are noisy one at a time; the levels of a draw are its tensors."""

    metrics: dict[int, Metric]
    level: float

    def draw(self, levels: Sequence[float]) -> list[Evaluation]:
        noisy = self.noisy.at(self.level, self.noisy.draw())
        evaluations = []
        for i, metric in self.metrics.items():
            arrays = list(self.noisy.clean)
            arrays[i] = noisy[i]
            evaluations.append(metric(arrays))
        return evaluations


def _metrics(subject: Subject, metric: MetricArgument, positions: Sequence[int]) -> dict[int, Metric]:
    adapter, data = subject.adapter, subject.data
    return {
        i: resolve_metric(metric, adapter, data, subject.task, adapter.predictor_after(data.inputs, i))
        for i in positions
    }
