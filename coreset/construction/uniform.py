"""Uniform sampling, the baseline."""

from __future__ import annotations

from typing import final

import numpy as np

from ..points import Coreset
from ..sampling import systematic_draw
from ..validation import RandomState
from .base import CoresetConstructor, picked
from .rows import Rows


@final
class UniformCoreset(CoresetConstructor):
    """Rows drawn in proportion to their weight, each standing for the same mass: the baseline.

    With labels, each class gets points in proportion to its mass and at least one.

    Parameters
    ----------
    n_points : int, default=1000
        Draws. A row whose weight exceeds ``total / n_points`` can be drawn several times and comes back once, with the
        weight of all its draws, so that fewer points come back.
    target_type : {"auto", "class", "numeric"}, default="auto"
        What `y` is: classes, or numbers to regress on. "auto" takes floats that are not all integers for numbers and
        everything else for classes; "numeric" makes numbers of integers too.
    label_scale : "auto" or float, default="auto"
        Units of X that a unit of a numeric target counts as. Large ones tell rows of like features and unlike targets
        apart, at the price of biased slopes; "auto" lets the target deviate a tenth as much as the columns do (ours).
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        Unbiased for every sum of costs; its total weight is exact. Its certificate is nan.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import UniformCoreset
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> summary = UniformCoreset(n_points=10, random_state=0).fit(X).coreset_
    >>> len(summary), summary.total_weight
    (10, 100.0)
    """

    def __init__(
        self,
        n_points: int = 1000,
        *,
        target_type: str = "auto",
        label_scale: float | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_points = n_points
        self.target_type = target_type
        self.label_scale = label_scale
        self.random_state = random_state

    def _share_key(self, rows: Rows) -> float:
        return float(rows.weights.sum())

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        order = rng.permutation(len(rows))
        drawn = systematic_draw(rows.weights[order], n_points, rng)
        chosen, counts = np.unique(order[drawn], return_counts=True)
        return picked(rows, chosen, counts * (rows.weights.sum() / n_points))
