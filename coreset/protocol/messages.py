"""What travels besides summaries: statistics up, allocations down."""

from __future__ import annotations

import dataclasses
import math
import struct

from ..wire import Reader, from_rough, roughly, seal, unseal, varint

ROUNDS = ("statistics", "allocation", "summary")
# Statistics of shards with a numeric target have a kind of their own, so that they cannot be mixed with others.
_STATISTICS, _ALLOCATION, _NUMERIC_STATISTICS = 0xD1, 0xD2, 0xD3
_COST_MOST_SCHEMA = struct.Struct("<2s2sI")
_ROUGH_BYTES = 2


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What a node tells of its shard.

    Parameters
    ----------
    n_features : int
    cost : float
        K-means cost with a few centres; a rough number as it arrives.
    most_bytes : float
        Rough, too.
    schema : int
        Checksum of the columns' names.
    least_bytes : int
    numeric : bool
        Whether there is a numeric target.
    numbers : tuple of float
        What the scheme wants to know besides; rough.
    """

    n_features: int
    cost: float
    most_bytes: float
    schema: int
    least_bytes: int
    numeric: bool
    numbers: tuple[float, ...] = ()

    @staticmethod
    def max_bytes(n_numbers: int) -> int:
        """No statistics with so many numbers take more; runs whose budget cannot spare a twentieth do without."""
        return 1 + 5 + 5 + _COST_MOST_SCHEMA.size + 5 + 4 + _ROUGH_BYTES * n_numbers

    def to_bytes(self, shard: int) -> bytes:
        """The message of a shard."""
        kind = _NUMERIC_STATISTICS if self.numeric else _STATISTICS
        head = bytes([kind]) + varint(shard) + varint(self.n_features)
        packed = _COST_MOST_SCHEMA.pack(roughly(self.cost), roughly(self.most_bytes), self.schema)
        return seal(head + packed + varint(self.least_bytes) + b"".join(map(roughly, self.numbers)))

    @classmethod
    def from_bytes(cls, data: bytes, expected: int, n_numbers: int) -> Statistics:
        """Inverse of `to_bytes` for bytes that may be hostile.

        Raises
        ------
        ValueError
            When they are too long, corrupt, meant to be another shard's, or not usable.
        """
        if len(data) > cls.max_bytes(n_numbers):
            raise ValueError(f"its statistics take {len(data)} bytes, {cls.max_bytes(n_numbers)} are allowed")
        reader = Reader(unseal(data))
        kind, shard = reader.take(1, "the kind")[0], reader.varint("the shard")
        n_features = reader.varint("the number of features")
        packed = reader.take(_COST_MOST_SCHEMA.size, "cost, most bytes and schema")
        rough_cost, rough_most, schema = _COST_MOST_SCHEMA.unpack(packed)
        cost, most = from_rough(rough_cost), from_rough(rough_most)
        least_bytes = reader.varint("the least message")
        numbers = tuple(from_rough(reader.take(_ROUGH_BYTES, "a number")) for _ in range(n_numbers))
        reader.end("the statistics")
        usable = all(math.isfinite(value) and value >= 0 for value in (cost, most, *numbers))
        if kind not in (_STATISTICS, _NUMERIC_STATISTICS) or shard != expected or not usable:
            raise ValueError(
                f"statistics of kind {kind} for shard {shard} with cost {cost} and {most} bytes are not usable"
            )
        return cls(n_features, cost, most, schema, least_bytes, kind == _NUMERIC_STATISTICS, numbers)


@dataclasses.dataclass(frozen=True)
class Share:
    """What a node is answered.

    Parameters
    ----------
    budget : int
        The most bytes of its summary.
    counts : tuple of int
        What the scheme wants to say besides.
    sends_names : bool
        Whether its summary is to have the names of the columns.
    """

    budget: int
    counts: tuple[int, ...] = ()
    sends_names: bool = False

    def to_bytes(self, shard: int) -> bytes:
        """The message to a shard."""
        numbers = (shard, self.budget, int(self.sends_names), *self.counts)
        return seal(bytes([_ALLOCATION]) + b"".join(map(varint, numbers)))

    @classmethod
    def from_bytes(cls, data: bytes, expected: int, n_counts: int) -> Share:
        """Inverse of `to_bytes` for bytes that may be hostile.

        Raises
        ------
        ValueError
            When they are corrupt, or meant for another shard.
        """
        reader = Reader(unseal(data))
        kind, shard = reader.take(1, "the kind")[0], reader.varint("the shard")
        budget, sends_names = reader.varint("the budget"), reader.varint("who sends names")
        counts = tuple(reader.varint("a count") for _ in range(n_counts))
        reader.end("who sends names")
        if kind != _ALLOCATION or shard != expected:
            raise ValueError(f"got a message of kind {kind} for shard {shard}")
        return cls(budget, counts, bool(sends_names))
