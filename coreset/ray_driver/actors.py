"""Workers in Ray actors, which take over from those that die."""

from __future__ import annotations

import dataclasses
import pickle
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

from ..errors import first_line, type_and_first_line
from ..protocol import WorkerSettings
from ..sources import Loader, Source
from .cluster import check_cpus, connection, cpus_for_each, free_cpus, node_cpus, shortage
from .hosting import ERRORS, LOADING, LONG_ROUNDS, Pool, Report, ShardHost
from .queues import Queues
from .sources import references_of

_MAX_RETRIES = 3  # of a shard in a round
_MAX_FAILED_STARTS = 3  # of an actor, one after the other
_PATIENCE_S = 30.0  # before a word about workers none of which has started
_PAUSE_S = 0.5  # after a failed start: Ray may take a moment to see that a node is gone


@final
@dataclasses.dataclass
class _Slot:
    """An actor, and the one call that it is at: of a shard, or of `ready` while the shard is None."""

    number: int
    actor: Any = None
    call: Any = None
    shard: int | None = None
    up: bool = False
    failed_starts: int = 0


@final
class RayPool(Pool):
    """Workers in actors. Each has one call at a time, so that a death is put down to the right shard.

    A dead actor's shards are redone from their source, by an actor that takes its place or by those that are up.

    Parameters
    ----------
    source : Source
    settings : WorkerSettings
    n_actors : int
    timeout_s : float
        Of a round, and of the wait for what others' tasks are still making.
    report : callable
    """

    def __init__(
        self, source: Source, settings: WorkerSettings, n_actors: int, timeout_s: float, report: Report
    ) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._report = report
        self._names = [source.name(shard) for shard in range(len(source))]
        self._loaders: list[Any] = []
        self._awaited: dict[Any, str] = {}
        self._owners: dict[int, int] = {}
        self._slots = [_Slot(number) for number in range(n_actors)]
        self._cpus_each = cpus_for_each(node_cpus(), n_actors)
        self._told_of_shortage = False
        self.retries = Counter()
        # Once into the object store, whence actors that take over read them, too.
        for shard, name in enumerate(self._names):
            loader = source.loader(shard)
            self._awaited.update(dict.fromkeys(references_of(loader), name))
            self._loaders.append(_put(name, loader))

    def start(self) -> None:
        """Start the actors; they join in when they are up."""
        # Actors that wait for a task hold CPUs that it may want, and then it never starts.
        _wait_for(self._awaited, self._timeout_s)
        for slot in self._slots:
            self._spawn(slot)

    def close(self) -> None:
        """Kill the actors."""
        import ray

        for slot in self._slots:
            if slot.actor is not None:
                ray.kill(slot.actor)

    def load(self, *, keep_going: bool) -> dict[int, int | Exception]:
        """Number of rows of every shard, or why it cannot be read."""
        return self._collect(LOADING, dict.fromkeys(range(len(self._loaders))), keep_going=keep_going)

    def ask(self, round_name: str, arguments: Mapping[int, Any]) -> dict[int, Any]:
        """Answers of the shards that have an argument."""
        return self._collect(round_name, arguments, keep_going=False)

    def _collect(self, round_name: str, arguments: Mapping[int, Any], *, keep_going: bool) -> dict[int, Any]:
        queues = Queues(arguments, self._owners)
        answers: dict[int, Any] = {}
        deadline = time.monotonic() + self._timeout_s
        while len(answers) < len(arguments):
            self._hand_out(round_name, arguments, queues)
            for slot in self._answered(deadline) or self._late(round_name, arguments, answers):
                try:
                    self._receive(slot, round_name, queues, answers, deadline)
                except ERRORS as error:
                    if not keep_going or slot.shard is None or isinstance(error, TimeoutError):
                        raise
                    answers[slot.shard] = error
                slot.shard = None
            self._report(round_name, len(answers))
        return answers

    def _hand_out(self, round_name: str, arguments: Mapping[int, Any], queues: Queues) -> None:
        up = {slot.number for slot in self._slots if slot.up}
        for slot in self._slots:
            if not slot.up or slot.call is not None:
                continue
            slot.shard = queues.take(slot.number, up, helps=round_name in LONG_ROUNDS)
            if slot.shard is not None:
                slot.call = self._submit(slot.actor, slot.shard, round_name, arguments[slot.shard])

    def _submit(self, actor: Any, shard: int, round_name: str, argument: Any) -> Any:
        # The loader travels as a list's entry, which leaves fetching it to the host: a loss is then the shard's error.
        place = (shard, self._names[shard], _Stored([self._loaders[shard]]))
        return actor.load.remote(*place) if round_name == LOADING else actor.answer.remote(*place, round_name, argument)

    def _answered(self, deadline: float) -> list[_Slot]:
        import ray

        slots = {slot.call: slot for slot in self._slots if slot.call is not None}
        left = max(0.0, deadline - time.monotonic())
        if not self._told_of_shortage and not any(slot.up for slot in self._slots):
            left = min(left, _PATIENCE_S)
        done, _ = ray.wait(list(slots), timeout=left)
        if not done and left == _PATIENCE_S:
            self._told_of_shortage = True
            warnings.warn(f"still waiting: {self._shortage()}", stacklevel=2)
            return self._answered(deadline)
        return [slots[call] for call in done]

    def _receive(self, slot: _Slot, round_name: str, queues: Queues, answers: dict[int, Any], deadline: float) -> None:
        import ray
        from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError, RayTaskError

        call, slot.call = slot.call, None
        try:
            answer = ray.get(call, timeout=max(1.0, deadline - time.monotonic()))
        except RayTaskError as error:
            raise self._cause(error, slot.shard) from None
        except (RayActorError, ObjectLostError, GetTimeoutError) as error:  # the last is an answer that cannot be had
            self._take_over(slot, round_name, queues, error)
            return
        if slot.shard is None:
            slot.up, slot.failed_starts = True, 0
        else:
            answers[slot.shard] = answer
            self._owners[slot.shard] = slot.number

    def _cause(self, error: Any, shard: int | None) -> Exception:
        """The error as it was raised in the actor, which names its shard."""
        if isinstance(error.cause, ERRORS):
            return error.cause
        name = "a worker's start" if shard is None else self._names[shard]
        return RuntimeError(f"{name}: {type_and_first_line(error.cause)}")

    def _take_over(self, slot: _Slot, round_name: str, queues: Queues, error: Exception) -> None:
        """Put another actor in the place of one that died, and let the shard that it was at wait again."""
        import ray

        slot.up = False
        ray.kill(slot.actor)  # it may be out of reach instead of dead
        if slot.shard is None:
            slot.failed_starts += 1
            time.sleep(_PAUSE_S)
        if slot.failed_starts < _MAX_FAILED_STARTS:
            self._cpus_each = cpus_for_each(node_cpus(), len(self._slots)) or self._cpus_each
            self._spawn(slot)
        elif all(other.call is None and not other.up for other in self._slots):
            raise RuntimeError(f"no worker can be started: {first_line(error)} {_reason(error)}")
        if slot.shard is not None:
            self._retry(slot.shard, round_name, queues, error)

    def _retry(self, shard: int, round_name: str, queues: Queues, error: Exception) -> None:
        self.retries[round_name, shard] += 1
        if self.retries[round_name, shard] > _MAX_RETRIES:
            raise OSError(
                f"{self._names[shard]}: its worker died {_MAX_RETRIES + 1} times while {_doing(round_name)}, "
                f"the last time because: {_reason(error)}"
            )
        self._owners.pop(shard, None)
        queues.put_back(shard)

    def _spawn(self, slot: _Slot) -> None:
        import ray

        # Restarts are made here: Ray's own would neither tell which shard an actor was at, nor count.
        host = ray.remote(num_cpus=self._cpus_each, max_restarts=0, max_task_retries=0)(ShardHost)
        slot.actor = host.remote(self._settings)
        slot.call = slot.actor.ready.remote()

    def _shortage(self) -> str:
        return shortage(self._cpus_each, sum(not slot.up for slot in self._slots))

    def _late(self, round_name: str, arguments: Mapping[int, Any], answers: dict[int, Any]) -> list[_Slot]:
        """Raise TimeoutError."""
        missing = [self._names[shard] for shard in arguments if shard not in answers]
        advice = "" if all(slot.up for slot in self._slots) else f": {self._shortage()}"
        raise TimeoutError(
            f"{round_name}: no answer within timeout_s={self._timeout_s} from {_listed(missing)}{advice}"
        )


def _wait_for(awaited: Mapping[Any, str], timeout_s: float) -> None:
    """Wait until tasks have made what shards refer to, or have failed: who fetches it then gets their error.

    Parameters
    ----------
    awaited : mapping of ObjectRef to the shard's name
    timeout_s : float

    Raises
    ------
    TimeoutError
        When some are not done in time.
    """
    import ray

    if not awaited:
        return
    _, left = ray.wait(list(awaited), num_returns=len(awaited), timeout=timeout_s, fetch_local=False)
    if left:
        missing = list(dict.fromkeys(awaited[reference] for reference in left))
        raise TimeoutError(
            f"{LOADING}: the tasks that make {_listed(missing)} have not ended within timeout_s={timeout_s}: "
            f"the Ray cluster has {sum(node_cpus()):g} CPUs, {free_cpus():g} of them free now"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"


def _put(name: str, loader: Loader) -> Any:
    import ray

    try:
        return ray.put(loader)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise TypeError(
            f"{name}: its loader cannot be sent to a worker: {first_line(error.__cause__ or error)}"
        ) from error


def _doing(round_name: str) -> str:
    return "loading it" if round_name == LOADING else f"it worked on its {round_name}"


def _reason(error: Exception) -> str:
    """The line of Ray's long text that says why an actor died."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "because" in line), lines[-1] if lines else type(error).__name__)


@final
@dataclasses.dataclass(frozen=True)
class _Stored:
    """A loader in the object store; calling it fetches the loader and calls that."""

    references: list[Any]

    def __call__(self) -> Any:
        """Table, labels and weights."""
        import ray

        return ray.get(self.references[0])()


@contextmanager
def ray_pool(
    source: Source, settings: WorkerSettings, num_workers: int | None, timeout_s: float, report: Report
) -> Iterator[RayPool]:
    """A pool on the running cluster or on one that lives as long as this context; its actors do not outlive it."""
    with connection(source.nbytes, timeout_s):
        pool = RayPool(source, settings, check_cpus(num_workers, len(source)), timeout_s, report)
        try:
            pool.start()
            yield pool
        finally:
            pool.close()
