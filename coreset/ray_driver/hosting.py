"""Workers of many shards: the class that runs in a Ray actor, and a pool of one such in this process."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np

from ..errors import type_and_first_line
from ..protocol import Worker, WorkerSettings
from ..sources import Loader, Source

Report = Callable[[str, int], None]

LOADING = "loading"
# What a worker does when it is asked in a round.
_ANSWERS: dict[str, Callable[[Worker, Any], Any]] = {
    "statistics": Worker.statistics,
    "summary": Worker.summarise,
    "columns": lambda worker, _: worker.names,  # only to say in an error how two shards differ
}
# Those whose work is worth loading a shard once more for, where its host has others to do and another host has none.
LONG_ROUNDS = {"summary"}
# A host keeps the rows of its shards up to this many bytes and loads others again each time they are asked for.
_KEPT_BYTES = 1 << 30
# What errors of a shard may be; others, such as those of the library that reads a format, become OSErrors.
ERRORS = (FileNotFoundError, PermissionError, OSError, ImportError, TypeError, ValueError)


@final
class ShardHost:
    """Loads shards and answers for them. It can answer for a shard that another host loaded: it then loads it anew."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._workers: dict[int, Worker] = {}
        self._kept_bytes = 0

    def ready(self) -> int:
        """Number of the process, as a sign of life."""
        return os.getpid()

    def load(self, shard: int, name: str, loader: Loader) -> int:
        """Load a shard and check it; gives its number of rows, without those of weight zero."""
        table, y, sample_weight = _loaded(name, loader)
        if _is_empty(table) or _weighs_nothing(table, sample_weight, self._settings.weight_column):
            return 0
        worker = Worker(shard, table, y, sample_weight, self._settings, name)
        self._keep(worker)
        return len(worker.rows)

    def answer(self, shard: int, name: str, loader: Loader, round_name: str, argument: Any) -> Any:
        """What the shard's worker answers in a round."""
        worker = self._workers.get(shard)
        if worker is None:
            worker = Worker(shard, *_loaded(name, loader), self._settings, name)
            self._keep(worker)
        return _ANSWERS[round_name](worker, argument)

    def _keep(self, worker: Worker) -> None:
        if worker.shard not in self._workers and self._kept_bytes + worker.rows.X.nbytes <= _KEPT_BYTES:
            self._workers[worker.shard] = worker
            self._kept_bytes += worker.rows.X.nbytes


def _loaded(name: str, loader: Loader) -> tuple[Any, Any, Any]:
    try:
        table, y, sample_weight = loader()
    except Exception as error:
        kind = next((kind for kind in ERRORS if isinstance(error, kind)), OSError)
        raise kind(f"{name} cannot be read: {type_and_first_line(error)}") from error
    return table, y, sample_weight


def _is_empty(table: Any) -> bool:
    return hasattr(table, "__len__") and getattr(table, "ndim", 2) > 0 and len(table) == 0


def _weighs_nothing(table: Any, sample_weight: Any, weight_column: str | None) -> bool:
    """Whether all rows have weight zero, which means that they are absent."""
    named = weight_column is not None and weight_column in getattr(table, "columns", ())
    given = table[weight_column] if named else sample_weight
    try:
        weights = np.asarray(given, dtype=np.float64)
        return weights.ndim == 1 and len(weights) == len(table) and not weights.any()
    except (ValueError, TypeError):  # the worker says what is wrong with them
        return False


class Pool(ABC):
    """Workers for all shards of a source.

    Attributes
    ----------
    retries : Counter
        How often a shard (second) had to be asked again in a round (first), because its worker died.
    """

    retries: Counter[tuple[str, int]]

    @abstractmethod
    def load(self, *, keep_going: bool) -> dict[int, int | Exception]:
        """Number of rows of every shard, or, if asked to keep going, why it cannot be read."""

    @abstractmethod
    def ask(self, round_name: str, arguments: Mapping[int, Any]) -> dict[int, Any]:
        """Answers of the shards that have an argument."""


@final
class LocalPool(Pool):
    """Workers in this process."""

    def __init__(self, source: Source, settings: WorkerSettings, report: Report) -> None:
        self._source = source
        self._host = ShardHost(settings)
        self._report = report
        self.retries = Counter()

    def load(self, *, keep_going: bool) -> dict[int, int | Exception]:
        """Number of rows of every shard, or why it cannot be read."""
        found: dict[int, int | Exception] = {}
        for shard in range(len(self._source)):
            try:
                found[shard] = self._host.load(shard, *self._place(shard))
            except ERRORS as error:
                if not keep_going:
                    raise
                found[shard] = error
            self._report(LOADING, len(found))
        return found

    def ask(self, round_name: str, arguments: Mapping[int, Any]) -> dict[int, Any]:
        """Answers of the shards that have an argument."""
        answers: dict[int, Any] = {}
        for shard, argument in arguments.items():
            answers[shard] = self._host.answer(shard, *self._place(shard), round_name, argument)
            self._report(round_name, len(answers))
        return answers

    def _place(self, shard: int) -> tuple[str, Loader]:
        return self._source.name(shard), self._source.loader(shard)
