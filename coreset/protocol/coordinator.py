"""The driver's side of the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, final

from ..columns import ColumnsDiffer
from ..labels import label_kind
from ..points import Coreset
from ..validation import check_count
from ..wire import DEFAULT_MAX_OUTPUT_BYTES, decode, held_bytes, merge_within
from .messages import Share, Statistics
from .schemes import ByCost, Scheme

_STATISTICS_SHARE = 0.05


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
    scheme : Scheme, optional
        That of the workers' settings; shares by cost by default.

    Attributes
    ----------
    ledger : list of dict
        Every message: ``node``, ``round``, ``direction`` ("up" or "down") and ``bytes``.
    present : list of int
        The shards that take part. The first, the leader, alone sends names of columns where there are statistics.
    """

    def __init__(
        self,
        n_shards: int,
        budget_bytes: int,
        *,
        names: Sequence[str] | None = None,
        absent: Collection[int] = (),
        scheme: Scheme | None = None,
    ) -> None:
        self.n_shards = check_count("n_shards", n_shards)
        self.budget_bytes = check_count("budget_bytes", budget_bytes)
        self.names = [f"shard {shard}" for shard in range(n_shards)] if names is None else list(names)
        absent = frozenset(absent)
        self.present = [shard for shard in range(n_shards) if shard not in absent]
        self._takes_part = frozenset(self.present)  # looking through the list for each shard would be quadratic
        if not self.present:
            raise ValueError(f"none of the {n_shards} shards takes part")
        self._scheme = ByCost(None, "empirical") if scheme is None else scheme
        self.ledger: list[dict[str, Any]] = []
        self._budgets: dict[int, int] = {}
        self._names_by_all = False

    @property
    def wants_statistics(self) -> bool:
        """Whether the budget can spare the bytes of the statistics."""
        return self._most_statistics <= _STATISTICS_SHARE * self.budget_bytes

    @property
    def _most_statistics(self) -> int:
        return len(self.present) * Statistics.max_bytes(self._scheme.n_numbers)

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
        shares = self._equal_shares() if statistics is None else self._shares(statistics)
        self._budgets = {shard: share.budget for shard, share in zip(self.present, shares, strict=True)}
        self._names_by_all = statistics is None
        answers = [b""] * self.n_shards
        for shard, share in zip(self.present, shares, strict=True):
            sends_names = self._names_by_all or shard == self.present[0]
            answers[shard] = dataclasses.replace(share, sends_names=sends_names).to_bytes(shard)
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
            left = max(0, left - coresets[shard].nbytes - held_bytes(coresets[shard].feature_names or ()))
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

    def _equal_shares(self) -> list[Share]:
        n_present = len(self.present)
        if self._scheme.needs_statistics:
            raise ValueError(
                f"budget_bytes={self.budget_bytes} is too small for {n_present} shards: what they tell of their costs "
                f"takes up to {self._most_statistics} bytes, more than a twentieth of it"
            )
        budget = self.budget_bytes // n_present
        if budget == 0:
            raise ValueError(f"budget_bytes={self.budget_bytes} is too small for {n_present} shards")
        return [Share(budget)] * n_present

    def _shares(self, statistics: Sequence[bytes]) -> list[Share]:
        self._check_number("statistics", statistics)
        self._record("statistics", "up", statistics)
        read = {shard: self._read_statistics(shard, statistics[shard]) for shard in self.present}
        self._check_same_columns(read)
        available = self.budget_bytes - sum(map(len, statistics))
        spare = available - sum(told.least_bytes for told in read.values())
        if spare < 0:
            needed = self.budget_bytes - spare
            raise ValueError(
                f"budget_bytes={self.budget_bytes} is too small for {len(read)} shards: one point (a class) of "
                f"each and the statistics take up to {needed} bytes"
            )
        return self._scheme.shares(list(read.values()), available)

    def _read_statistics(self, expected: int, data: bytes) -> Statistics:
        try:
            return Statistics.from_bytes(data, expected, self._scheme.n_numbers)
        except ValueError as error:
            raise ValueError(f"{self.names[expected]}: {error}") from error

    def _check_same_columns(self, statistics: dict[int, Statistics]) -> None:
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
