"""The distributed algorithm as plain classes that exchange bytes; nothing here knows how bytes travel.

Three rounds: every `Worker` sends the statistics of its shard; the `Coordinator` answers each with a share of the
budget; every worker sends its summary, one message of `wire` within that share. Statistics and summaries count against
the budget. Where statistics would take more than a twentieth of it, there are none, and all shards get equal shares.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from .budget import least_message_bytes, search
from .clustering import rough_cost
from .construction import Rows, check_rows, joint_rows, target_settings
from .points import Coreset
from .targets import NUMERIC
from .validation import check_count, from_polars
from .wire import DEFAULT_MAX_OUTPUT_BYTES, Reader, decode, merge_within, seal, unseal, varint

ROUNDS = ("statistics", "allocation", "summary")
# Statistics of shards with a numeric target have a kind of their own, so that they cannot be mixed with others.
_STATISTICS, _ALLOCATION, _NUMERIC_STATISTICS = 0xD1, 0xD2, 0xD3
_COST_AND_SCHEMA = struct.Struct("<fI")
# A statistics message is at most this long; runs whose budget cannot spare a twentieth for them do without.
_MAX_STATISTICS_BYTES = 1 + 5 + 5 + _COST_AND_SCHEMA.size + 5 + 4
_STATISTICS_SHARE = 0.05
_COST_CENTERS = 8


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """What all workers of one run share.

    Parameters
    ----------
    base : estimator or None
        As in `BudgetedCoreset`.
    planner : str
        As in `BudgetedCoreset`.
    entropy : int
        From which every seed derives, together with shard and round.
    label_column, weight_column : str or None
        Columns of a frame that hold labels and weights instead of features.
    """

    base: BaseEstimator | None
    planner: str
    entropy: int
    label_column: str | None = None
    weight_column: str | None = None


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

    Raises
    ------
    ValueError, TypeError
        When the shard's data are bad; the message begins with the shard's number.
    """

    def __init__(
        self,
        shard: int,
        X: Any,
        y: Any,
        sample_weight: Any,
        settings: WorkerSettings,
    ) -> None:
        self.shard = shard
        self.settings = settings
        try:
            X, y, sample_weight = _take_columns(from_polars(X), y, sample_weight, settings)
            checker = BaseEstimator()
            self.rows: Rows = check_rows(checker, X, y, sample_weight, **target_settings(settings.base))
        except (ValueError, TypeError) as error:
            # The first line is about the data; scikit-learn's further lines advise on estimators.
            raise type(error)(f"shard {shard}: {str(error).splitlines()[0]}") from error
        names = getattr(checker, "feature_names_in_", None)
        self.names = None if names is None else tuple(names)

    def _sent_names(self, by_all: bool) -> tuple[str, ...] | None:
        """Names travel once where the statistics prove that all shards have the same, else in every summary."""
        return self.names if by_all or self.shard == 0 else None

    def statistics(self) -> bytes:
        """What the coordinator needs to share the budget out: rough cost, least message, schema."""
        with threadpool_limits(1):
            cost = sum(
                rough_cost(part.X, part.weights, _COST_CENTERS, self._rng("statistics", position))
                for position, part in enumerate(self._classes())
            )
        least = least_message_bytes(self.rows, self._sent_names(by_all=False))
        schema = zlib.crc32("\0".join(self.names or ()).encode("utf-8", "surrogatepass"))
        kind = _NUMERIC_STATISTICS if self.rows.target_type == NUMERIC else _STATISTICS
        head = bytes([kind]) + varint(self.shard) + varint(self.rows.X.shape[1])
        narrow_cost = min(cost, float(np.finfo(np.float32).max))
        return seal(head + _COST_AND_SCHEMA.pack(narrow_cost, schema) + varint(least))

    def summarise(self, allocation: bytes) -> bytes:
        """The summary of the shard, within the bytes that the coordinator's answer allows.

        Raises
        ------
        ValueError
            When the answer is corrupt, meant for another shard, or too small for the shard.
        """
        reader = Reader(unseal(allocation))
        kind, shard = reader.take(1, "the kind")[0], reader.varint("the shard")
        budget, names_by_all = reader.varint("the budget"), reader.varint("who sends names")
        reader.end("who sends names")
        if kind != _ALLOCATION or shard != self.shard:
            raise ValueError(f"shard {self.shard}: got a message of kind {kind} for shard {shard}")
        with threadpool_limits(1):
            try:
                message = search(
                    self.rows,
                    budget,
                    feature_names=self._sent_names(by_all=bool(names_by_all)),
                    base=self.settings.base,
                    quantizers=None,
                    planner=self.settings.planner,
                    random_state=self._rng("summary"),
                )[1]
            except ValueError as error:
                raise ValueError(f"shard {self.shard}, given {budget} bytes of the whole budget: {error}") from error
        return message

    def _classes(self) -> list[Rows]:
        if self.rows.labels is None:
            return [self.rows]
        if self.rows.target_type == NUMERIC:
            return [joint_rows(self.rows)]
        return [self.rows.take(np.flatnonzero(self.rows.labels == label)) for label in np.unique(self.rows.labels)]

    def _rng(self, round_name: str, *path: int) -> np.random.Generator:
        key = (self.shard, ROUNDS.index(round_name), *path)
        return np.random.default_rng(np.random.SeedSequence(self.settings.entropy, spawn_key=key))


def _take_columns(X: Any, y: Any, sample_weight: Any, settings: WorkerSettings) -> tuple[Any, Any, Any]:
    taken = {"label_column": settings.label_column, "weight_column": settings.weight_column}
    for argument, given, name in (("y", y, "label_column"), ("sample_weight", sample_weight, "weight_column")):
        column = taken[name]
        if column is None:
            continue
        if given is not None:
            raise ValueError(f"both {argument} and {name}={column!r} are given")
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"{name}={column!r} needs a DataFrame, not {type(X).__name__}")
        if column not in X.columns:
            raise ValueError(f"{name}={column!r} is none of the columns {list(map(str, X.columns))[:20]}")
    if settings.label_column is not None:
        X, y = X.drop(columns=settings.label_column), X[settings.label_column]
    if settings.weight_column is not None:
        X, sample_weight = X.drop(columns=settings.weight_column), X[settings.weight_column]
    return X, y, sample_weight


@dataclasses.dataclass(frozen=True)
class _Statistics:
    n_features: int
    cost: float
    schema: int
    least_bytes: int
    numeric: bool


@final
class Coordinator:
    """The driver's side of the protocol: it sees messages, never data.

    Parameters
    ----------
    n_shards : int
    budget_bytes : int
        The most that all shards together may send up.

    Attributes
    ----------
    ledger : list of dict
        Every message: ``node``, ``round``, ``direction`` ("up" or "down") and ``bytes``.
    """

    def __init__(self, n_shards: int, budget_bytes: int) -> None:
        self.n_shards = check_count("n_shards", n_shards)
        self.budget_bytes = check_count("budget_bytes", budget_bytes)
        self.ledger: list[dict[str, Any]] = []
        self._budgets: list[int] = []
        self._names_by_all = False

    @property
    def wants_statistics(self) -> bool:
        """Whether the budget can spare the bytes of the statistics."""
        return self.n_shards * _MAX_STATISTICS_BYTES <= _STATISTICS_SHARE * self.budget_bytes

    def allocate(self, statistics: Sequence[bytes] | None) -> list[bytes]:
        """Answer the statistics with each shard's budget.

        Parameters
        ----------
        statistics : sequence of bytes, in shard order, or None
            None where `wants_statistics` is false.

        Returns
        -------
        list of bytes, in shard order

        Raises
        ------
        ValueError
            When a message is corrupt, shards disagree on their columns, or the budget is too small for all shards.
        """
        if statistics is None:
            budgets = np.full(self.n_shards, self.budget_bytes // self.n_shards)
            if budgets[0] == 0:
                raise ValueError(f"budget_bytes={self.budget_bytes} is too small for {self.n_shards} shards")
        else:
            self._check_number("statistics", statistics)
            self._record("statistics", "up", statistics)
            checked = [self._read_statistics(shard, data) for shard, data in enumerate(statistics)]
            _check_same_columns(checked)
            budgets = self._shares(checked, self.budget_bytes - sum(map(len, statistics)))
        self._budgets = [int(budget) for budget in budgets]
        self._names_by_all = statistics is None
        answers = [
            seal(bytes([_ALLOCATION]) + varint(shard) + varint(budget) + varint(self._names_by_all))
            for shard, budget in enumerate(self._budgets)
        ]
        self._record("allocation", "down", answers)
        return answers

    def merge(self, messages: Sequence[bytes]) -> Coreset:
        """Check the summaries and put them together.

        Parameters
        ----------
        messages : sequence of bytes, in shard order

        Returns
        -------
        Coreset

        Raises
        ------
        ValueError
            When one is corrupt, larger than was allowed, or does not fit the others.
        """
        if not self._budgets:
            raise ValueError("merge comes after allocate, which decides what each shard may send")
        self._check_number("messages", messages)
        self._record("summary", "up", messages)
        coresets: list[Coreset] = []
        for shard, (message, budget) in enumerate(zip(messages, self._budgets, strict=True)):
            if len(message) > budget:
                raise ValueError(f"shard {shard}: its summary takes {len(message)} bytes, {budget} were allowed")
            try:
                left = DEFAULT_MAX_OUTPUT_BYTES - sum(coreset.nbytes for coreset in coresets)
                coresets.append(decode(message, max_output_bytes=left))
            except ValueError as error:
                raise ValueError(f"shard {shard}: {error}") from error
        for shard, coreset in enumerate(coresets):
            if self._names_by_all and coreset.feature_names != coresets[0].feature_names:
                raise ValueError(f"shard {shard} has other column names than shard 0")
            if coreset.target_type != coresets[0].target_type:
                kinds = f"{coreset.target_type} target, shard 0 a {coresets[0].target_type} one"
                raise ValueError(f"shard {shard} has a {kinds}: set target_type of base")
        return merge_within(coresets)

    def _check_number(self, name: str, messages: Sequence[bytes]) -> None:
        if len(messages) != self.n_shards:
            raise ValueError(f"{name} has {len(messages)} messages, n_shards is {self.n_shards}")

    def _record(self, round_name: str, direction: str, messages: Sequence[bytes]) -> None:
        for node, message in enumerate(messages):
            self.ledger.append({"node": node, "round": round_name, "direction": direction, "bytes": len(message)})

    @staticmethod
    def _read_statistics(expected: int, data: bytes) -> _Statistics:
        try:
            if len(data) > _MAX_STATISTICS_BYTES:
                raise ValueError(f"its statistics take {len(data)} bytes, {_MAX_STATISTICS_BYTES} are allowed")
            reader = Reader(unseal(data))
            kind, shard = reader.take(1, "the kind")[0], reader.varint("the shard")
            n_features = reader.varint("the number of features")
            cost, schema = _COST_AND_SCHEMA.unpack(reader.take(_COST_AND_SCHEMA.size, "cost and schema"))
            least_bytes = reader.varint("the least message")
            reader.end("the statistics")
            if (
                kind not in (_STATISTICS, _NUMERIC_STATISTICS)
                or shard != expected
                or not (math.isfinite(cost) and cost >= 0)
            ):
                raise ValueError(f"statistics of kind {kind} for shard {shard} with cost {cost} are not usable")
        except ValueError as error:
            raise ValueError(f"shard {expected}: {error}") from error
        return _Statistics(n_features, cost, schema, least_bytes, kind == _NUMERIC_STATISTICS)

    def _shares(self, statistics: Sequence[_Statistics], available: int) -> np.ndarray:
        """Least message each, and the rest in proportion to cost."""
        least = np.array([s.least_bytes for s in statistics], dtype=np.int64)
        spare = available - int(least.sum())
        if spare < 0:
            needed = self.budget_bytes - spare
            raise ValueError(
                f"budget_bytes={self.budget_bytes} is too small for {self.n_shards} shards: one point (a class) of "
                f"each and the statistics take up to {needed} bytes"
            )
        costs = np.array([s.cost for s in statistics])
        keys = costs / costs.max() if costs.max() > 0 else np.ones(len(costs))
        return least + np.floor(spare * (keys / keys.sum())).astype(np.int64)


def _check_same_columns(statistics: Sequence[_Statistics]) -> None:
    first = statistics[0]
    for shard, other in enumerate(statistics):
        if other.n_features != first.n_features:
            raise ValueError(f"shard {shard} has {other.n_features} columns, shard 0 has {first.n_features}")
        if other.numeric != first.numeric:
            has, lacks = (shard, 0) if other.numeric else (0, shard)
            raise ValueError(f"shard {has} has a numeric target, shard {lacks} has none: set target_type of base")
        if other.schema != first.schema:
            raise ValueError(f"shard {shard} has other column names than shard 0")
