"""`DistributedCoreset`: the protocol over Ray actors, or in this process. The only file that imports ray."""

from __future__ import annotations

import math
import numbers
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import pandas as pd
from sklearn.base import BaseEstimator

from .points import Coreset
from .protocol import Coordinator, Worker, WorkerSettings
from .shards import Shard, nbytes, refuse_references, split_into_shards, with_common_target
from .validation import RandomState, as_generator, check_count
from .wire import inspect

_BUSY_CPUS = 0.75  # share of the CPUs that actors may hold; the rest stays free for Ray's own recovery
_ACTORS_A_CPU = 4


@final
class DistributedCoreset(BaseEstimator):
    """Summary of shards that stay where they are: Ray actors send small messages, within one byte budget in all.

    Every shard's rough clustering cost decides its share of the budget. The result depends on the data, their split
    into shards and the seed alone: not on the number of workers, their order, or the backend.

    Parameters
    ----------
    budget_bytes : int, default=65536
        The most bytes that all shards together send up, statistics included.
    base : estimator with `n_points` and `random_state`, optional
        As in `BudgetedCoreset`. With ``target_type="auto"`` the target is numeric for all shards if it is continuous in
        one; behind ObjectRefs nobody sees all of them, so that shards which disagree are an error. With
        ``label_scale="auto"`` every shard has its own scale.
    planner : {"empirical", "exhaustive", "eigenvalue", "max-distance", "quantile-distance"}, default="empirical"
        As in `BudgetedCoreset`; every shard plans for itself.
    backend : {"ray", "local"}, default="ray"
        "local" runs the same protocol in this process. "ray" uses the cluster that this process is connected to, or the
        one that ``RAY_ADDRESS`` names, and else starts one on this machine and stops it afterwards.
    num_workers : int, optional
        Ray actors. By default one a shard, but no more than four a CPU.
    label_column, weight_column : str, optional
        Columns of the shards' frames that hold labels and weights.
    timeout_s : float, default=600.0
        Seconds that one round may take before the run ends with TimeoutError.
    progress : bool, default=True
        Report each round on standard error.
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        Union of the decoded summaries.
    messages_ : list of bytes
        The shards' summaries, in shard order; ``decode(b"".join(messages_))`` gives ``coreset_``.
    ledger_ : pandas.DataFrame
        Every message that travelled: ``node``, ``round``, ``direction`` ("up" or "down"), ``bytes``.
    plan_ : pandas.DataFrame
        A row a shard: ``n_points``, ``quantizer``, ``message_bytes``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from coreset import DistributedCoreset
    >>> X, y = load_digits(return_X_y=True)
    >>> shards, labels = [X[:900], X[900:]], [y[:900], y[900:]]
    >>> run = DistributedCoreset(budget_bytes=4096, backend="local", progress=False, random_state=0)
    >>> ledger = run.fit(shards, labels).ledger_
    >>> int(ledger.loc[ledger["direction"] == "up", "bytes"].sum()) <= 4096
    True
    """

    def __init__(
        self,
        budget_bytes: int = 65536,
        *,
        base: BaseEstimator | None = None,
        planner: str = "empirical",
        backend: str = "ray",
        num_workers: int | None = None,
        label_column: str | None = None,
        weight_column: str | None = None,
        timeout_s: float = 600.0,
        progress: bool = True,
        random_state: RandomState = None,
    ) -> None:
        self.budget_bytes = budget_bytes
        self.base = base
        self.planner = planner
        self.backend = backend
        self.num_workers = num_workers
        self.label_column = label_column
        self.weight_column = weight_column
        self.timeout_s = timeout_s
        self.progress = progress
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> DistributedCoreset:
        """Summarise the shards.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d), or a list of shards
            A list holds arrays, DataFrames (of pandas or polars) or Ray ObjectRefs of these. One table is cut into
            shards of 65,536 rows.
        y : array-like of shape (n,), or a list with an entry a shard, optional
            Class labels or a numeric target.
        sample_weight : array-like of shape (n,), or a list with an entry a shard, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When a value is bad, shards disagree on their columns, or the budget is too small.
        TypeError
            When an argument has the wrong type.
        TimeoutError
            When a round takes longer than `timeout_s`.
        ConnectionError
            When ``RAY_ADDRESS`` names a cluster that does not answer.
        ImportError
            When ``backend="ray"`` and ray is missing.
        """
        self._check_parameters()
        shards = split_into_shards(X, y, sample_weight)
        settings = WorkerSettings(
            with_common_target(self.base, shards, self.label_column),
            self.planner,
            _entropy(self.random_state),
            self.label_column,
            self.weight_column,
        )
        coordinator = Coordinator(len(shards), self.budget_bytes)
        report = _reporter(self.progress, len(shards))
        if self.backend == "local":
            refuse_references(shards)
            self.messages_ = _run(coordinator, _LocalPool(shards, settings, report))
        else:
            with _ray_pool(shards, settings, self.num_workers, self.timeout_s, report) as pool:
                self.messages_ = _run(coordinator, pool)
        self.coreset_: Coreset = coordinator.merge(self.messages_)
        self.ledger_ = pd.DataFrame(coordinator.ledger)
        self.plan_ = _plan(self.messages_)
        return self

    def _check_parameters(self) -> None:
        check_count("budget_bytes", self.budget_bytes)
        if self.backend not in ("ray", "local"):
            raise ValueError(f"backend={self.backend!r} must be 'ray' or 'local'")
        if self.num_workers is not None:
            check_count("num_workers", self.num_workers)
        if self.label_column is not None and self.label_column == self.weight_column:
            raise ValueError(f"label_column and weight_column are both {self.label_column!r}")
        if not (isinstance(self.timeout_s, numbers.Real) and 0 < self.timeout_s < math.inf):
            raise ValueError(f"timeout_s={self.timeout_s!r} must be a positive number of seconds")


def _entropy(random_state: RandomState) -> int:
    return int.from_bytes(as_generator(random_state).bytes(16), "little")


class _LocalPool:
    """Workers in this process."""

    def __init__(self, shards: Sequence[Shard], settings: WorkerSettings, report: Callable[[str, int], None]) -> None:
        self._workers = [Worker(number, *shard, settings) for number, shard in enumerate(shards)]
        self._report = report

    def ask(self, round_name: str, questions: Sequence[bytes] | None) -> list[bytes]:
        """Answers of all shards, in shard order."""
        answers = []
        for number, worker in enumerate(self._workers):
            answers.append(_answer(worker, None if questions is None else questions[number]))
            self._report(round_name, len(answers))
        return answers


def _answer(worker: Worker, question: bytes | None) -> bytes:
    return worker.statistics() if question is None else worker.summarise(question)


def _run(coordinator: Coordinator, pool: Any) -> list[bytes]:
    statistics = pool.ask("statistics", None) if coordinator.wants_statistics else None
    return pool.ask("summary", coordinator.allocate(statistics))


def _plan(messages: Sequence[bytes]) -> pd.DataFrame:
    columns = ["n_points", "quantizer", "message_bytes"]
    return pd.DataFrame(inspect(b"".join(messages)), columns=columns).rename_axis("shard")


def _reporter(progress: bool, n_shards: int) -> Callable[[str, int], None]:
    """Progress on standard error: a line that is rewritten on a terminal, a line a round elsewhere."""

    def report(round_name: str, done: int) -> None:
        if not progress or not (sys.stderr.isatty() or done == n_shards):
            return
        end = "\n" if done == n_shards else "\r"
        print(f"coreset: {round_name} from {done} of {n_shards} shards", end=end, file=sys.stderr, flush=True)

    return report


class _ShardHost:
    """What a Ray actor runs: the workers of some shards."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._workers: dict[int, Worker] = {}

    def load(self, shard: int, X: Any, y: Any, sample_weight: Any) -> None:
        self._workers[shard] = Worker(shard, X, y, sample_weight, self._settings)

    def answer(self, shard: int, question: bytes | None) -> bytes:
        return _answer(self._workers[shard], question)


class _RayPool:
    """Workers in Ray actors; shard i lives on actor i modulo the number of actors."""

    def __init__(self, actors: Sequence[Any], timeout_s: float, report: Callable[[str, int], None]) -> None:
        self._actors = actors
        self._timeout_s = timeout_s
        self._report = report
        self._n_shards = 0

    def load(self, shards: Sequence[Shard]) -> None:
        """Hand every actor its shards; ObjectRefs are fetched by the actor, not here."""
        self._n_shards = len(shards)
        calls = [self._actor(number).load.remote(number, *shard) for number, shard in enumerate(shards)]
        self._collect(calls, "loading")

    def ask(self, round_name: str, questions: Sequence[bytes] | None) -> list[bytes]:
        """Answers of all shards, in shard order."""
        calls = [
            self._actor(number).answer.remote(number, None if questions is None else questions[number])
            for number in range(self._n_shards)
        ]
        return self._collect(calls, round_name)

    def _actor(self, shard: int) -> Any:
        return self._actors[shard % len(self._actors)]

    def _collect(self, calls: list[Any], round_name: str) -> list[Any]:
        import ray
        from ray.exceptions import RayTaskError

        position = {call: number for number, call in enumerate(calls)}
        answers: list[Any] = [None] * len(calls)
        waiting = list(calls)
        deadline = time.monotonic() + self._timeout_s
        while waiting:
            done, waiting = ray.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
            if not done:
                shards = sorted(position[call] for call in waiting)
                raise TimeoutError(
                    f"{round_name}: no answer from shards {shards[:10]} within timeout_s={self._timeout_s}"
                )
            for call in done:
                try:
                    answers[position[call]] = ray.get(call)
                except RayTaskError as error:
                    cause = error.cause
                    raise (cause if isinstance(cause, ValueError | TypeError) else error) from None
            self._report(round_name, len(calls) - len(waiting))
        return answers


@contextmanager
def _ray_pool(
    shards: Sequence[Shard],
    settings: WorkerSettings,
    num_workers: int | None,
    timeout_s: float,
    report: Callable[[str, int], None],
) -> Iterator[_RayPool]:
    """Actors that hold the shards, on the running cluster or on one that lives as long as this context."""
    try:
        import ray
    except ImportError as error:
        raise ImportError("backend='ray' needs ray: pip install 'coreset-eval[ray]'") from error
    own_connection = not ray.is_initialized()
    actors: list[Any] = []
    try:
        if own_connection:
            _connect(shards, timeout_s)
        cpus = float(ray.cluster_resources().get("CPU", 0.0))
        if cpus <= 0:
            raise RuntimeError("the Ray cluster has no CPU for the actors")
        n_actors = min(len(shards), num_workers or max(1, int(_ACTORS_A_CPU * cpus)))
        cpus_each = math.floor(1e4 * min(1.0, _BUSY_CPUS * cpus / n_actors)) / 1e4
        remote = ray.remote(num_cpus=cpus_each, max_restarts=0)(_ShardHost)
        actors = [remote.remote(settings) for _ in range(n_actors)]
        pool = _RayPool(actors, timeout_s, report)
        pool.load(shards)
        yield pool
    finally:
        if own_connection:
            ray.shutdown()
        else:
            for actor in actors:
                ray.kill(actor)


def _connect(shards: Sequence[Shard], timeout_s: float) -> None:
    """Join the cluster that RAY_ADDRESS names, or start one on this machine."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        size = sum(nbytes(part) for shard in shards for part in shard)
        ray.init(address="local", include_dashboard=False, object_store_memory=(256 << 20) + 2 * size, **quiet)
        return
    if address != "auto":
        _check_reachable(address, timeout_s)
    ray.init(address=address, **quiet)


def _check_reachable(address: str, timeout_s: float) -> None:
    """Raise ConnectionError at once where Ray would retry a dead address for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=min(10.0, timeout_s)).close()
    except (OSError, ValueError) as error:
        raise ConnectionError(f"RAY_ADDRESS={address!r} cannot be reached: {error}") from error
