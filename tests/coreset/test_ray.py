"""The same protocol over real Ray actors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from coreset import DistributedCoreset, DistributedSampling, UniformCoreset
from coreset.ray_driver.address import check_answers
from coreset.sources import Loader, Shard, Source, as_source

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.timeout(300), pytest.mark.ray]
# Actors have no way to import a test file.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def shards() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Digits on five nodes, each short of some classes."""
    X, y = load_digits(return_X_y=True)
    node = (y // 2 + np.arange(len(y)) % 2) % 5
    return [X[node == j] for j in range(5)], [y[node == j] for j in range(5)]


def run(backend: str = "ray", num_workers: int | None = None, **parameters: object) -> DistributedCoreset:
    # The planner is the fastest one: these tests are about who does the work, not about the work.
    settings = {"budget_bytes": 6000, "random_state": 3, "progress": False, "timeout_s": 120.0, "planner": "eigenvalue"}
    return DistributedCoreset(backend=backend, num_workers=num_workers, **{**settings, **parameters})  # type: ignore[arg-type]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("planner", ["eigenvalue", pytest.param("empirical", marks=pytest.mark.slow)])
def test_workers_and_backend_change_no_byte(shards, planner):
    expected = run("local", planner=planner).fit(*shards)
    for num_workers in (1, 2, 5):
        fitted = run("ray", num_workers, planner=planner).fit(*shards)
        assert fitted.messages_ == expected.messages_
        pd.testing.assert_frame_equal(fitted.ledger_, expected.ledger_)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("parameters", [{"base": DistributedSampling()}, {"allocation": "max"}], ids=["drcc", "max"])
def test_other_shares_and_summaries_are_the_same_over_ray(shards, parameters):
    expected = run("local", **parameters).fit(*shards)
    assert run("ray", 2, **parameters).fit(*shards).messages_ == expected.messages_


@pytest.mark.usefixtures("cluster")
def test_object_refs_stay_on_their_nodes(shards):
    refs = [[ray.put(part) for part in parts] for parts in shards]
    assert run("ray", 2).fit(*refs).messages_ == run("local").fit(*shards).messages_


@pytest.mark.usefixtures("cluster")
def test_parquet_is_read_by_the_actors(shards, tmp_path):
    for number, (X, y) in enumerate(zip(*shards, strict=True)):
        frame = pd.DataFrame(X, columns=[f"p{j}" for j in range(X.shape[1])]).assign(digit=y)
        frame.to_parquet(tmp_path / f"part-{number}.parquet")
    settings = {"label_column": "digit"}
    source = as_source(tmp_path / "*.parquet")
    fitted = run("ray", 2, **settings).fit(Watched(source, os.getpid()))
    assert fitted.messages_ == run("local", **settings).fit(source).messages_
    assert fitted.plan_["name"][4] == f"shard 4 ({tmp_path}/part-4.parquet)"


class Watched(Source):
    """Another source, which one process must not read."""

    def __init__(self, source: Source, forbidden: int) -> None:
        self.source, self.forbidden = source, forbidden

    def __len__(self) -> int:
        return len(self.source)

    def name(self, shard: int) -> str:
        return self.source.name(shard)

    def loader(self, shard: int) -> Loader:
        sound, forbidden = self.source.loader(shard), self.forbidden

        def load() -> Shard:
            assert os.getpid() != forbidden
            return sound()

        return load


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")  # Ray Data's own
def test_data_sets_are_read_block_by_block_in_their_order(shards):
    import ray.data

    X, y = np.concatenate(shards[0]), np.concatenate(shards[1])
    frame = pd.DataFrame(X, columns=[f"p{j}" for j in range(X.shape[1])]).assign(digit=y)
    frames = [frame[:700], frame[700:1000], frame[1000:]]
    settings = {"label_column": "digit"}
    expected = run("local", **settings).fit(frames).messages_
    dataset = ray.data.from_pandas(frames)
    fitted = run("ray", 2, **settings).fit(dataset)
    assert fitted.messages_ == expected
    assert fitted.plan_["name"][2] == "shard 2 (block 2 of the data set)"
    assert run("local", **settings).fit(dataset.map_batches(lambda batch: batch)).messages_ == expected
    arrays = ray.data.from_numpy([X[:700], X[700:1000], X[1000:]])
    parts = [X[:700], X[700:1000], X[1000:]]
    expected = run("local").fit(parts).messages_
    assert run("ray", 2).fit(arrays).messages_ == expected
    with pytest.raises(TypeError, match="X is a data set, so y must be one of its columns"):
        run("ray").fit(dataset, y)


@pytest.mark.usefixtures("cluster")
def test_another_base_and_a_single_table(shards):
    X, y = np.concatenate(shards[0]), np.concatenate(shards[1])
    fitted = run("ray", base=UniformCoreset()).fit(X, y)
    assert len(fitted.messages_) == 1
    assert fitted.messages_ == run("local", base=UniformCoreset()).fit(X, y).messages_


@pytest.mark.usefixtures("cluster")
def test_errors_come_back_with_the_shard_and_leave_no_actor(shards):
    bad = [*shards[0][:3], np.full((4, 64), np.nan), shards[0][4]]
    with pytest.raises(ValueError, match="shard 3: Input X contains NaN"):
        run("ray", 2).fit(bad)
    with pytest.raises(ValueError, match="too small"):
        run("ray", 2, budget_bytes=50).fit(shards[0])
    # The CPUs that actors held come back a moment after they are killed.
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU", 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2


@pytest.mark.usefixtures("cluster")
def test_a_round_that_takes_too_long_is_an_error(shards):
    with pytest.raises(
        TimeoutError, match=r"loading: no answer within timeout_s=0.001 from shard 0, .*2 workers have not"
    ):
        run("ray", 2, timeout_s=0.001).fit(*shards)


@pytest.mark.usefixtures("cluster")
def test_a_running_cluster_is_left_running(shards):
    run("ray", 1).fit(*shards)
    assert ray.is_initialized()


@pytest.mark.usefixtures("cluster")
def test_a_cluster_answers_at_its_address():
    check_answers(ray.get_runtime_context().gcs_address, 10.0)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_interrupt_leaves_no_actor_on_a_running_cluster(shards, tmp_path):
    class Telling(Watched):
        def loader(self, shard: int) -> Loader:
            def load() -> Shard:
                (tmp_path / str(shard)).touch()
                time.sleep(60)
                raise AssertionError("it was not interrupted")

            return load

    def interrupt() -> None:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 60)
        os.kill(os.getpid(), signal.SIGINT)
        while not ended.wait(15):  # Python drops interrupts that come while it clears up after an object
            os.kill(os.getpid(), signal.SIGINT)

    ended = threading.Event()
    thread = threading.Thread(target=interrupt)
    # What is started in the background ignores interrupts unless told otherwise.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run("ray", 2).fit(Telling(as_source(*shards), os.getpid()))
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGINT, handler)
    wait_until(lambda: ray.available_resources().get("CPU", 0) == 2, 20)


@pytest.mark.slow
def test_a_cluster_without_cpus_is_an_error_at_once(tmp_path):
    script = """
import numpy as np, ray
from coreset import DistributedCoreset
ray.init(address="local", num_cpus=0, include_dashboard=False, log_to_driver=False)
DistributedCoreset(2000).fit([np.eye(3)])
"""
    done = run_script(script, tmp_path)
    assert "RuntimeError: workers want CPUs, but the Ray cluster has none on its 1 nodes" in done.stderr


@pytest.mark.slow
def test_without_a_cluster_one_is_started_and_stopped(tmp_path):
    """In a process of its own, since this one has a cluster."""
    script = """
import numpy as np, ray
from coreset import DistributedCoreset
X = np.random.default_rng(0).normal(size=(500, 3))
fitted = DistributedCoreset(2000, random_state=0, num_workers=2).fit([X[:200], X[200:]])
assert not ray.is_initialized()
local = DistributedCoreset(2000, random_state=0, backend="local").fit([X[:200], X[200:]])
assert fitted.messages_ == local.messages_
print("same bytes")
"""
    done = run_script(script, tmp_path, RAY_ADDRESS="local")
    assert done.returncode == 0, done.stderr
    assert "same bytes" in done.stdout
    assert "coreset: summary from 2 of 2 shards" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("state", ["loading", "starting"])
def test_an_interrupt_leaves_no_process_and_no_shared_memory(tmp_path, state):
    script = """
import signal, sys, time
import numpy as np
from coreset import DistributedCoreset
from coreset.sources import ListSource
class Slow(ListSource):
    def loader(self, shard):
        def load():
            time.sleep(60)
        return load
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background lacks
print("starting", flush=True)
DistributedCoreset(2000, num_workers=2, progress=False).fit(Slow([np.eye(3)] * 4))
"""
    kept = set(os.listdir("/dev/shm"))
    # Ray's processes give themselves other names, but inherit the environment.
    environment = {**os.environ, "RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0", "MARK": str(tmp_path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: len(marked(tmp_path)) >= 3, 60)  # of Ray
        if state == "loading":
            wait_until(lambda: any("ShardHost.load" in name for name in marked(tmp_path)), 60)
        errors = interrupted(process)
    assert b"KeyboardInterrupt" in errors
    wait_until(lambda: not marked(tmp_path), 30)
    assert not [name for name in set(os.listdir("/dev/shm")) - kept if "plasma" in name or "ray" in name]


def interrupted(process: subprocess.Popen[bytes]) -> bytes:
    """What a process says when it is interrupted, once more where Python drops that while it clears up an object."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=25)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[1]


def marked(folder: Path) -> list[str]:
    """Names of the processes whose environment has this test's mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={folder}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def wait_until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_cluster_that_this_process_has_not_joined_is_joined_and_left_running(tmp_path):
    script = """
import os
import numpy as np, ray
from ray.cluster_utils import Cluster
from coreset import DistributedCoreset
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "resources": {"mark": 1}})
os.environ["RAY_ADDRESS"] = cluster.address
X = np.random.default_rng(0).normal(size=(500, 3))
DistributedCoreset(2000, random_state=0, num_workers=1, progress=False).fit([X])
assert not ray.is_initialized()
ray.init(address=cluster.address, log_to_driver=False)
assert ray.cluster_resources()["mark"] == 1
ray.shutdown()
cluster.shutdown()
print("left running")
"""
    done = run_script(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left running" in done.stdout


def run_script(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=folder,
        check=False,
        env={**os.environ, **environment},
    )
