"""Rows drawn half by mass and half by squared distance to the mean: the lightweight coreset."""

from __future__ import annotations

from typing import final

import numpy as np

from ..points import Coreset
from ..sampling import draw_once, lightweight_shares, shuffled_sort, stratified_draw
from ..validation import RandomState
from .base import CoresetConstructor, picked
from .rows import Rows

# Candidates per point. A row that must be drawn is expected this often among them, so it cannot be missing there.
_CANDIDATES = 4


@final
class LightweightCoreset(CoresetConstructor):
    """Rows drawn half by mass and half by squared distance to the mean: sees outliers, for the price of two sums.

    The law is ``q = w / (2 W) + w d^2 / (2 sum w d^2)`` with d the distance to the mean; a drawn row weighs
    ``w / (m q)``. Three things are this project's own. Rows are drawn without repetition: one with ``m q >= 1`` is
    certain, and the others share the draws that are left. The draws are spread evenly over the distances to the mean.
    And the weights are calibrated: those above have the right sum only on average, so they are multiplied by what is
    missing. Costs are then ratio estimates, whose bias vanishes in proportion to ``1 / n_points``, and penalties of the
    models trained on the summary keep their meaning.

    Parameters
    ----------
    n_points : int, default=1000
        Rows to draw. With labels, classes share them by their squared distances to their means, with at least one each.
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
        With `sample_indices`; its total weight is exact. Its certificate is nan.

    Notes
    -----
    Source of the law: Bachem, Lucic and Krause, "Scalable k-Means Clustering via Lightweight Coresets" (KDD 2018).
    Its guarantee is additive: the error is a share of the cost on one centre, so that many small clusters need a
    `SensitivityCoreset`. From more than ``4 n_points`` rows, as many candidates are drawn first, by the same law.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import LightweightCoreset
    >>> X = np.append(np.random.default_rng(0).normal(size=9999), 1000.0).reshape(-1, 1)
    >>> summary = LightweightCoreset(n_points=100, random_state=0).fit(X).coreset_
    >>> len(summary), round(summary.total_weight), round(summary.weights[summary.points[:, 0] == 1000].sum())
    (100, 10000, 1)
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
        return float(rows.weights @ rows.squares)

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        shares = lightweight_shares(rows.squares, rows.weights)
        # Candidates would come too few where some rows are certain, and too often.
        if len(rows) > _CANDIDATES * n_points and n_points * shares.max() < 1:
            candidates, counts = np.unique(stratified_draw(shares, _CANDIDATES * n_points, rng), return_counts=True)
            picks = counts / (_CANDIDATES * n_points)
        else:
            candidates, picks = np.arange(len(rows)), shares
        # Share over weight rises with the distance.
        order = shuffled_sort(shares[candidates] / rows.weights[candidates], rng)
        drawn, factors = draw_once(picks, order, n_points, rng)
        chosen = candidates[drawn]
        weights = factors * picks[drawn] * rows.weights[chosen] / shares[chosen]
        return picked(rows, chosen, weights * (rows.weights.sum() / weights.sum()))
