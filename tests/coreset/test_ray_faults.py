"""Workers that die, answer with garbage or do not come up, over real Ray actors."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreset import DistributedCoreset
from coreset.protocol import WorkerSettings
from coreset.ray_driver import actors
from coreset.ray_driver.actors import RayPool
from coreset.ray_driver.cluster import cpus_for_each
from coreset.ray_driver.running import run as run_protocol
from coreset.sources import ListSource, Loader, Shard

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.timeout(300), pytest.mark.ray]
# Actors have no way to import a test file.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

N_SHARDS = 5


def run(backend: str = "ray", **parameters: Any) -> DistributedCoreset:
    settings = {"planner": "eigenvalue", "random_state": 3, "progress": False, "timeout_s": 120.0, "num_workers": 2}
    return DistributedCoreset(6000, backend=backend, **{**settings, **parameters})


@pytest.fixture(scope="module")
def shards() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(1 + i) * rng.normal(size=(80, 3)) for i in range(N_SHARDS)]


@pytest.fixture(scope="module")
def undisturbed(shards: list[np.ndarray]) -> DistributedCoreset:
    return run("local").fit(shards)


class Faulty(ListSource):
    """Arrays of which one shard's loader does something first."""

    def __init__(self, X: list[np.ndarray], shard: int, fault: Loader) -> None:
        super().__init__(X)
        self.shard, self.fault = shard, fault

    def name(self, shard: int) -> str:
        return f"shard {shard} (rack {shard})"

    def loader(self, shard: int) -> Loader:
        sound = super().loader(shard)
        fault = self.fault if shard == self.shard else None

        def load() -> Shard:
            if fault is not None:
                fault()
            return sound()

        return load


def dies(folder: Path, times: int, here: int) -> Loader:
    """Kill the process that calls, as often as is asked for; but never this one."""

    def fault() -> None:
        deaths = len(list(folder.iterdir()))
        if deaths < times and os.getpid() != here:
            (folder / str(deaths)).write_text("")
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


@pytest.mark.usefixtures("cluster")
def test_actors_killed_while_loading_change_no_byte(shards, undisturbed, tmp_path):
    fitted = run().fit(Faulty(shards, 2, dies(tmp_path, 2, os.getpid())))
    assert len(list(tmp_path.iterdir())) == 2
    assert fitted.messages_ == undisturbed.messages_
    ledger = fitted.ledger_.set_index(["round", "node"])
    assert ledger.loc[("statistics", 2), "retries"] == 2
    assert ledger["retries"].sum() == 2
    assert ledger.loc[("statistics", 2), "name"] == "shard 2 (rack 2)"
    assert fitted.ledger_["bytes"].tolist() == undisturbed.ledger_["bytes"].tolist()


@contextmanager
def pool_of(source: ListSource, n_actors: int = 2, timeout_s: float = 120.0) -> Iterator[RayPool]:
    entropy = int.from_bytes(np.random.default_rng(3).bytes(16), "little")
    settings = WorkerSettings(None, "eigenvalue", entropy)
    pool = RayPool(source, settings, n_actors, timeout_s, lambda round_name, done: None)
    try:
        pool.start()
        yield pool
    finally:
        pool.close()


class Killing:
    """Mixed into a pool's `ask`: kills actors right before a round, as a node that goes away would."""

    def __init__(self, pool: RayPool, round_name: str, how: str) -> None:
        self.pool, self.round_name, self.how = pool, round_name, how
        self.retries = pool.retries

    def load(self, *, keep_going: bool) -> dict[int, Any]:
        return self.pool.load(keep_going=keep_going)

    def ask(self, round_name: str, arguments: Any) -> dict[int, Any]:
        if round_name == self.round_name:
            for slot in self.pool._slots:
                if self.how == "SIGKILL":
                    os.kill(ray.get(slot.actor.ready.remote(), timeout=60), signal.SIGKILL)
                else:
                    ray.kill(slot.actor, no_restart=False)
        return self.pool.ask(round_name, arguments)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(("round_name", "how"), [("statistics", "SIGKILL"), ("summary", "ray.kill")])
def test_all_actors_killed_between_rounds_change_no_byte(shards, undisturbed, round_name, how):
    with pool_of(ListSource(shards)) as pool:
        outcome = run_protocol(ListSource(shards), Killing(pool, round_name, how), 6000, skip=False)  # type: ignore[arg-type]
    assert outcome.messages == undisturbed.messages_
    assert outcome.ledger["retries"].sum() > 0


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_actor_killed_at_work_changes_no_byte(shards, undisturbed):
    """From a thread, at no special moment: while another shard is still being loaded."""
    with pool_of(Faulty(shards, 4, lambda: time.sleep(2)), n_actors=1) as pool:

        def kill() -> None:
            while not pool._slots[0].up or pool._slots[0].shard != 4:
                time.sleep(0.01)
            time.sleep(0.3)
            ray.kill(pool._slots[0].actor, no_restart=False)

        thread = threading.Thread(target=kill)
        thread.start()
        outcome = run_protocol(ListSource(shards), pool, 6000, skip=False)
        thread.join()
    assert outcome.messages == undisturbed.messages_
    assert pool.retries == {("loading", 4): 1}


@pytest.mark.usefixtures("cluster")
def test_an_actor_that_comes_late_helps_with_the_summaries(shards, undisturbed):
    """On small data the first actor that is up has loaded everything before another is."""
    with pool_of(ListSource(shards)) as pool:
        pool.load(keep_going=False)
        while not all(slot.up for slot in pool._slots):
            pool.ask("columns", {0: None})
        pool._owners.update(dict.fromkeys(range(N_SHARDS), 0))
        outcome = run_protocol(ListSource(shards), pool, 6000, skip=False)
        assert set(pool._owners.values()) == {0, 1}
    assert outcome.messages == undisturbed.messages_
    assert outcome.ledger.equals(undisturbed.ledger_)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_shard_that_kills_every_worker_is_named_or_left_out(shards, tmp_path):
    source = Faulty(shards, 1, dies(tmp_path, 99, os.getpid()))
    died = r"shard 1 \(rack 1\): its worker died 4 times while loading it, the last time because: .*process has died"
    with pytest.raises(OSError, match=died):
        run().fit(source)
    assert len(list(tmp_path.iterdir())) == 4  # retries are bounded
    with pytest.warns(UserWarning, match=f"1 of 5 shards are left out of the summary: {died}"):
        fitted = run(on_shard_error="skip").fit(source)
    assert fitted.skipped_["name"].tolist() == ["shard 1 (rack 1)"]
    assert fitted.messages_[1] == b""
    assert fitted.coreset_.n_source == 4 * 80


@pytest.mark.usefixtures("cluster")
def test_what_is_left_out_does_not_depend_on_the_backend(shards):
    bad = [*shards[:3], np.full((4, 3), np.nan), np.empty((0, 3))]
    fitted = []
    for backend in ("ray", "local"):
        with pytest.warns(
            UserWarning, match="1 of 5 shards are left out of the summary: shard 3: Input X contains NaN"
        ):
            fitted.append(run(backend, on_shard_error="skip").fit(bad))
    assert fitted[0].messages_ == fitted[1].messages_
    assert fitted[0].skipped_.equals(fitted[1].skipped_)
    assert fitted[0].ledger_.equals(fitted[1].ledger_)
    assert fitted[0].plan_.equals(fitted[1].plan_)


@pytest.mark.usefixtures("cluster")
def test_references_that_lost_their_value_are_named(shards):
    @ray.remote(num_cpus=0.1)
    def fails() -> np.ndarray:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="shard 1 cannot be read: OSError: the disk is gone"):
        run().fit([ray.put(shards[0]), fails.remote()])


class Garbling(Killing):
    """Answers of one shard come back garbled."""

    def ask(self, round_name: str, arguments: Any) -> dict[int, Any]:
        answers = self.pool.ask(round_name, arguments)
        return {**answers, 3: b"garbage" if self.how == "bytes" else None} if round_name == self.round_name else answers


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("round_name", ["statistics", pytest.param("summary", marks=pytest.mark.slow)])
def test_a_worker_that_answers_with_garbage_is_named(shards, round_name):
    source = Faulty(shards, 3, lambda: None)
    with pool_of(source) as pool:
        for how, message in (
            ("bytes", "shard 3 .rack 3.: message"),
            ("object", "shard 3 .rack 3.: it answered with None"),
        ):
            with pytest.raises(ValueError, match=message):
                run_protocol(source, Garbling(pool, round_name, how), 6000, skip=True)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_arrays_of_the_object_store_are_read_only_and_taken(shards, undisturbed):
    @ray.remote(num_cpus=0.1)
    def flags(X: np.ndarray) -> bool:
        return bool(X.flags.writeable)

    references = [ray.put(X) for X in shards]
    assert not any(ray.get([flags.remote(reference) for reference in references], timeout=60))
    assert run().fit(references).messages_ == undisturbed.messages_


@pytest.mark.usefixtures("cluster")
def test_a_cluster_without_free_cpus_says_what_is_wanted_and_free(shards, monkeypatch):
    monkeypatch.setattr(actors, "_PATIENCE_S", 0.5)

    @ray.remote(num_cpus=2)
    class Greedy:
        def ready(self) -> bool:
            return True

    greedy = Greedy.remote()
    ray.get(greedy.ready.remote(), timeout=60)
    wanted = "2 workers have not started; each wants 0.5 CPUs, of which the Ray cluster has 2, 0 of them free now"
    late = f"loading: no answer within timeout_s=2.0 from shard 0, .*: {wanted}"
    with pytest.warns(UserWarning, match=f"still waiting: {wanted}"), pytest.raises(TimeoutError, match=late):
        run(timeout_s=2.0).fit(shards)
    ray.kill(greedy)


@pytest.mark.usefixtures("cluster")
def test_a_loader_that_cannot_be_sent_is_named(shards):
    source = Faulty(shards, 1, threading.Lock().acquire)
    with pytest.raises(TypeError, match=r"shard 1 \(rack 1\): its loader cannot be sent to a worker: cannot pickle"):
        run().fit(source)


@pytest.mark.usefixtures("cluster")
def test_far_too_many_workers_are_an_error_at_once():
    rows = [np.eye(2)] * 20_000
    with pytest.raises(RuntimeError, match="20000 workers want at least 2 CPUs of the Ray cluster, which has 2 on 1"):
        run(num_workers=20_000).fit(rows)


@pytest.mark.parametrize(
    ("cpus", "n_actors", "each"),
    [
        ([1], 1, 0.75),
        ([2], 2, 0.5),  # a CPU stays free for tasks
        ([2], 1, 1.0),
        ([1, 1, 1], 4, 0.375),  # a quarter of 0.75 x 3 would find no room for the fourth
        ([8, 1], 7, 0.8571),
        ([0, 2], 2, 0.5),
        ([0], 1, 0.0),
        ([], 3, 0.0),
    ],
)
def test_every_actor_finds_room(cpus, n_actors, each):
    found = cpus_for_each(cpus, n_actors)
    assert found == pytest.approx(each)
    held = [min(0.75 * c, c - 1 if c >= 2 else c) for c in cpus]
    assert not found or sum(int(room / found + 1e-9) for room in held) >= n_actors
