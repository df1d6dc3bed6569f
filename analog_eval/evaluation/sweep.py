"""Monte-Carlo sweeps over the noise level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from analog_eval._progress import ProgressLine
from analog_eval.adapters import Adapter, Targets, adapt, as_array
from analog_eval.evaluation.metrics import Data, Metric, MetricArgument, PredictionMetric, RowMetric, resolve_metric
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.statistics import Tally, summarize
from analog_eval.injection import NoisyTensors, check_noise
from analog_eval.noise import GaussianNoise, RandomState, WeightNoise

__all__ = ["DEFAULT_LEVELS", "noise_sweep"]

DEFAULT_LEVELS: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4)


def noise_sweep(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    noise: WeightNoise = GaussianNoise("std"),  # noqa: B008 (frozen: sharing it is safe)
    levels: ArrayLike = DEFAULT_LEVELS,
    n_draws: int = 25,
    metric: MetricArgument = None,
    targets: Targets = "weights",
    progress: bool = True,
    random_state: RandomState = None,
) -> SweepReport:
    r"""Measure how a fitted model's score falls as its weights get noisier.

    Every draw stands for one device: the same unit random numbers are scaled to each level (common random numbers), and
    with the same seed they are shared by all models whose tensors have the same shapes.  So differences between levels
    and between models are far less noisy than the scores themselves.  The model is only read, never changed.

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
        Distinct noise levels, in the unit of `noise`; reported in ascending order.  The default does not suit a scale
        in dB, which needs its own.
    n_draws : int, default=25
        Noisy copies per level.
    metric : str, callable or None, default=None
        Name of a scikit-learn scorer; a scorer such as ``make_scorer`` makes, known by its first argument, which must
        be called ``estimator``; a function ``f(y_true, y_pred) -> float``; or None: accuracy for labels, R^2 for
        numbers.  If weights are given, scorers and functions must take ``sample_weight``.
    targets : {"weights", "parameters", "state"}, default="weights"
        ``weights``: kernels only; ``parameters``: also biases (and gains and shifts of normalizations); ``state``: also
        running statistics.
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
    - ``draws_se`` = draw_sd / sqrt(D): how far `mean` is from the mean over all devices, on these very rows.
    - ``rows_se`` = :math:`\sqrt{\frac{n}{n-1} \sum w_i^2 \psi_i^2} / W`: how far it would move with other test rows.
      :math:`\psi_i` is the row's loss averaged over the draws, less the mean loss; for R^2 also less the change that
      the row makes to the variance of `y` (the delta method).  It needs a score that is a mean over rows: accuracy, r2,
      neg_mean_squared_error, neg_mean_absolute_error.  For any other metric it is NaN and the interval covers the
      draws alone; the report says so.
    - ``ci_low``, ``ci_high``: 95 % interval from draws_se^2 + rows_se^2, with Student's t at Satterthwaite's degrees of
      freedom; for accuracy Wilson's interval at the number of rows that has this standard error.  The sum counts the
      interaction of draws and rows twice, so the interval is a little wide; with fewer than some 8 draws of a skewed
      score, such as a squared error under strong noise, it is a little narrow.  It holds for one level at a time.  It
      is cut off where scikit-learn's named scores end; a function or scorer object of yours has no known end.
    - ``normalized`` = mean / clean.  NaN unless the clean score is positive, as for squared errors, which scikit-learn
      reports with a minus sign.  With a metric where less is better, more than 1 means worse.
    - ``chance_corrected`` = (mean - c) / (clean - c), where c is the score of the best constant guess on these rows:
      the share of the most frequent label for accuracy, 0 for R^2, minus the variance of `y` for the squared error.
      NaN where c is not known, or the clean score is not above it.

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
    grid = _check_levels(levels, noise)
    n_draws = _check_count(n_draws, "n_draws")
    adapter, data, predictions = _check_data(adapt(model), X, y, sample_weight)
    task = "classification" if _predicts_labels(adapter, predictions) else "regression"
    _check_labels(adapter, data, predictions, task)
    score = resolve_metric(metric, adapter, data, task)
    noisy = NoisyTensors(adapter, noise, targets, random_state)
    clean = _clean_score(score, noisy, predictions)
    tally = _run(score, noisy, grid, n_draws, progress)
    untouched = [adapter.tensors[i].name for i in noisy.untouched(_a_noisy_level(grid, noise))]
    settings = {
        "model": adapter.name,
        "noise": f"{noise!r} on {targets}",
        "draws": str(n_draws),
        "rows": str(len(data.y)),
    }
    return _report(score, tally, grid, clean, noise, settings, untouched)


def _run(metric: Metric, noisy: NoisyTensors, levels: NDArray[np.float64], n_draws: int, progress: bool) -> Tally:
    tally = Tally(len(levels), n_draws)
    with ProgressLine("noise sweep, draws", n_draws, enabled=progress) as line:
        for draw in range(n_draws):
            units = noisy.draw()
            # Strong noise may overflow inside the model; what comes of it shows in the scores.
            with np.errstate(over="ignore", invalid="ignore"):
                for i, level in enumerate(levels.tolist()):
                    tally.add(i, draw, metric(noisy.at(level, units)))
            line.step()
    return tally


def _clean_score(metric: Metric, noisy: NoisyTensors, predictions: NDArray[Any]) -> float:
    # From the model's own predictions where possible: the sweep's shortcuts have no say in the reference.
    if isinstance(metric, PredictionMetric):
        return metric.score(predictions)[0]
    return metric(noisy.clean)[0]


def _report(
    metric: Metric,
    tally: Tally,
    levels: NDArray[np.float64],
    clean: float,
    noise: WeightNoise,
    settings: dict[str, str],
    untouched: list[str],
) -> SweepReport:
    n_draws = tally.scores.shape[1]
    # Scores that overflowed have no spread; NaN in the table says so.
    with np.errstate(over="ignore", invalid="ignore"):
        rows = [vars(summarize(tally.scores[i], tally.mean_losses(i), metric)) for i in range(len(levels))]
    table = pd.DataFrame(rows, index=pd.Index(levels, name="level"))
    # An undefined clean score compares false, and so gives NaN too.
    table["normalized"] = table["mean"] / clean if clean > 0.0 else np.nan
    above = clean > metric.chance
    table["chance_corrected"] = (table["mean"] - metric.chance) / (clean - metric.chance) if above else np.nan
    table["n_draws"] = n_draws
    order = ["mean", "ci_low", "ci_high", "draw_sd", "normalized", "chance_corrected", "draws_se", "rows_se", "n_draws"]
    draws = pd.DataFrame(
        {
            "level": np.repeat(levels, n_draws),
            "draw": np.tile(np.arange(n_draws), len(levels)),
            "score": tally.scores.ravel(),
        }
    )
    covers = (
        "intervals: 95 %, for the choice of devices (draws) and of test rows"
        if isinstance(metric, RowMetric)
        else "intervals: 95 %, for the choice of devices (draws) only; the choice of test rows is not in them"
    )
    return SweepReport(
        table=table[order],
        clean=clean,
        chance=metric.chance,
        draws=draws,
        metric=metric.name,
        noisy=np.array([not noise.is_clean(level) for level in levels.tolist()], dtype=bool),
        settings=settings,
        level_label=noise.level_label(),
        covers=covers,
        notes=tuple(_notes(metric, tally, clean, untouched)),
    )


def _notes(metric: Metric, tally: Tally, clean: float, untouched: list[str]) -> list[str]:
    notes = []
    failed = int((~np.isfinite(tally.scores)).sum())
    if np.isnan(clean):
        notes.append(f"{metric.name} is NaN even without noise, so nothing can be compared with it")
    elif failed:
        notes.append(
            f"{metric.name} is NaN or infinite in {failed} of {tally.scores.size} evaluations, and so in their means"
        )
    if clean <= 0.0:
        notes.append(f"normalized is NaN: the clean score {clean:.4g} is not positive, so a ratio to it means nothing")
    if np.isnan(metric.chance):
        notes.append(f"chance_corrected is NaN: the score of a constant guess is not known for {metric.name}")
    elif clean <= metric.chance:
        notes.append(
            f"chance_corrected is NaN: the clean score {clean:.4g} is not above the best constant guess "
            f"{metric.chance:.4g}"
        )
    if untouched:
        notes.append(
            f"no noise on {', '.join(untouched)}: constant, a single number or zero, which get none at this scale, "
            "or too little to change a float"
        )
    if tally.scores.shape[1] < 2:
        notes.append("intervals are NaN: one draw says nothing about the spread between devices")
    if isinstance(metric, RowMetric) and metric.data.n_used < 2:
        notes.append("intervals are NaN: one row says nothing about the spread between rows")
    return notes


def _check_levels(levels: ArrayLike, noise: WeightNoise) -> NDArray[np.float64]:
    if levels is DEFAULT_LEVELS and isinstance(noise, GaussianNoise) and noise.scale == "power_db":
        raise ValueError(
            "levels: the default grid holds amplitude ratios, but noise=GaussianNoise('power_db') takes dB; "
            "give levels such as (10, 20, 30, 40)"
        )
    if levels is None or isinstance(levels, str):
        raise TypeError(f"levels must be numbers, got {levels!r}")
    try:
        grid = np.array(levels, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError):
        raise TypeError(f"levels must be numbers, got {levels!r}") from None
    if grid.ndim != 1 or grid.size == 0:
        raise ValueError(f"levels must be a non-empty list of numbers, got shape {grid.shape}")
    for level in grid.tolist():
        noise.check_level(level)
    values, counts = np.unique(grid, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"levels holds {values[counts > 1].tolist()} more than once")
    return values


def _check_count(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be >= 1")
    return int(value)


def _check_data(
    adapter: Adapter, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Adapter, Data, NDArray[Any]]:
    """Return the adapter suited to `y`, the checked test data and the model's own predictions for it."""
    rows = X if hasattr(X, "shape") else np.asarray(X)
    n_rows = rows.shape[0] if rows.shape else 0
    if n_rows == 0:
        raise ValueError(f"X must have rows, got shape {rows.shape}")
    truth = _check_truth(y, n_rows)
    weights = _check_sample_weight(sample_weight, n_rows)
    inputs = adapter.transform(rows)
    adapter = adapter.suited_to(inputs, truth)
    predictions = np.asarray(adapter.holder.predict(inputs))
    if predictions.ndim == 0 or len(predictions) != n_rows:
        raise ValueError(f"the model predicts shape {predictions.shape} for X with {n_rows} rows")
    if truth.ndim == 2 and truth.shape[1] == 1 and predictions.ndim == 1:
        truth = truth.ravel()
    return adapter, Data(inputs, truth, weights), predictions


def _check_truth(y: ArrayLike, n_rows: int) -> NDArray[Any]:
    truth = as_array(y)
    if issparse(y) or truth.ndim not in (1, 2):
        raise ValueError(f"y must be an array of shape (n_rows,) or (n_rows, n_outputs), got shape {truth.shape}")
    if len(truth) != n_rows:
        raise ValueError(f"y has {len(truth)} rows, but X has {n_rows}")
    missing = pd.isna(truth) if truth.dtype.kind != "f" else ~np.isfinite(truth)
    if missing.any():
        raise ValueError(f"y holds {int(missing.sum())} missing, NaN or infinite entries")
    # Columns of tables often come as objects; the numbers or strings in them are what counts.
    return np.array(truth.tolist()) if truth.dtype.kind == "O" else truth


def _check_sample_weight(sample_weight: ArrayLike | None, n_rows: int) -> NDArray[np.float64] | None:
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(as_array(sample_weight), dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError("sample_weight must hold numbers") from None
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight has shape {weights.shape}, but X has {n_rows} rows")
    if not np.isfinite(weights).all() or (weights < 0.0).any():
        raise ValueError("sample_weight holds entries that are negative, NaN or infinite")
    if not weights.any():
        raise ValueError("sample_weight is 0 in every row")
    return weights


def _predicts_labels(adapter: Adapter, predictions: NDArray[Any]) -> bool:
    return adapter.classes is not None or predictions.dtype.kind not in "fc"


def _check_labels(adapter: Adapter, data: Data, predictions: NDArray[Any], task: str) -> None:
    """Raise if `y` and the model's labels have nothing in common, which is a mix-up rather than a bad model."""
    if task != "classification" or data.y.ndim != 1 or predictions.ndim != 1:
        return
    known = predictions if adapter.classes is None else adapter.classes
    strings = [array.dtype.kind in "USO" for array in (known, data.y)]
    if strings[0] != strings[1] or (adapter.classes is not None and not np.isin(data.y, known).any()):
        raise ValueError(
            f"y holds none of the model's labels: y has {np.unique(data.y)[:5].tolist()}, "
            f"the model {np.unique(known)[:5].tolist()}"
        )


def _a_noisy_level(levels: NDArray[np.float64], noise: WeightNoise) -> float:
    noisy = [level for level in levels.tolist() if not noise.is_clean(level)]
    return noisy[len(noisy) // 2] if noisy else float(levels[0])
