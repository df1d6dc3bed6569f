"""Several models under the same noise, on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analog_eval.adapters import Targets
from analog_eval.evaluation.comparison_report import Comparison
from analog_eval.evaluation.draws import DrawPlan, plan_draws, run
from analog_eval.evaluation.inputs import DEFAULT_LEVELS, check_levels
from analog_eval.evaluation.metrics import Metric, MetricArgument, RowMetric
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.statistics import CONFIDENCE, Estimate, above_chance, holm
from analog_eval.evaluation.subject import Subject, prepare
from analog_eval.evaluation.sweep import better_than_chance, coverage_text, sweep_report
from analog_eval.injection import check_noise
from analog_eval.noise import GaussianNoise, RandomState, WeightNoise, one_seed

__all__ = ["Pair", "Quantity", "check_models", "check_quantity", "compare", "compare_subjects"]

Quantity: TypeAlias = Literal["score", "normalized", "chance_corrected"]
Pair: TypeAlias = tuple[int, int]


def compare(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    noise: WeightNoise = GaussianNoise("std"),  # noqa: B008 (frozen: sharing it is safe)
    levels: ArrayLike = DEFAULT_LEVELS,
    n_draws: int | str = 25,
    half_width: float | None = None,
    max_draws: int = 1000,
    metric: MetricArgument = None,
    targets: Targets = "weights",
    quantity: Quantity = "score",
    reference: str | None = None,
    progress: bool = True,
    random_state: RandomState = None,
) -> Comparison:
    r"""Tell which of several fitted models keeps more of its score under weight noise, and how surely.

    All models see the same rows, and the same unit random numbers wherever their tensors have the same shapes in the
    same order.  Differences are taken draw by draw and row by row, so what the models have in common cancels.

    Parameters
    ----------
    models : mapping of str to model
        Two or more fitted models, see `noise_sweep`; all classifiers or all regressors.
    X, y, sample_weight, noise, levels, metric, targets, progress
        See `noise_sweep`.
    n_draws, half_width, max_draws
        See `noise_sweep`; under ``"auto"`` the half-width is that of the differences.
    quantity : {"score", "normalized", "chance_corrected"}, default="score"
        What is compared: the scores under noise, or one of their ratios to the clean scores, see `noise_sweep`.  By
        ``normalized`` a model that guesses one class keeps all of its useless score.
    reference : str, optional
        Compare every other model with this one only.  Default: all pairs.
    random_state : None, int, RandomState or Generator, default=None
        Source of the noise.  With an int the scores are those of `noise_sweep` with the same seed.

    Returns
    -------
    Comparison

    See Also
    --------
    compare_drift : The same over the time since programming, in words, with converters around the devices.

    Raises
    ------
    TypeError
        If `models` is not a mapping, or for any reason of `noise_sweep`.
    ValueError
        If there are fewer than two models, they predict different kinds of things, `quantity` or `reference` is
        unknown, or for any reason of `noise_sweep`.

    Notes
    -----
    With :math:`\delta_d` the difference of the two models in draw `d`, and :math:`\psi_i` the difference of what row
    `i` contributes to their mean scores, the standard errors are those of `noise_sweep` with these in the place of the
    scores and the contributions, and intervals are Student's at Satterthwaite's degrees of freedom, one at a time.  For
    accuracies ``rows_se`` counts two more rows that change sides each way, so that an interval has a width where no row
    does (`analog_eval.evaluation.statistics.unseen`).

    Where what the choice of test rows leaves open is not known (functions and most scorers, see `noise_sweep`),
    intervals, p-values and verdicts rest on the draws alone: they speak of these very rows, and a note says so.

    ``p_holm`` is adjusted for the number of rows of its table (Holm 1979): if no two models differ anywhere, a table
    has a verdict with a probability of 5 % at most.  ``average`` compares the means over the noisy levels, a table and
    a family of its own.  Chance-corrected squared errors have the differences and the intervals of R^2, because their
    chance score, the variance of `y`, moves with the rows; a share of labels is taken for known, as on these rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> models = {f"C={c}": LogisticRegression(C=c, max_iter=1000).fit(X[:900], y[:900]) for c in (0.1, 100)}
    >>> comparison = compare(models, X[900:], y[900:], levels=(0.1, 1.0), random_state=0)
    >>> comparison.table["verdict"].tolist()
    ['C=100', 'C=0.1']
    """
    check_noise(noise)
    grid = check_levels(levels, noise)
    plan = plan_draws(n_draws, half_width, max_draws)
    names, pairs = check_models(models, reference)
    check_quantity(quantity)
    seed = one_seed(random_state)
    subjects = [
        prepare(model, X, y, sample_weight, noise, metric, targets, seed) for model in map(models.__getitem__, names)
    ]
    plan.check(subjects)

    def report(i: int, estimates: Sequence[Estimate]) -> SweepReport:
        return sweep_report(subjects[i], estimates, grid, noise, targets, plan.text(len(estimates[0].scores)))

    return compare_subjects(names, pairs, subjects, grid, plan, quantity, report, progress=progress)


def compare_subjects(
    names: Sequence[str],
    pairs: Sequence[Pair],
    subjects: Sequence[Subject],
    levels: NDArray[np.float64],
    plan: DrawPlan,
    quantity: Quantity,
    report: Callable[[int, Sequence[Estimate]], SweepReport],
    *,
    progress: bool,
) -> Comparison:
    """Compare models that are ready; `report` makes the report of one, given its position and its estimates."""
    _check_tasks(names, subjects)
    metric = subjects[0].metric

    def differences(every: Sequence[Sequence[Estimate]]) -> list[Estimate]:
        shown = [
            _quantities(estimates, quantity, subject.metric) for subject, estimates in zip(subjects, every, strict=True)
        ]
        return [one - other for a, b in pairs for one, other in zip(shown[a], shown[b], strict=True)]

    every = run(subjects, levels, plan, differences, label="comparison", progress=progress)
    reports = {name: report(i, estimates) for i, (name, estimates) in enumerate(zip(names, every, strict=True))}
    found = differences(every)
    # From chance to clean more is better, whatever the metric.
    greater = metric.greater_is_better or quantity == "chance_corrected"
    first = reports[names[0]]
    averages = _averages(found, len(levels), np.flatnonzero(first.noisy).tolist())
    return Comparison(
        table=_table(found, _index(names, pairs, first.table.index), greater),
        average=_table(averages, _index(names, pairs, None), greater),
        reports=reports,
        quantity=quantity,
        covers=coverage_text(metric),
        notes=(*_notes(names, subjects, pairs), *_rows_note(metric), *plan.note(found)),
    )


def _quantities(estimates: Sequence[Estimate], quantity: Quantity, metric: Metric) -> list[Estimate]:
    if quantity == "score":
        return list(estimates[1:])
    if quantity == "normalized":
        defined = estimates[0].mean > 0.0
    else:
        defined = better_than_chance(metric, estimates[0].mean)
        estimates = above_chance(estimates, metric)
    if not defined:
        # NaN, as in the reports.
        return [estimate * float("nan") for estimate in estimates[1:]]
    clean, *noisy = estimates
    return [estimate.over(clean) for estimate in noisy]


def _averages(differences: Sequence[Estimate], n_levels: int, noisy: Sequence[int]) -> list[Estimate]:
    """Return the mean over the noisy levels of each pair; without any, NaN."""
    averages = []
    for start in range(0, len(differences), n_levels):
        chosen = [differences[start + i] for i in noisy] or [differences[start] * float("nan")]
        total = chosen[0]
        for estimate in chosen[1:]:
            total += estimate
        averages.append(total * (1.0 / len(chosen)))
    return averages


def _table(differences: Sequence[Estimate], index: pd.MultiIndex, greater_is_better: bool) -> pd.DataFrame:
    with np.errstate(over="ignore", invalid="ignore"):
        rows = [
            (estimate.mean, *estimate.interval(), estimate.draws_se, estimate.rows_se, estimate.p_value())
            for estimate in differences
        ]
    columns = ["difference", "ci_low", "ci_high", "draws_se", "rows_se", "p_value"]
    table = pd.DataFrame(rows, index=index, columns=columns)
    table["p_holm"] = holm(table["p_value"])
    certain = table["p_holm"].to_numpy() < 1.0 - CONFIDENCE
    first_wins = (table["difference"].to_numpy() > 0.0) == greater_is_better
    names = np.where(first_wins, index.get_level_values("a"), index.get_level_values("b"))
    table["verdict"] = np.where(certain, names, "")
    return table


def _index(names: Sequence[str], pairs: Sequence[Pair], levels: pd.Index | None) -> pd.MultiIndex:
    # In the caller's order, which pandas takes for sorted: it warns when an unsorted index is looked up.
    firsts, seconds = ([pair[i] for pair in pairs] for i in (0, 1))
    if levels is None:
        return pd.MultiIndex(levels=[list(names)] * 2, codes=[firsts, seconds], names=["a", "b"])
    n = len(levels)
    codes = [np.repeat(firsts, n).tolist(), np.repeat(seconds, n).tolist(), list(range(n)) * len(pairs)]
    return pd.MultiIndex(levels=[list(names), list(names), levels.tolist()], codes=codes, names=["a", "b", levels.name])


def _notes(names: Sequence[str], subjects: Sequence[Subject], pairs: Sequence[Pair]) -> list[str]:
    shapes = [[tensor.values.shape for tensor in subject.adapter.tensors] for subject in subjects]
    apart = [f"{names[a]} and {names[b]}" for a, b in pairs if shapes[a] != shapes[b]]
    if not apart:
        return []
    return [f"tensors differ in shape, so that rows are shared but not all random numbers: {', '.join(apart)}"]


def _rows_note(metric: Metric) -> list[str]:
    if isinstance(metric, RowMetric):
        return []
    return [f"verdicts on {metric.name} rest on the draws alone: they hold for these test rows, and others may differ"]


def check_models(models: Mapping[str, Any], reference: str | None) -> tuple[list[str], list[Pair]]:
    """Return the names of the models and the pairs to compare, or raise naming the argument."""
    if not isinstance(models, Mapping):
        raise TypeError(f"models must map names to models, got {type(models).__name__}")
    names = list(models)
    if not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"models: names must be non-empty strings, got {names}")
    if len(names) < 2:
        raise ValueError(f"models must hold at least 2 models, got {names}")
    if reference is None:
        return names, list(combinations(range(len(names)), 2))
    if reference not in names:
        raise ValueError(f"reference={reference!r} is not one of the models {names}")
    fixed = names.index(reference)
    return names, [(i, fixed) for i in range(len(names)) if i != fixed]


def check_quantity(quantity: str) -> None:
    """Raise unless a quantity can be compared."""
    if quantity not in get_args(Quantity):
        raise ValueError(f"quantity={quantity!r} is not one of {', '.join(map(repr, get_args(Quantity)))}")


def _check_tasks(names: Sequence[str], subjects: Sequence[Subject]) -> None:
    tasks = {name: subject.task for name, subject in zip(names, subjects, strict=True)}
    if len(set(tasks.values())) > 1:
        raise ValueError(f"models predict different things: {tasks}")
