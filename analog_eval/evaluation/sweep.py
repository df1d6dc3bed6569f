"""Monte-Carlo sweeps over the noise level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analog_eval.adapters import Targets
from analog_eval.evaluation.draws import plan_draws, run
from analog_eval.evaluation.inputs import DEFAULT_LEVELS, check_levels
from analog_eval.evaluation.metrics import Metric, MetricArgument, RowMetric
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.rows import sample_rows
from analog_eval.evaluation.statistics import Estimate, above_chance, rows_covariance, summarize
from analog_eval.evaluation.subject import Subject, prepare
from analog_eval.injection import check_noise
from analog_eval.noise import GaussianNoise, RandomState, WeightNoise, one_seed

__all__ = ["better_than_chance", "coverage_text", "noise_sweep", "sweep_report"]

# Relative error of a score that is allowed for: far above that of a sum, far below what one row makes.
_ROUNDING = 1e-12


def noise_sweep(
    model: Any,
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
    rows: Literal["all", "sampled"] = "all",
    progress: bool = True,
    random_state: RandomState = None,
) -> SweepReport:
    r"""Measure how a fitted model's score falls as its weights get noisier.

    Every draw stands for one device: the same unit random numbers are scaled to each level (common random numbers), and
    with the same seed they are shared by all models whose tensors have the same shapes.  So differences between levels
    that are close, and between models that are alike, are far less noisy than the scores themselves.  The model is only
    read, never changed.

    Parameters
    ----------
    model : fitted scikit-learn estimator, torch.nn.Module, or ArrayModel
        A linear model, an MLPClassifier or MLPRegressor, a torch module, a Pipeline or a search over parameters that
        ends in one of them, or an `ArrayModel`.  The steps of a pipeline before the last one stay exact and run once.
    X : array-like of shape (n_rows, n_features)
        Test rows; for a torch module array or tensor of shape (n_rows, ...), on any device.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        True labels or targets.  They decide how the outputs of a torch module are read: integers are class numbers,
        floats the numbers of a regression (`analog_eval.adapters.modules.readings` has the rules).
    sample_weight : array-like of shape (n_rows,), optional
        Importance of each row, in any unit.  Scores are those of rows repeated that many times; intervals are not,
        because a row stays one observation however much it weighs.  Functions and scorers get it as it is given here.
    noise : WeightNoise, default=GaussianNoise("std")
        What is added to the weights.
    levels : array-like of shape (n_levels,), default=(0.01, 0.05, 0.1, 0.2, 0.3, 0.4)
        Distinct noise levels, in the unit of `noise`, times such as ``"1d"`` included; reported in ascending order.
        The default does not suit a scale in dB, which needs its own.
    n_draws : int or "auto", default=25
        Noisy copies per level; ``"auto"``: as many as it takes, 25 and more.
    half_width : float, optional
        How narrow ``"auto"`` makes the draws' part of every level's 95 % interval: half its width, in units of the
        score.  Default: a third of the rows' part, which then makes the whole interval wider by a twentieth only; a
        metric whose rows' part is not known needs a number.
    max_draws : int, default=1000
        Where ``"auto"`` stops at the latest; a note in the report says so.
    metric : str, callable or None, default=None
        ``"mse"`` (mean squared error, the one name of which less is better); ``"top_3_accuracy"`` or another k below
        the number of classes; name of a scikit-learn scorer; a scorer such as ``make_scorer`` makes, known by its first
        argument, which must be called ``estimator``; a function ``f(y_true, y_pred) -> float``; or None: accuracy for
        labels, R^2 for numbers.  If weights are given, scorers and functions must take ``sample_weight``.
    targets : {"weights", "parameters", "state"}, default="weights"
        ``weights``: kernels only; ``parameters``: also biases (and gains and shifts of normalizations); ``state``: also
        running statistics.
    rows : {"all", "sampled"}, default="all"
        ``sampled``: after 8 draws of all rows, look only at those that may change sides, see
        `analog_eval.evaluation.rows`.  For accuracy only, of a model whose answer for a row does not depend on the
        others.  Intervals of the same width take 2 to 2.6 times the draws but a fifth of the row evaluations, so ask
        for a width with ``n_draws="auto"``, not for a number of draws.  It saves time with thousands of rows, and none
        with hundreds.
    progress : bool, default=True
        Show how far the sweep is, on standard error: one line kept up to date on a terminal, elsewhere a line every
        half minute.  A sweep that is quickly done shows nothing.
    random_state : None, int, RandomState or Generator, default=None
        Source of the noise.  The same int gives the same numbers; raising `n_draws` keeps the first draws.

    Returns
    -------
    SweepReport

    Raises
    ------
    TypeError
        If the model or the metric is of an unsupported kind, or `noise` is not a noise model.
    ValueError
        If the model is not fitted, rows disagree in number, an argument is out of range, or weights are not finite.

    Notes
    -----
    With :math:`a_d` the score of draw `d`, :math:`w_i` the weight of row `i` and :math:`W = \sum w_i`:

    - ``mean`` is :math:`\bar a = \sum a_d / D` and ``draw_sd`` the standard deviation of the :math:`a_d`.
    - ``draws_se`` = draw_sd / sqrt(D): how far `mean` is from the mean over all devices, on these very rows.  Under
      ``n_draws="auto"`` never less than the first 25 draws let expect, so that stopping when the spread looks small
      does not make the interval too narrow (`analog_eval.evaluation.statistics.Estimate` has the argument).
    - ``rows_se`` = :math:`\sqrt{\frac{n}{n-1} \sum w_i^2 \psi_i^2} / W`: how far it would move with other test rows.
      :math:`\psi_i` is the row's loss averaged over the draws, less the mean loss; for R^2 also less the change that
      the row makes to the variance of `y` (the delta method).  It needs a score that is a mean over rows: accuracy,
      top-k accuracy, r2, mse, neg_mean_squared_error, neg_mean_absolute_error.  For any other metric it is NaN and the
      interval covers the draws alone; the report says so.
    - ``ci_low``, ``ci_high``: 95 % interval from draws_se^2 + rows_se^2, with Student's t at Satterthwaite's degrees of
      freedom; for accuracy Wilson's interval at the number of rows that has this standard error.  The sum counts the
      interaction of draws and rows twice, so the interval is a little wide; with fewer than some 8 draws of a skewed
      score, such as a squared error under strong noise, it is a little narrow.  It holds for one level at a time.  It
      is cut off where scikit-learn's named scores end; a function or scorer object of yours has no known end.
    - ``normalized`` = mean / clean.  NaN unless the clean score is positive, as for squared errors, which scikit-learn
      reports with a minus sign.  With a metric where less is better, more than 1 means worse.
    - ``chance_corrected`` = (mean - c) / (clean - c), where c is the score of the best constant guess on these rows:
      the share of the most frequent label (or k labels) for accuracy, 0 for R^2, the variance of `y` for the squared
      error.  NaN where c is not known, or the clean score is not better by more than rounding; a note says where the
      two cannot be told apart at 95 %, so that the ratio means little.

    The experiment follows Fagbohungbe and Qian, arXiv 2011.11840; the chance correction, the split of the uncertainty
    and the common random numbers are ours.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:300], y[:300])
    >>> report = noise_sweep(model, X[300:], y[300:], levels=(0.1, 1.0), random_state=0)
    >>> bool(report.table.loc[0.1, "mean"] > report.table.loc[1.0, "mean"])
    True
    """
    check_noise(noise)
    grid = check_levels(levels, noise)
    plan = plan_draws(n_draws, half_width, max_draws)
    if rows not in ("all", "sampled"):
        raise ValueError(f"rows={rows!r} is not one of 'all', 'sampled'")
    seed = random_state if rows == "all" else one_seed(random_state)
    subject = prepare(model, X, y, sample_weight, noise, metric, targets, seed)
    if rows == "sampled":
        subject = sample_rows(subject, len(grid), seed)
    plan.check([subject])
    estimates = run([subject], grid, plan, lambda every: every[0][1:], label="noise sweep", progress=progress)[0]
    notes = plan.note(estimates[1:])
    if rows == "sampled":
        notes.append("rows are sampled: draw_sd and draws_se hold what their choice adds to each draw")
    text = plan.text(len(estimates[0].scores))
    return sweep_report(subject, estimates, grid, noise, targets, text, notes)


def sweep_report(
    subject: Subject,
    estimates: Sequence[Estimate],
    levels: NDArray[np.float64],
    noise: WeightNoise,
    targets: Targets,
    draws_text: str,
    further_notes: Sequence[str] = (),
) -> SweepReport:
    """Return the report of one subject, given its clean score and that of each level."""
    metric, clean, n_draws = subject.metric, subject.clean[0], len(estimates[0].scores)
    # Scores that overflowed have no spread; NaN in the table says so.
    with np.errstate(over="ignore", invalid="ignore"):
        table = _table(metric, clean, estimates[1:], levels)
        covariance, above = rows_covariance(estimates), None
        if isinstance(metric, RowMetric) and metric.chance_losses is not None:
            above = rows_covariance(above_chance(estimates, metric))
        notes = [*_notes(metric, estimates, clean), *further_notes]
    untouched = subject.untouched(levels.tolist(), noise)
    if untouched:
        notes.append(
            f"no noise on {', '.join(untouched)}: constant, a single number or zero, which get none at this scale, "
            "or too little to change a float"
        )
    scores = np.array([estimate.scores for estimate in estimates[1:]])
    draws = {
        "level": np.repeat(levels, n_draws),
        "draw": np.tile(np.arange(n_draws), len(levels)),
        "score": scores.ravel(),
    }
    return SweepReport(
        table=table,
        clean=clean,
        chance=metric.chance,
        draws=pd.DataFrame(draws),
        rows_covariance=covariance,
        metric=metric.name,
        noisy=np.array([not noise.is_clean(level) for level in levels.tolist()], dtype=bool),
        settings={
            "model": subject.adapter.name,
            "noise": f"{noise!r} on {targets}",
            "draws": draws_text,
            "rows": subject.rows_text,
        },
        level_label=noise.level_label(),
        # Beside a fixed part the level of no other noise is not clean.
        clean_level=noise.clean_level if noise.is_clean(noise.clean_level) else float("nan"),
        covers=coverage_text(metric),
        notes=tuple(notes),
        falling=noise.clean_level == np.inf,
        chance_covariance=above,
        unseen=estimates[0].up ** 2,
        moved=np.array([estimate.moved for estimate in estimates[1:]]),
    )


def coverage_text(metric: Metric) -> str:
    """Say what the intervals cover."""
    if isinstance(metric, RowMetric):
        return "intervals: 95 %, for the choice of devices (draws) and of test rows"
    return "intervals: 95 %, for the choice of devices (draws) only; the choice of test rows is not in them"


def _table(metric: Metric, clean: float, estimates: Sequence[Estimate], levels: NDArray[np.float64]) -> pd.DataFrame:
    summaries = [summarize(estimate, metric) for estimate in estimates]
    columns = {name: np.array([getattr(summary, name) for summary in summaries]) for name in vars(summaries[0])}
    mean, unknown = columns["mean"], np.full(len(levels), np.nan)
    # An undefined clean score compares false, and so gives NaN too.
    columns["normalized"] = mean / clean if clean > 0.0 else unknown
    informed = better_than_chance(metric, clean)
    columns["chance_corrected"] = (mean - metric.chance) / (clean - metric.chance) if informed else unknown
    columns["n_draws"] = np.full(len(levels), len(estimates[0].scores))
    order = ["mean", "ci_low", "ci_high", "draw_sd", "normalized", "chance_corrected", "draws_se", "rows_se", "n_draws"]
    # One table at the end: pandas takes longer over a few columns than the statistics do.
    return pd.DataFrame({name: columns[name] for name in order}, index=pd.Index(levels, name="level"))


def better_than_chance(metric: Metric, clean: float) -> bool:
    """Whether a clean score is better than chance by more than rounding."""
    gain = clean - metric.chance if metric.greater_is_better else metric.chance - clean
    # Both are sums over the rows, taken another way: a constant guess may seem better by some ulps.  Where chance is 0
    # (R^2) it is those of a perfect score that count.
    perfect = max((abs(bound) for bound in metric.bounds if np.isfinite(bound)), default=0.0)
    return gain > _ROUNDING * max(abs(clean), abs(metric.chance), perfect)


def _near_chance(metric: Metric, clean: Estimate) -> bool:
    if not isinstance(metric, RowMetric):
        return False
    if metric.chance_losses is not None:
        # A chance that moves with the rows, as the clean score does.
        low, high = above_chance([clean], metric)[0].interval()
        return low <= 0.0 <= high
    known = summarize(clean, metric)
    return known.ci_low <= metric.chance <= known.ci_high


def _notes(metric: Metric, estimates: Sequence[Estimate], clean: float) -> list[str]:
    notes = []
    scores = np.array([estimate.scores for estimate in estimates[1:]])
    failed = int((~np.isfinite(scores)).sum())
    if np.isnan(clean):
        notes.append(f"{metric.name} is NaN even without noise, so nothing can be compared with it")
    elif failed:
        notes.append(
            f"{metric.name} is NaN or infinite in {failed} of {scores.size} evaluations, and so in their means"
        )
    if clean <= 0.0:
        notes.append(f"normalized is NaN: the clean score {clean:.4g} is not positive, so a ratio to it means nothing")
    elif not metric.greater_is_better:
        notes.append(f"normalized is mean / clean: more than 1 is worse, as less {metric.name} is better")
    if np.isnan(metric.chance):
        notes.append(f"chance_corrected is NaN: the score of a constant guess is not known for {metric.name}")
    elif not np.isnan(clean) and not better_than_chance(metric, clean):
        notes.append(
            f"chance_corrected is NaN: the clean score {clean:.4g} is not "
            f"{'above' if metric.greater_is_better else 'below'} the best constant guess {metric.chance:.4g}"
        )
    elif _near_chance(metric, estimates[0]):
        notes.append(
            f"chance_corrected means little: the clean score {clean:.4g} cannot be told from the best constant guess "
            f"{metric.chance:.4g} on these rows"
        )
    if scores.shape[1] < 2:
        notes.append("intervals are NaN: one draw says nothing about the spread between devices")
    if isinstance(metric, RowMetric) and metric.data.n_used < 2:
        notes.append("intervals are NaN: one row says nothing about the spread between rows")
    return notes
