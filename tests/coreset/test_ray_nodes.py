"""Nodes that are lost in the middle of a run, in a real cluster of three on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("ray")

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
head = {"num_cpus": 1, "_system_config": checks, "object_store_memory": 100 << 20}
cluster = Cluster(initialize_head=True, head_node_args=head)
others = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False)
rng = np.random.default_rng(0)
shards = [rng.normal(size=(60, 3)) for _ in range(9)]
parameters = {"planner": "eigenvalue", "random_state": 0, "progress": False, "timeout_s": 150}
expected = DistributedCoreset(6000, backend="local", **parameters).fit(shards).messages_
lost = []

def lose():
    while len(list(Slow.folder.iterdir())) < 3:  # one actor a node
        time.sleep(0.05)
    lost.append(time.monotonic())
    cluster.remove_node(others[0], allow_graceful=False)

thread = threading.Thread(target=lose)
thread.start()
fitted = DistributedCoreset(6000, num_workers=3, **parameters).fit(Slow(shards))
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
    assert "same bytes" in done.stdout
    seconds = float(done.stdout.split("same bytes ")[1].split()[0])
    assert seconds < 60  # some ten on a free machine
