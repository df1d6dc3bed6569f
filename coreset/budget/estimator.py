"""`BudgetedCoreset`: rows in, a message within a budget out."""

from __future__ import annotations

from typing import final

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from ..construction import check_rows, target_settings
from ..quantizers import Quantizer, check_quantizer
from ..validation import RandomState
from ..wire import decode
from .plan import search
from .report import BudgetPlan


@final
class BudgetedCoreset(BaseEstimator):
    """A coreset whose message fits a number of bytes, everything included.

    From 1024 bytes on, the message also tells what the rows take after zstd, for accounts; that is measured on at most
    8 MiB of them. Its two to five bytes are within the budget and never make it too small.

    Parameters
    ----------
    budget_bytes : int, default=65536
        The most bytes that the message may take: header, weights, labels, names and checksum included.
    base : estimator with `n_points` and `random_state`, optional
        How points are made, and by its `target_type` what `y` is; `RobustCoreset` by default. The budget sets its
        `n_points`.
    quantizer : Quantizer, optional
        How points are written; by default the planner chooses.
    planner : {"empirical", "exhaustive", "eigenvalue", "max-distance", "quantile-distance"}, default="empirical"
        See `plan_budget`.
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        As the receiver decodes it.
    message_ : bytes
        At most `budget_bytes` of them, for `decode`.
    plan_ : BudgetPlan
        What was considered, and by `explain` why the message is as it is.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from coreset import BudgetedCoreset, decode
    >>> X, y = load_digits(return_X_y=True)
    >>> budgeted = BudgetedCoreset(budget_bytes=2048, random_state=0).fit(X, y)
    >>> len(budgeted.message_) <= 2048
    True
    >>> sorted(set(decode(budgeted.message_).labels.tolist()))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        budget_bytes: int = 65536,
        *,
        base: BaseEstimator | None = None,
        quantizer: Quantizer | None = None,
        planner: str = "empirical",
        random_state: RandomState = None,
    ) -> None:
        self.budget_bytes = budget_bytes
        self.base = base
        self.quantizer = quantizer
        self.planner = planner
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> BudgetedCoreset:
        """Plan, build and encode.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,), optional
            Class labels or a numeric target.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When the budget is too small, naming the least that would do, or a value is bad.
        TypeError
            When an argument has the wrong type.
        """
        rows = check_rows(self, X, y, sample_weight, **target_settings(self.base))
        names = getattr(self, "feature_names_in_", None)
        self.plan_: BudgetPlan
        self.plan_, self.message_ = search(
            rows,
            self.budget_bytes,
            feature_names=None if names is None else tuple(names),
            base=self.base,
            quantizers=None if self.quantizer is None else [check_quantizer("quantizer", self.quantizer)],
            planner=self.planner,
            random_state=self.random_state,
        )
        self.coreset_ = decode(self.message_)
        return self
