r"""Looking only at the rows that noise may change.

Most rows are so far from the decision boundary that hardly any noise moves them across, or so far on the wrong side
that none brings them back.  The first draws are evaluated on all rows.  From their margins (score of the true class
less the best other one), each row gets a chance :math:`q_i` to be wrong: Student's predictive distribution, with
variances drawn towards those of all rows.  In every later draw row `i` is looked at with probability :math:`\pi_i`, and

.. math:: \hat F_i = q_i + \frac{I_i}{\pi_i} (F_i - q_i), \qquad I_i \in \{0, 1\} \text{ looked at},
   F_i \in \{0, 1\} \text{ wrong}

takes the place of its loss.  Its mean over the choice of rows is :math:`F_i` whatever `q` and `pi` are, because both
are settled before the draw, so the estimates are unbiased and the intervals hold as they do for all rows.  With
:math:`\pi_i \propto w_i \sqrt{q_i (1 - q_i)}` the choice adds least variance for its size (Neyman); the size is such
that it adds some 1.5 times the variance between devices, so that 2 to 2.6 times the draws give the same interval, from
a fifth of the row evaluations or less.  Every draw costs its random numbers, too: with a few hundred rows that takes as
long as the rows that are spared, with thousands a sweep takes a quarter of the time (``benchmarks/analog_speed.py``).
``draw_sd`` and ``draws_se`` hold what the choice of rows adds.  It also makes the rows' mean losses look further apart
than they are, by a part that has an unbiased estimate, too; ``rows_se`` is without it.  The scheme is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analog_eval.adapters import Adapter, Arrays
from analog_eval.adapters.base import winning_labels
from analog_eval.evaluation.metrics import Data, Evaluation, RowMetric
from analog_eval.evaluation.statistics import Estimate, Tally
from analog_eval.evaluation.subject import Subject
from analog_eval.noise import RandomState, generators

__all__ = ["sample_rows"]

# Margins and wrong answers of all rows.
_Seen: TypeAlias = tuple[NDArray[np.float64], NDArray[np.bool_]]

N_PILOT = 8
# Rows share their spread with this many degrees of freedom, so that 8 draws tell each one's.
_PRIOR_DF = 4.0
# No row is looked at more rarely: what the pilot is wrong about costs 1 / pi.
_FLOOR = 0.02
# So many rows are tried by themselves: enough for most normalizations by the batch, and far from all.
_TRIED = 16
# Variance that the choice of rows adds, in units of that between devices.
_ADDED_VARIANCE = 1.5


def sample_rows(subject: Subject, n_levels: int, random_state: RandomState) -> Subject:
    """Return a subject that looks at all rows in the first draws, and later at those that may change.

    Parameters
    ----------
    subject : Subject
        What to sample the rows of.
    n_levels : int
        Number of noise levels.
    random_state : int
        Seed of the subject's noise; rows are chosen by a stream of its own.

    Returns
    -------
    Subject

    Raises
    ------
    ValueError
        If the metric is not accuracy of a classifier that tells its classes and their scores, or the model's answer for
        a row depends on the others, as with a normalization by the batch.
    """
    adapter, data, metric = subject.adapter, subject.data, subject.metric
    if metric.name != "accuracy" or not isinstance(metric, RowMetric) or adapter.classes is None or data.y.ndim != 1:
        raise ValueError(
            f"rows='sampled' needs accuracy of a classifier that tells its classes, got metric {metric.name} of "
            f"{adapter.name}"
        )
    _check_apart(adapter, data.inputs, subject.noisy.clean)
    rng = generators(random_state, len(adapter.tensors) + 1)[-1]
    predict = adapter.row_predictor(data.inputs)
    margins = _margins(adapter.classes, data, adapter.scores(data.inputs))
    return _SampledSubject(
        **vars(subject),
        margins=margins,
        predict=predict,
        rng=rng,
        pilot=[[] for _ in range(n_levels)],
        added=np.zeros(n_levels),
    )


@dataclass(frozen=True, eq=False)
class _SampledSubject(Subject):
    """A subject with a memory of its first draws, and the rows' chances that follow from them."""

    margins: Callable[[Arrays], _Seen]
    predict: Callable[[Arrays, NDArray[np.intp]], NDArray[Any]]
    rng: np.random.Generator
    pilot: list[list[_Seen]]
    added: NDArray[np.float64]
    chances: list[_Chances] = field(default_factory=list)

    @property
    def rows_text(self) -> str:
        """Say which rows are looked at."""
        if not self.chances:
            return f"{len(self.data.y)} (sampled after {N_PILOT} draws)"
        shares = [chance.inclusion.mean() for chance in self.chances]
        return f"{len(self.data.y)} (sampled after {N_PILOT} draws: {min(shares):.1%} to {max(shares):.1%})"

    def draw(self, levels: Sequence[float]) -> list[Evaluation]:
        units = self.noisy.draw()
        if len(self.pilot[0]) < N_PILOT:
            return [self._look_at_all(i, self.noisy.at(level, units)) for i, level in enumerate(levels)]
        if not self.chances:
            self.chances.extend(_Chances.of(draws, self.data) for draws in self.pilot)
        # The same rows at every level, as far as they go, so that differences between levels stay small.
        uniforms = self.rng.random(len(self.data.y))
        return [self._look(i, self.noisy.at(level, units), uniforms) for i, level in enumerate(levels)]

    def estimates(self, tally: Tally, n_first: int) -> list[Estimate]:
        clean, *noisy = super().estimates(tally, n_first)
        return [clean, *(self._without_choice(i, estimate) for i, estimate in enumerate(noisy))]

    def _without_choice(self, level: int, estimate: Estimate) -> Estimate:
        """Return the estimate with the rows' variance that is left when that of choosing them is taken off."""
        if estimate.rows is None or not estimate.rows_se > 0.0:
            return estimate
        share = self.added[level] / (len(estimate.scores) * estimate.rows_se) ** 2
        return replace(estimate, rows=estimate.rows * np.sqrt(max(0.0, 1.0 - share)))

    def _look_at_all(self, level: int, arrays: Arrays) -> Evaluation:
        seen = self.margins(arrays)
        self.pilot[level].append(seen)
        return 1.0 - float(self.data.mean(seen[1])), seen[1]

    def _look(self, level: int, arrays: Arrays, uniforms: NDArray[np.float64]) -> Evaluation:
        chance = self.chances[level]
        rows = np.flatnonzero(uniforms < chance.inclusion)
        losses = chance.wrong.copy()
        if len(rows):
            wrong = self.predict(arrays, rows) != self.data.y[rows]
            pi, shares = chance.inclusion[rows], chance.shares[rows]
            misses = (wrong - losses[rows]) / pi
            losses[rows] += misses
            # Horvitz and Thompson's estimate of its own variance.
            self.added[level] += float(np.sum((1.0 - pi) * (shares * misses) ** 2))
        return 1.0 - float(self.data.mean(losses)), losses


@dataclass(frozen=True, eq=False)
class _Chances:
    """Of every row, at one level: the chance to be wrong, that of being looked at, and its share of all weights."""

    wrong: NDArray[np.float64]
    inclusion: NDArray[np.float64]
    shares: NDArray[np.float64]

    @staticmethod
    def of(draws: Sequence[_Seen], data: Data) -> _Chances:
        margins, wrong = (np.array(part) for part in zip(*draws, strict=True))
        q = _predicted(margins)
        weights = np.ones(len(q)) if data.weights is None else data.weights
        shares = weights / weights.sum()
        spread = shares * np.sqrt(q * (1.0 - q))
        scores = np.array([data.mean(row) for row in wrong])
        # Rows that flip for themselves make up the least that devices differ by; 8 draws may show less by chance.
        between = max(float(scores.var(ddof=1)), float(spread @ spread))
        return _Chances(q, _inclusion(spread, _ADDED_VARIANCE * between), shares)


def _check_apart(adapter: Adapter, inputs: Any, arrays: Arrays) -> None:
    """Raise if a few rows by themselves get other scores than among all of them."""
    n_rows = inputs.shape[0]
    # Of few rows half, or there would be no others; but two if possible, which a normalization by the batch needs.
    n_tried = min(_TRIED, max(n_rows // 2, min(2, n_rows - 1), 1))
    rows = np.unique(np.linspace(0, n_rows - 1, n_tried, dtype=np.intp))
    alone, among = adapter.scores(getattr(inputs, "iloc", inputs)[rows])(arrays), adapter.scores(inputs)(arrays)[rows]
    difference = float(np.max(np.abs(alone - among), initial=0.0))
    rounding = np.finfo(among.dtype).eps ** 0.5 if among.dtype.kind == "f" else 0.0
    if difference > rounding * np.max(np.abs(among), initial=0.0):
        raise ValueError(
            "rows='sampled' needs a model whose answer for a row does not depend on the others, but scores of "
            f"{adapter.name} for {len(rows)} rows by themselves differ by up to {difference:.3g} from those among all "
            f"{n_rows} (a normalization by the batch, attention across rows?); use rows='all'"
        )


def _predicted(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance that the next draw's margin is below 0, given some of shape (n_draws, n_rows)."""
    n = len(margins)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean, variance = margins.mean(axis=0), margins.var(axis=0, ddof=1)
        known = np.isfinite(variance)
        pooled = float(variance[known].mean()) if known.any() else 0.0
        variance = ((n - 1) * variance + _PRIOR_DF * pooled) / (n - 1 + _PRIOR_DF)
        ratio = -mean / np.sqrt(variance * (1.0 + 1.0 / n))
    q = student_t.cdf(ratio, n - 1 + _PRIOR_DF)
    # Labels that the model does not know are always wrong; what overflowed may be anything.
    return np.where(np.isneginf(mean), 1.0, np.where(np.isnan(q), 0.5, q))


def _inclusion(spread: NDArray[np.float64], added: float) -> NDArray[np.float64]:
    """Return probabilities in proportion to `spread`, within limits, that add the variance `added`, or less."""
    squares = spread**2
    low, high = 1e-6, 1e6
    unit = max(float(spread.max()), np.finfo(np.float64).tiny)
    for _ in range(40):
        middle = np.sqrt(low * high)
        pi = np.clip(middle * spread / unit, _FLOOR, 1.0)
        if squares @ (1.0 / pi - 1.0) > added:
            low = middle
        else:
            high = middle
    return np.clip(high * spread / unit, _FLOOR, 1.0)


def _margins(classes: NDArray[Any], data: Data, scores: Callable[[Arrays], NDArray[Any]]) -> Callable[[Arrays], _Seen]:
    """Return a function from arrays to margins and wrong answers of all rows."""
    order = np.argsort(classes)
    places = order[np.searchsorted(classes, data.y, sorter=order).clip(max=len(classes) - 1)]
    known, rows = classes[places] == data.y, np.arange(len(data.y))

    def of(arrays: Arrays) -> _Seen:
        outputs = scores(arrays)
        wrong = np.asarray(winning_labels(outputs, classes) != data.y)
        if len(classes) == 2 and outputs.size == len(data.y):
            margins = outputs.ravel() * np.where(places == 1, 1.0, -1.0)
        else:
            others = outputs.astype(np.float64)
            own = others[rows, places]
            others[rows, places] = -np.inf
            margins = own - others.max(axis=1)
        return np.where(known, margins, -np.inf), wrong

    return of
