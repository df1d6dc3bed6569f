"""One run of the protocol over a pool: loading, statistics, allocation, summaries, and what is told of it."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Sequence

import pandas as pd

from ..columns import ColumnsDiffer, describe_difference
from ..points import Coreset
from ..protocol import Coordinator, Scheme
from ..sources import Source
from ..wire import inspect
from .hosting import LOADING, Pool, Report


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run gives; the fields are the attributes of `DistributedCoreset`."""

    coreset: Coreset
    messages: list[bytes]
    ledger: pd.DataFrame
    plan: pd.DataFrame
    skipped: pd.DataFrame


def run(source: Source, pool: Pool, budget_bytes: int, *, skip: bool, scheme: Scheme | None = None) -> Outcome:
    """Summarise the shards of a source.

    Parameters
    ----------
    source : Source
    pool : Pool
    budget_bytes : int
    skip : bool
        Whether shards that cannot be read are left out.
    scheme : Scheme, optional
        That of the pool's workers; shares by cost by default.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        When no shard has rows of positive weight or can be read, shards disagree, or the budget is too small.
    """
    names = [source.name(shard) for shard in range(len(source))]
    unread, empty = _load(pool, names, skip=skip)
    coordinator = Coordinator(len(source), budget_bytes, names=names, absent={*unread, *empty}, scheme=scheme)
    try:
        messages = _summaries(coordinator, pool)
        coreset = coordinator.merge(messages)
    except ColumnsDiffer as error:
        raise ValueError(_with_columns(error, pool)) from error
    return Outcome(
        coreset,
        messages,
        _ledger(coordinator, pool, names),
        _plan(coordinator, messages, names),
        _skipped(unread, names),
    )


def _load(pool: Pool, names: Sequence[str], *, skip: bool) -> tuple[dict[int, Exception], list[int]]:
    """Shards that cannot be read, and those that have no rows."""
    found = pool.load(keep_going=skip)
    unread = {shard: error for shard, error in sorted(found.items()) if isinstance(error, Exception)}
    if len(unread) == len(names):
        raise ValueError(f"none of the {len(names)} shards can be read; {unread[0]}") from unread[0]
    if unread:
        listed = "; ".join(str(error) for error in list(unread.values())[:5])
        more = f"; and {len(unread) - 5} more" if len(unread) > 5 else ""
        warnings.warn(f"{len(unread)} of {len(names)} shards are left out of the summary: {listed}{more}", stacklevel=4)
    empty = [shard for shard in range(len(names)) if found[shard] == 0]
    if len(unread) + len(empty) == len(names):
        listed = ", ".join(names[shard] for shard in empty[:5])
        raise ValueError(f"no shard has rows of positive weight; empty: {listed}")
    return unread, empty


def _summaries(coordinator: Coordinator, pool: Pool) -> list[bytes]:
    present = coordinator.present
    statistics = None
    if coordinator.wants_statistics:
        statistics = _in_order(coordinator, pool.ask("statistics", dict.fromkeys(present, present[0])))
    allocations = coordinator.allocate(statistics)
    return _in_order(coordinator, pool.ask("summary", {shard: allocations[shard] for shard in present}))


def _in_order(coordinator: Coordinator, answers: dict[int, bytes]) -> list[bytes]:
    return [answers.get(shard, b"") for shard in range(coordinator.n_shards)]


def _with_columns(error: ColumnsDiffer, pool: Pool) -> str:
    """The error's text with the columns that differ. They travel for this alone: the run has ended."""
    columns = pool.ask("columns", dict.fromkeys(error.shards))
    names, others = (columns[shard] for shard in error.shards)
    return str(error) if names is None and others is None else f"{error}: {describe_difference(names, others)}"


def _ledger(coordinator: Coordinator, pool: Pool, names: Sequence[str]) -> pd.DataFrame:
    ledger = pd.DataFrame(coordinator.ledger)
    ledger["name"] = [names[node] for node in ledger["node"]]
    # An allocation was sent again as often as the summary was asked for again; loading counts for what followed it.
    asked = {"allocation": ["summary"], "statistics": [LOADING, "statistics"], "summary": ["summary"]}
    if not coordinator.wants_statistics:
        asked["summary"] = [LOADING, "summary"]
    ledger["retries"] = [
        sum(pool.retries[step, node] for step in asked[round_name])
        for round_name, node in zip(ledger["round"], ledger["node"], strict=True)
    ]
    return ledger


def _plan(coordinator: Coordinator, messages: Sequence[bytes], names: Sequence[str]) -> pd.DataFrame:
    columns = ["n_points", "quantizer", "message_bytes"]
    plan = pd.DataFrame(inspect(b"".join(messages)), columns=columns, index=coordinator.present)
    plan = plan.reindex(range(coordinator.n_shards))
    counts = ["n_points", "message_bytes"]
    plan[counts] = plan[counts].fillna(0).astype(int)
    return plan.assign(name=list(names)).rename_axis("shard")


def _skipped(unread: dict[int, Exception], names: Sequence[str]) -> pd.DataFrame:
    rows = [(shard, names[shard], str(error)) for shard, error in unread.items()]
    return pd.DataFrame(rows, columns=["shard", "name", "reason"])


def reporter(progress: bool, n_shards: int) -> Report:
    """Progress on standard error: a line that is rewritten on a terminal, a line a round elsewhere."""

    def report(round_name: str, done: int) -> None:
        if not progress or not (sys.stderr.isatty() or done == n_shards):
            return
        end = "\n" if done == n_shards else "\r"
        print(f"coreset: {round_name} from {done} of {n_shards} shards", end=end, file=sys.stderr, flush=True)

    return report
