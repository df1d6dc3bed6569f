"""The same protocol over real Ray actors."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from coreset import DistributedCoreset, UniformCoreset

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def shards() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Digits on five nodes, each short of some classes."""
    X, y = load_digits(return_X_y=True)
    node = (y // 2 + np.arange(len(y)) % 2) % 5
    return [X[node == j] for j in range(5)], [y[node == j] for j in range(5)]


def run(backend: str = "ray", num_workers: int | None = None, **parameters: object) -> DistributedCoreset:
    settings = {"budget_bytes": 6000, "random_state": 3, "progress": False, "timeout_s": 120.0, **parameters}
    return DistributedCoreset(backend=backend, num_workers=num_workers, **settings)  # type: ignore[arg-type]


@pytest.mark.usefixtures("cluster")
def test_workers_and_backend_change_no_byte(shards):
    expected = run("local").fit(*shards)
    for num_workers in (1, 2, None):
        fitted = run("ray", num_workers).fit(*shards)
        assert fitted.messages_ == expected.messages_
        pd.testing.assert_frame_equal(fitted.ledger_, expected.ledger_)


@pytest.mark.usefixtures("cluster")
def test_object_refs_stay_on_their_nodes(shards):
    refs = [[ray.put(part) for part in parts] for parts in shards]
    assert run("ray", 2).fit(*refs).messages_ == run("local").fit(*shards).messages_


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


@pytest.mark.slow
def test_a_dead_address_is_an_error_at_once(tmp_path):
    script = """
import numpy as np
from coreset import DistributedCoreset
DistributedCoreset(2000, timeout_s=5).fit([np.eye(3)])
"""
    done = run_script(script, tmp_path, RAY_ADDRESS="127.0.0.1:9")
    assert "ConnectionError: RAY_ADDRESS='127.0.0.1:9' cannot be reached" in done.stderr


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
