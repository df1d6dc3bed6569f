"""One shard's side of the protocol."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any, final

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from ..budget import message_bytes_of_all
from ..clustering import rough_cost
from ..columns import first_not_finite, take_columns
from ..construction import Rows, check_rows, joint_rows, target_settings
from ..errors import first_line
from ..targets import NUMERIC
from ..validation import from_polars
from .messages import ROUNDS, Share, Statistics
from .schemes import Scheme, scheme_of

_COST_CENTERS = 8
_OF_SCHEMES = 1 << 20  # apart from the positions of classes


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """What all workers of one run share.

    Parameters
    ----------
    base : estimator or None
        As in `BudgetedCoreset`, or a `DistributedSampling`.
    planner : str
        As in `BudgetedCoreset`.
    entropy : int
        From which every seed derives, together with shard and round.
    label_column, weight_column : str or None
        Columns of a frame that hold labels and weights instead of features.
    allocation : {"sum", "max"}
        As in `DistributedCoreset`.
    """

    base: BaseEstimator | None
    planner: str
    entropy: int
    label_column: str | None = None
    weight_column: str | None = None
    allocation: str = "sum"

    @property
    def scheme(self) -> Scheme:
        """How the budget is shared and summaries are made."""
        return scheme_of(self.base, self.planner, self.allocation)


@final
class Worker:
    """One shard's side of the protocol. What it answers is a function of shard, data and settings alone.

    Parameters
    ----------
    shard : int
        Number of the shard.
    X : array-like or DataFrame of shape (n, d)
    y : array-like of shape (n,) or None
        Class labels or a numeric target, as the settings' base takes them.
    sample_weight : array-like of shape (n,) or None
    settings : WorkerSettings
    name : str, optional
        What errors call the shard; by default "shard" and its number.

    Raises
    ------
    ValueError, TypeError
        When the shard's data are bad; the message begins with the shard's name.
    """

    def __init__(
        self,
        shard: int,
        X: Any,
        y: Any,
        sample_weight: Any,
        settings: WorkerSettings,
        name: str | None = None,
    ) -> None:
        self.shard = shard
        self.settings = settings
        self._scheme = settings.scheme
        self.name = f"shard {shard}" if name is None else name
        try:
            X, y, sample_weight = take_columns(
                from_polars(X), y, sample_weight, settings.label_column, settings.weight_column
            )
            checker = BaseEstimator()
            self.rows: Rows = check_rows(checker, X, y, sample_weight, **target_settings(settings.base))
        except (ValueError, TypeError) as error:
            # The first line is about the data; scikit-learn's further lines advise on estimators.
            reason = first_line(error)
            if reason.startswith("Input X contains") and "column" not in reason:  # whose names are no strings
                reason += first_not_finite(X)
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.name}: {reason}") from error
        names = getattr(checker, "feature_names_in_", None)
        self.names = None if names is None else tuple(names)

    def statistics(self, leader: int = 0) -> bytes:
        """What the coordinator needs to share the budget out: rough cost, least message, the most bytes of use, schema.

        Parameters
        ----------
        leader : int
            The shard that alone sends names of columns: the first that takes part.
        """
        names = self.names if self.shard == leader else None
        with threadpool_limits(1):
            cost = sum(
                rough_cost(part.X, part.weights, _COST_CENTERS, self._rng("statistics", position))
                for position, part in enumerate(self._classes())
            )
            least = self._scheme.least_bytes(self.rows, names)
            most = message_bytes_of_all(self.rows)
            numbers = self._scheme.numbers(self.rows, least, most, self._rng_of)
        statistics = Statistics(
            n_features=self.rows.X.shape[1],
            cost=cost,
            most_bytes=most,
            schema=zlib.crc32("\0".join(self.names or ()).encode("utf-8", "surrogatepass")),
            least_bytes=least,
            numeric=self.rows.target_type == NUMERIC,
            numbers=numbers,
        )
        return statistics.to_bytes(self.shard)

    def summarise(self, allocation: bytes) -> bytes:
        """The summary of the shard, within the bytes that the coordinator's answer allows.

        Raises
        ------
        ValueError
            When the answer is corrupt, meant for another shard, or too small for the shard.
        """
        try:
            share = Share.from_bytes(allocation, self.shard, self._scheme.n_counts)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error
        names = self.names if share.sends_names else None
        with threadpool_limits(1):
            try:
                return self._scheme.summarise(self.rows, share, names, self._rng_of)
            except ValueError as error:
                raise ValueError(f"{self.name}, given {share.budget} bytes of the whole budget: {error}") from error

    def _classes(self) -> list[Rows]:
        if self.rows.labels is None:
            return [self.rows]
        if self.rows.target_type == NUMERIC:
            return [joint_rows(self.rows)]
        return [self.rows.take(np.flatnonzero(self.rows.labels == label)) for label in np.unique(self.rows.labels)]

    def _rng(self, round_name: str, *path: int) -> np.random.Generator:
        key = (self.shard, ROUNDS.index(round_name), *path)
        return np.random.default_rng(np.random.SeedSequence(self.settings.entropy, spawn_key=key))

    def _rng_of(self, round_name: str) -> np.random.Generator:
        """A generator for what a scheme does in a round; that of the summary is as it was before there were schemes."""
        return self._rng(round_name) if round_name == "summary" else self._rng(round_name, _OF_SCHEMES)
