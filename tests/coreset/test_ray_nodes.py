"""Nodes that are lost in the middle of a run, in a real cluster of three on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.ray

# In a process of its own: a process has one cluster, with the settings of its start.
SCRIPT = """
import sys, threading, time
from pathlib import Path
import numpy as np, ray
from ray.cluster_utils import Cluster
from coreset import DistributedCoreset
from coreset.sources import ListSource

class Slow(ListSource):
    folder, seconds = Path(sys.argv[1]), 1.0
    def loader(self, shard):
        sound, folder, seconds = super().loader(shard), self.folder, self.seconds
        def load():
            (folder / ray.get_runtime_context().get_node_id()).touch()
            time.sleep(seconds)
            return sound()
        return load

checks = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
small = {"object_store_memory": 100 << 20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": checks, **small})
nodes = {node.node_id: node for node in (cluster.add_node(num_cpus=1, **small) for _ in range(3))}
ray.init(address=cluster.address, log_to_driver=False)
rng = np.random.default_rng(0)
shards = [rng.normal(size=(60, 3)) for _ in range(7)]
parameters = {"planner": "eigenvalue", "random_state": 0, "progress": False, "timeout_s": 150}
expected = DistributedCoreset(6000, backend="local", **parameters).fit(shards).messages_

def lose(n_workers, lost):
    while len(used := list(Slow.folder.iterdir())) < n_workers:  # an actor a node
        time.sleep(0.05)
    lost.append(time.monotonic())
    cluster.remove_node(nodes[used[0].name], allow_graceful=False)

for n_workers in (3, 1):  # the second time no actor is left
    for file in Slow.folder.iterdir():
        file.unlink()
    lost = []
    thread = threading.Thread(target=lose, args=(n_workers, lost))
    thread.start()
    fitted = DistributedCoreset(6000, num_workers=n_workers, **parameters).fit(Slow(shards))
    thread.join()
    assert fitted.messages_ == expected
    assert fitted.ledger_["retries"].sum() >= 1
    print("same bytes", round(time.monotonic() - lost[0], 1), "s after the loss")
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_node_that_is_lost_changes_no_byte(tmp_path):
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=250,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seconds = [float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("same bytes")]
    assert len(seconds) == 2
    assert max(seconds) < 60  # some ten on a free machine
