"""How many noisy copies there are, and the loop that makes them.

Draws come one at a time: stacked into one product, 25 of them take half as long again on a CPU, because what one layer
hands to the next no longer fits into the cache (``benchmarks/analog_speed.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from analog_eval._progress import ProgressLine
from analog_eval.evaluation.inputs import check_count
from analog_eval.evaluation.metrics import RowMetric
from analog_eval.evaluation.statistics import Estimate, Tally
from analog_eval.evaluation.subject import Subject

__all__ = ["DrawPlan", "plan_draws", "run"]

FIRST_LOOK = 25
# With a third of the rows' half-width, the draws make the whole interval wider by a twentieth.
SHARE_OF_ROWS = 1.0 / 3.0


@dataclass(frozen=True)
class DrawPlan:
    """Between how many draws the loop may choose, and when it may stop.

    Parameters
    ----------
    first, most : int
        Draws before it is first asked whether there are enough, and the greatest number; equal if it is not asked.
    auto : bool
        Whether it is asked at all.
    half_width : float or None
        How narrow the draws' part of the intervals has to be; None: a third of the rows' part.
    """

    first: int
    most: int
    auto: bool = False
    half_width: float | None = None

    def check(self, subjects: Sequence[Subject]) -> None:
        """Raise if nothing says how many draws are enough."""
        for subject in subjects:
            if self.auto and self.half_width is None and not isinstance(subject.metric, RowMetric):
                raise ValueError(
                    f"n_draws='auto' needs half_width for metric {subject.metric.name}: what the choice of rows leaves "
                    "open, which is the default measure, is not known for it"
                )

    def lacks(self, estimate: Estimate) -> float:
        """Return how many times too wide the draws' part of the interval is; NaN counts as narrow enough."""
        target = SHARE_OF_ROWS * estimate.rows_half_width if self.half_width is None else self.half_width
        width = estimate.draws_half_width
        if not width > target:
            return 1.0
        return width / target if target > 0.0 else float("inf")

    def next_look(self, n_draws: int, estimates: Sequence[Estimate]) -> int:
        """Return after how many draws to look again; `n_draws` if there are enough."""
        if n_draws >= self.most:
            return n_draws
        lacking = max(map(self.lacks, estimates))
        if lacking <= 1.0:
            return n_draws
        # The spreads alone decide, never the means: on that the intervals rest.
        wanted = min(2.0 * n_draws, n_draws * lacking**2)
        return min(self.most, max(n_draws + FIRST_LOOK, int(np.ceil(wanted))))

    def text(self, n_draws: int) -> str:
        """Say how the number came about."""
        if not self.auto:
            return str(n_draws)
        return f"{n_draws} (auto: half-width {'a third of the rows' if self.half_width is None else self.half_width})"

    def note(self, estimates: Sequence[Estimate]) -> list[str]:
        """Return what to tell of a half-width that was not reached."""
        if not self.auto or all(self.lacks(estimate) <= 1.0 for estimate in estimates):
            return []
        widest = max(estimate.draws_half_width for estimate in estimates)
        return [
            f"n_draws='auto' stopped at max_draws={self.most}, before the half-width was reached: that of the draws is "
            f"up to {widest:.3g}"
        ]


def plan_draws(n_draws: int | str, half_width: float | None, max_draws: int) -> DrawPlan:
    """Return the plan, or raise naming the argument."""
    if isinstance(n_draws, str):
        if n_draws != "auto":
            raise ValueError(f"n_draws={n_draws!r} is neither a number nor 'auto'")
        most = check_count(max_draws, "max_draws")
        is_number = isinstance(half_width, Real) and not isinstance(half_width, bool)
        if half_width is not None and not (is_number and 0.0 < half_width < np.inf):
            raise ValueError(f"half_width={half_width!r} must be a finite number > 0")
        return DrawPlan(min(FIRST_LOOK, most), most, True, half_width)
    if half_width is not None:
        raise ValueError(f"half_width={half_width} needs n_draws='auto', got n_draws={n_draws!r}")
    n = check_count(n_draws, "n_draws")
    return DrawPlan(n, n)


Tracked = Callable[[Sequence[Sequence[Estimate]]], Sequence[Estimate]]


def run(
    subjects: Sequence[Subject],
    levels: NDArray[np.float64],
    plan: DrawPlan,
    tracked: Tracked,
    *,
    label: str,
    progress: bool,
) -> list[list[Estimate]]:
    """Score draws of all the subjects at all levels until there are enough.

    Parameters
    ----------
    subjects : sequence of Subject
        They share the draws: number `d` of one belongs to number `d` of the others.
    levels : ndarray of shape (n_levels,)
        Noise levels.
    plan : DrawPlan
        How many draws.
    tracked : callable
        From what this function returns to the estimates that `plan` looks at.
    label : str
        What to call the work in the progress line.
    progress : bool
        Whether to show it.

    Returns
    -------
    list of list of Estimate
        For each subject its clean score and that of each level.
    """
    grid = levels.tolist()
    tallies = [Tally(len(grid)) for _ in subjects]
    done, goal = 0, plan.first
    with ProgressLine(f"{label}, draws", plan.first, enabled=progress) as line:
        while True:
            for _ in range(done, goal):
                # Strong noise may overflow inside a model; what comes of it shows in the scores.
                with np.errstate(over="ignore", invalid="ignore"):
                    for subject, tally in zip(subjects, tallies, strict=True):
                        tally.add(subject.draw(grid))
                line.step()
            done = goal
            # Scores that overflowed have no spread; NaN says so.
            with np.errstate(over="ignore", invalid="ignore"):
                estimates = [s.estimates(t, plan.first) for s, t in zip(subjects, tallies, strict=True)]
                goal = plan.next_look(done, tracked(estimates))
            if goal == done:
                return estimates
            line.total = goal
