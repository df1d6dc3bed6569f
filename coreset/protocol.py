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
from collections.abc import Collection, Sequence
from typing import Any, final

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from .budget import least_message_bytes, message_bytes_of_all, search
from .clustering import rough_cost
from .columns import ColumnsDiffer, check_numbers, first_not_finite, take_columns
from .construction import Rows, check_rows, joint_rows, share_points, target_settings
from .labels import label_kind
from .points import Coreset
from .targets import NUMERIC
from .validation import check_count, from_polars
from .wire import DEFAULT_MAX_OUTPUT_BYTES, Reader, decode, from_rough, merge_within, roughly, seal, unseal, varint

ROUNDS = ("statistics", "allocation", "summary")
# Statistics of shards with a numeric target have a kind of their own, so that they cannot be mixed with others.
_STATISTICS, _ALLOCATION, _NUMERIC_STATISTICS = 0xD1, 0xD2, 0xD3
_COST_MOST_SCHEMA = struct.Struct("<2s2sI")
# A statistics message is at most this long; runs whose budget cannot spare a twentieth for them do without.
_MAX_STATISTICS_BYTES = 1 + 5 + 5 + _COST_MOST_SCHEMA.size + 5 + 4
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
        self.name = f"shard {shard}" if name is None else name
        try:
            X, y, sample_weight = take_columns(
                from_polars(X), y, sample_weight, settings.label_column, settings.weight_column
            )
            check_numbers(X)
            checker = BaseEstimator()
            self.rows: Rows = check_rows(checker, X, y, sample_weight, **target_settings(settings.base))
        except (ValueError, TypeError) as error:
            # The first line is about the data; scikit-learn's further lines advise on estimators.
            reason = str(error).splitlines()[0]
            if reason.startswith("Input X contains"):
                reason = reason.rstrip(".") + first_not_finite(X)
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
        with threadpool_limits(1):
            cost = sum(
                rough_cost(part.X, part.weights, _COST_CENTERS, self._rng("statistics", position))
                for position, part in enumerate(self._classes())
            )
        least = least_message_bytes(self.rows, self.names if self.shard == leader else None)
        schema = zlib.crc32("\0".join(self.names or ()).encode("utf-8", "surrogatepass"))
        kind = _NUMERIC_STATISTICS if self.rows.target_type == NUMERIC else _STATISTICS
        head = bytes([kind]) + varint(self.shard) + varint(self.rows.X.shape[1])
        most = message_bytes_of_all(self.rows)
        return seal(head + _COST_MOST_SCHEMA.pack(roughly(cost), roughly(most), schema) + varint(least))

    def summarise(self, allocation: bytes) -> bytes:
        """The summary of the shard, within the bytes that the coordinator's answer allows.

        Raises
        ------
        ValueError
            When the answer is corrupt, meant for another shard, or too small for the shard.
        """
        reader = Reader(unseal(allocation))
        kind, shard = reader.take(1, "the kind")[0], reader.varint("the shard")
        budget, sends_names = reader.varint("the budget"), reader.varint("who sends names")
        reader.end("who sends names")
        if kind != _ALLOCATION or shard != self.shard:
            raise ValueError(f"{self.name}: got a message of kind {kind} for shard {shard}")
        with threadpool_limits(1):
            try:
                message = search(
                    self.rows,
                    budget,
                    feature_names=self.names if sends_names else None,
                    base=self.settings.base,
                    quantizers=None,
                    planner=self.settings.planner,
                    random_state=self._rng("summary"),
                )[1]
            except ValueError as error:
                raise ValueError(f"{self.name}, given {budget} bytes of the whole budget: {error}") from error
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


@dataclasses.dataclass(frozen=True)
class _Statistics:
    n_features: int
    cost: float
    most_bytes: float
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
    names : sequence of str, optional
        What errors call the shards; by default "shard" and the number.
    absent : collection of int
        Shards that take no part, because they have no rows or were left out. Their entries in lists are empty bytes.

    Attributes
    ----------
    ledger : list of dict
        Every message: ``node``, ``round``, ``direction`` ("up" or "down") and ``bytes``.
    present : list of int
        The shards that take part. The first, the leader, alone sends names of columns where there are statistics.
    """

    def __init__(
        self, n_shards: int, budget_bytes: int, *, names: Sequence[str] | None = None, absent: Collection[int] = ()
    ) -> None:
        self.n_shards = check_count("n_shards", n_shards)
        self.budget_bytes = check_count("budget_bytes", budget_bytes)
        self.names = [f"shard {shard}" for shard in range(n_shards)] if names is None else list(names)
        absent = frozenset(absent)
        self.present = [shard for shard in range(n_shards) if shard not in absent]
        self._takes_part = frozenset(self.present)  # looking through the list for each shard would be quadratic
        if not self.present:
            raise ValueError(f"none of the {n_shards} shards takes part")
        self.ledger: list[dict[str, Any]] = []
        self._budgets: dict[int, int] = {}
        self._names_by_all = False

    @property
    def wants_statistics(self) -> bool:
        """Whether the budget can spare the bytes of the statistics."""
        return len(self.present) * _MAX_STATISTICS_BYTES <= _STATISTICS_SHARE * self.budget_bytes

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
        n_present = len(self.present)
        if statistics is None:
            budgets = np.full(n_present, self.budget_bytes // n_present)
            if budgets[0] == 0:
                raise ValueError(f"budget_bytes={self.budget_bytes} is too small for {n_present} shards")
        else:
            self._check_number("statistics", statistics)
            self._record("statistics", "up", statistics)
            checked = {shard: self._read_statistics(shard, statistics[shard]) for shard in self.present}
            self._check_same_columns(checked)
            budgets = self._shares(list(checked.values()), self.budget_bytes - sum(map(len, statistics)))
        self._budgets = dict(zip(self.present, map(int, budgets), strict=True))
        self._names_by_all = statistics is None
        answers = [b""] * self.n_shards
        for shard, budget in self._budgets.items():
            sends_names = self._names_by_all or shard == self.present[0]
            answers[shard] = seal(bytes([_ALLOCATION]) + varint(shard) + varint(budget) + varint(sends_names))
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
        coresets = self._decoded(messages)
        for shard in self.present[1:]:
            self._check_fits(coresets, shard)
        return merge_within(list(coresets.values()))

    def _check_fits(self, coresets: dict[int, Coreset], shard: int) -> None:
        """Raise ValueError when a shard's coreset disagrees with the first on columns or target."""
        first = self.present[0]
        coreset, leading = coresets[shard], coresets[first]
        name, first_name = self.names[shard], self.names[first]
        if coreset.n_features != leading.n_features:
            columns = f"{name} has {coreset.n_features} columns, {first_name} has {leading.n_features}"
            raise ColumnsDiffer(columns, shard, first)
        if self._names_by_all and coreset.feature_names != leading.feature_names:
            raise ColumnsDiffer(self._other_names(shard), shard, first)
        kind, first_kind = label_kind(coreset.labels), label_kind(leading.labels)
        if kind != first_kind and "absent" in (kind, first_kind):
            has, lacks = (first_name, name) if kind == "absent" else (name, first_name)
            raise ValueError(f"{has} has labels, {lacks} has none")
        if coreset.target_type != leading.target_type:
            kinds = f"{coreset.target_type} target, {first_name} a {leading.target_type} one"
            raise ValueError(f"{name} has a {kinds}: set target_type of base")
        if kind != first_kind:
            raise ValueError(f"{name} has labels of type {kind}, {first_name} of type {first_kind}")

    def _decoded(self, messages: Sequence[bytes]) -> dict[int, Coreset]:
        coresets: dict[int, Coreset] = {}
        left = DEFAULT_MAX_OUTPUT_BYTES
        for shard, budget in self._budgets.items():
            message = messages[shard]
            if len(message) > budget:
                raise ValueError(f"{self.names[shard]}: its summary takes {len(message)} bytes, {budget} were allowed")
            try:
                coresets[shard] = decode(message, max_output_bytes=left)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{self.names[shard]}: {error}") from error
            left -= coresets[shard].nbytes
        return coresets

    def _check_number(self, name: str, messages: Sequence[bytes]) -> None:
        if len(messages) != self.n_shards:
            raise ValueError(f"{name} has {len(messages)} messages, n_shards is {self.n_shards}")
        for shard, message in enumerate(messages):
            if not isinstance(message, bytes):
                raise ValueError(f"{self.names[shard]}: it answered with {type(message).__name__} instead of bytes")
            if message and shard not in self._takes_part:
                raise ValueError(f"{self.names[shard]}: it takes no part, but sent {len(message)} bytes")

    def _record(self, round_name: str, direction: str, messages: Sequence[bytes]) -> None:
        for node in self.present:
            size = len(messages[node])
            self.ledger.append({"node": node, "round": round_name, "direction": direction, "bytes": size})

    def _read_statistics(self, expected: int, data: bytes) -> _Statistics:
        try:
            if len(data) > _MAX_STATISTICS_BYTES:
                raise ValueError(f"its statistics take {len(data)} bytes, {_MAX_STATISTICS_BYTES} are allowed")
            reader = Reader(unseal(data))
            kind, shard = reader.take(1, "the kind")[0], reader.varint("the shard")
            n_features = reader.varint("the number of features")
            packed = reader.take(_COST_MOST_SCHEMA.size, "cost, most bytes and schema")
            rough_cost, rough_most, schema = _COST_MOST_SCHEMA.unpack(packed)
            cost, most = from_rough(rough_cost), from_rough(rough_most)
            least_bytes = reader.varint("the least message")
            reader.end("the statistics")
            if (
                kind not in (_STATISTICS, _NUMERIC_STATISTICS)
                or shard != expected
                or not (math.isfinite(cost) and cost >= 0)
                or not (math.isfinite(most) and most >= 0)
            ):
                raise ValueError(
                    f"statistics of kind {kind} for shard {shard} with cost {cost} and {most} bytes are not usable"
                )
        except ValueError as error:
            raise ValueError(f"{self.names[expected]}: {error}") from error
        return _Statistics(n_features, cost, most, schema, least_bytes, kind == _NUMERIC_STATISTICS)

    def _shares(self, statistics: Sequence[_Statistics], available: int) -> np.ndarray:
        """Least message each, and the rest in proportion to cost, but no more than a shard has to say."""
        least = np.array([s.least_bytes for s in statistics], dtype=np.int64)
        spare = available - int(least.sum())
        if spare < 0:
            needed = self.budget_bytes - spare
            raise ValueError(
                f"budget_bytes={self.budget_bytes} is too small for {len(least)} shards: one point (a class) of "
                f"each and the statistics take up to {needed} bytes"
            )
        costs = np.array([s.cost for s in statistics])
        keys = costs / costs.max() if costs.max() > 0 else np.ones(len(costs))
        room = np.clip(np.array([s.most_bytes for s in statistics]) - least, 1, max(spare, 1)).astype(np.int64)
        shares = share_points(keys, room, spare) if spare > len(least) else np.zeros(len(least), dtype=np.int64)
        # What is left when all shards can say everything makes it finer.
        return least + shares + np.floor((spare - shares.sum()) * (keys / keys.sum())).astype(np.int64)

    def _check_same_columns(self, statistics: dict[int, _Statistics]) -> None:
        leader = self.present[0]
        first = statistics[leader]
        for shard, other in statistics.items():
            name, first_name = self.names[shard], self.names[leader]
            if other.n_features != first.n_features:
                columns = f"{name} has {other.n_features} columns, {first_name} has {first.n_features}"
                raise ColumnsDiffer(columns, shard, leader)
            if other.numeric != first.numeric:
                has, lacks = (name, first_name) if other.numeric else (first_name, name)
                raise ValueError(f"{has} has a numeric target, {lacks} has none: set target_type of base")
            if other.schema != first.schema:
                raise ColumnsDiffer(self._other_names(shard), shard, leader)

    def _other_names(self, shard: int) -> str:
        return f"{self.names[shard]} has other column names than {self.names[self.present[0]]}"
