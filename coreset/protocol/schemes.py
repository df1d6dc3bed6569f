"""How a budget is shared among nodes, and what a node makes of its share."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ..budget import allocate_budget, error_curve, least_message_bytes, search
from ..budget.building import Bound
from ..construction import (
    DistributedSampling,
    Rows,
    centers_and_draws,
    nested_costs,
    sampled_with_centers,
    share_points,
)
from ..quantizers import UniformQuantizer
from ..wire import encode, from_rough, max_encoded_size, roughly
from .messages import Share, Statistics

ALLOCATIONS = ("sum", "max")
Names = tuple[str, ...] | None
RngOf = Callable[[str], np.random.Generator]
_LEVELS = 8  # of a node's curve of errors
_BETWEEN = 64  # levels that are read off it
_LEAST_DRAWN = 0.9  # of the draws, that are kept in a next try where a message is too long


class Scheme(ABC):
    """One way to share a budget, as coordinator and workers of a run both know it.

    Attributes
    ----------
    n_numbers, n_counts : int
        Numbers that a node sends with its statistics, and that it is answered with its budget.
    needs_statistics : bool
        Whether a run without statistics is impossible.
    """

    n_numbers: int = 0
    n_counts: int = 0
    needs_statistics: bool = False

    def least_bytes(self, rows: Rows, names: Names) -> int:
        """What a node's summary takes at least."""
        return least_message_bytes(rows, names)

    def numbers(self, rows: Rows, least: int, most: int, rng_of: RngOf) -> tuple[float, ...]:
        """What a node tells besides its cost."""
        return ()

    @abstractmethod
    def shares(self, statistics: Sequence[Statistics], available: int) -> list[Share]:
        """What each node gets of so many bytes, which are enough for the least summaries."""

    @abstractmethod
    def summarise(self, rows: Rows, share: Share, names: Names, rng_of: RngOf) -> bytes:
        """A node's message."""


class _Planned(Scheme):
    """Every node plans how to spend its bytes."""

    def __init__(self, base: BaseEstimator | None, planner: str) -> None:
        self.base = base
        self.planner = planner

    def summarise(self, rows: Rows, share: Share, names: Names, rng_of: RngOf) -> bytes:
        """See `Scheme.summarise`."""
        return search(
            rows,
            share.budget,
            feature_names=names,
            base=self.base,
            quantizers=None,
            planner=self.planner,
            random_state=rng_of("summary"),
        )[1]


@final
class ByCost(_Planned):
    """Least message each, and the rest in proportion to cost, but no more than a shard has to say."""

    def shares(self, statistics: Sequence[Statistics], available: int) -> list[Share]:
        """See `Scheme.shares`."""
        least = np.array([s.least_bytes for s in statistics], dtype=np.int64)
        spare = available - int(least.sum())
        costs = np.array([s.cost for s in statistics])
        keys = costs / costs.max() if costs.max() > 0 else np.ones(len(costs))
        room = np.clip(np.array([s.most_bytes for s in statistics]) - least, 1, max(spare, 1)).astype(np.int64)
        shares = share_points(keys, room, spare) if spare > len(least) else np.zeros(len(least), dtype=np.int64)
        # What is left when all shards can say everything makes it finer.
        return _of(least + shares + np.floor((spare - shares.sum()) * (keys / keys.sum())).astype(np.int64))


@final
class ByWorst(_Planned):
    """The largest error of a node is the least possible, by the errors that nodes tell: MECBD of arXiv 2204.06652.

    Nodes tell their errors with bytes from the least to the most that are of use to them, at equal ratios; between
    these, errors are read off lines over the logarithm of the bytes (ours).
    """

    n_numbers = _LEVELS

    def numbers(self, rows: Rows, least: int, most: int, rng_of: RngOf) -> tuple[float, ...]:
        """See `Scheme.numbers`."""
        sizes = _sizes(least, from_rough(roughly(most)), _LEVELS)
        errors = error_curve(rows, sizes, base=self.base, planner=self.planner, rng=rng_of("statistics"))
        return tuple(np.minimum.accumulate(errors).tolist())

    def shares(self, statistics: Sequence[Statistics], available: int) -> list[Share]:
        """See `Scheme.shares`."""
        budgets = allocate_budget([_curve(s) for s in statistics], available, objective="max")
        spare = available - int(budgets.sum())
        return _of(budgets + np.floor(spare * (budgets / budgets.sum())).astype(np.int64))


@final
class Sampling(Scheme):
    """Centres and drawn rows, as published; see `DistributedSampling`."""

    n_counts = 2
    needs_statistics = True

    def __init__(self, base: DistributedSampling) -> None:
        base.check()
        self.n_numbers = base.n_centers
        self._negative_weights = base.negative_weights
        self._quantizer = UniformQuantizer(base.bits)

    def least_bytes(self, rows: Rows, names: Names) -> int:
        """See `Scheme.least_bytes`."""
        return Bound(rows, names)(1, self._quantizer)  # classes need no point each, as they do where each is summarised

    def numbers(self, rows: Rows, least: int, most: int, rng_of: RngOf) -> tuple[float, ...]:
        """See `Scheme.numbers`."""
        return tuple(nested_costs(rows, self.n_numbers, rng_of("statistics"))[1].tolist())

    def shares(self, statistics: Sequence[Statistics], available: int) -> list[Share]:
        """See `Scheme.shares`."""
        rate = self._bytes_a_point(statistics[0].n_features + statistics[0].numeric)
        spare = available - sum(s.least_bytes for s in statistics)
        n_points = len(statistics) + math.floor(spare / rate)
        n_centers, n_draws = centers_and_draws([s.numbers for s in statistics], n_points)
        wanted = np.floor(rate * (n_centers + n_draws - 1)).astype(np.int64)
        # Nodes without cost need no more than a point, and leave bytes that make the others' messages sure to fit.
        left = max(spare - int(wanted.sum()), 0) // len(statistics)
        return [
            Share(s.least_bytes + int(more) + left, (int(k), int(t)))
            for s, more, k, t in zip(statistics, wanted, n_centers, n_draws, strict=True)
        ]

    def summarise(self, rows: Rows, share: Share, names: Names, rng_of: RngOf) -> bytes:
        """See `Scheme.summarise`."""
        n_centers, n_draws = share.counts
        seeds, _ = nested_costs(rows, self.n_numbers, rng_of("statistics"))
        while True:
            chosen = seeds[: max(n_centers, 1)]
            coreset = sampled_with_centers(rows, chosen, n_draws, self._negative_weights, rng_of("summary"))
            message = encode(dataclasses.replace(coreset, feature_names=names), self._quantizer)
            if len(message) <= share.budget or n_draws == 0:
                return message
            n_draws = math.floor(_LEAST_DRAWN * n_draws)

    def _bytes_a_point(self, n_columns: int) -> float:
        few, many = (max_encoded_size((n, n_columns), self._quantizer) for n in (1, 4097))
        return (many - few) / 4096


def scheme_of(base: BaseEstimator | None, planner: str, allocation: str) -> Scheme:
    """The scheme of a run.

    Raises
    ------
    ValueError
        When `allocation` is none of `ALLOCATIONS`, or not the one that the base asks for.
    """
    if allocation not in ALLOCATIONS:
        raise ValueError(f"allocation={allocation!r} must be one of {ALLOCATIONS}")
    if isinstance(base, DistributedSampling):
        if allocation != "sum":
            raise ValueError(f"allocation={allocation!r} is not for base={base!r}, which shares the sum of costs out")
        return Sampling(base)
    return ByWorst(base, planner) if allocation == "max" else ByCost(base, planner)


def _of(budgets: NDArray[np.int64]) -> list[Share]:
    return [Share(budget) for budget in budgets.tolist()]


def _sizes(least: int, most: float, n_levels: int) -> NDArray[np.int64]:
    """Bytes from the least to the most, at equal ratios."""
    ratio = max(most, least + 1.0) / least
    return np.floor(least * ratio ** (np.arange(n_levels) / (n_levels - 1))).astype(np.int64)


def _curve(statistics: Statistics) -> NDArray[np.float64]:
    """Bytes and errors at more levels than a node tells."""
    told = np.log(_sizes(statistics.least_bytes, statistics.most_bytes, _LEVELS))
    sizes = _sizes(statistics.least_bytes, statistics.most_bytes, _BETWEEN)
    errors = np.minimum.accumulate(np.interp(np.log(sizes), told, statistics.numbers))
    return np.column_stack([sizes, errors])
