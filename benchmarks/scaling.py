"""The protocol with up to 100,000 simulated nodes: bytes, time and memory; writes ``results/scaling.json``.

Workers and coordinator are the ones that a Ray run has, and exchange the same bytes; Ray is left out. A node's rows are
drawn when it is asked and dropped when it has answered, so that this process holds messages alone. The coordinator is
then measured in a process of its own, which has nothing but the messages: CPU seconds, and the peak of its resident set
less what it had before its first message. Of the largest run only the coordinator is real: its messages are those of a
tenth of the nodes, ten times over. Scenario names are permanent.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import ROOT, Run, Setting
from threadpoolctl import threadpool_limits

from coreset import FederatedAveraging, inspect, model_parameters
from coreset.budget import least_message_bytes
from coreset.protocol import Coordinator, Worker, WorkerSettings
from coreset.raw import raw_bytes
from coreset.wire import Reader, seal, unseal, varint

CLASSES = 4
ROWS = (64, 256)
REPEATS = 10
SETTINGS = {
    "nodes": Setting((10, 100, 1000, 10_000), (10, 30, 100)),
    "columns": Setting(16),
    "other_columns": Setting((8, 32), (), "with at most 1,000 nodes", more={"nargs": "*"}),
    "node_bytes": Setting(1024, None, "budget over nodes"),
    "planner": Setting("eigenvalue", None, "of the workers; the coordinator does not plan"),
    "seed": Setting(0),
    "child": Setting(None, None, argparse.SUPPRESS),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    with threadpool_limits(1):
        if given.child:
            print(json.dumps(coordinate(Path(given.child))))
            return
        few = [n_nodes for n_nodes in given.nodes if n_nodes <= 1000]
        plan = [(d, n_nodes) for d in given.other_columns for n_nodes in few]
        plan += [(given.columns, n_nodes) for n_nodes in given.nodes]
        rows = [row for d, n_nodes in plan for row in simulated(d, n_nodes, given, repeat=n_nodes >= 10_000)]
    results = {
        "planner": given.planner,
        "rows_a_node": ROWS,
        "classes": CLASSES,
        "rows": rows,
    }
    run.finish(results)


def shard(seed: int, node: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes of a node: Gaussian classes that all nodes share, in other proportions and sizes on each."""
    rng = np.random.default_rng([seed, node])
    n_rows = int(rng.integers(ROWS[0], ROWS[1] + 1))
    labels = rng.choice(CLASSES, n_rows, p=rng.dirichlet(np.ones(CLASSES)))
    centers = 3 * np.random.default_rng(seed).normal(size=(CLASSES, n_columns))
    return (centers[labels] + rng.normal(size=(n_rows, n_columns))).astype(np.float32), labels


def simulated(n_columns: int, n_nodes: int, given: argparse.Namespace, *, repeat: bool) -> Iterator[dict[str, Any]]:
    """All rounds of a run, then its coordinator alone, once more with ten times the nodes if asked for."""
    settings = WorkerSettings(base=None, planner=given.planner, entropy=given.seed)
    least, raw, statistics, messages = 0, 0, [], []
    seconds = {"statistics": 0.0, "summary": 0.0}

    def worker(node: int) -> Worker:
        return Worker(node, *shard(given.seed, node, n_columns), None, settings)

    coordinator = Coordinator(n_nodes, given.node_bytes * n_nodes)
    for node in range(n_nodes):
        asked = worker(node)
        clock = time.process_time()
        statistics.append(asked.statistics())
        seconds["statistics"] += time.process_time() - clock
        least += least_message_bytes(asked.rows, None)
        n_classes = len(np.unique(asked.rows.labels))
        raw += raw_bytes(len(asked.rows), n_columns, np.dtype(np.float32), "class", n_classes)
    for node, answer in enumerate(coordinator.allocate(statistics)):
        asked = worker(node)
        clock = time.process_time()
        messages.append(asked.summarise(answer))
        seconds["summary"] += time.process_time() - clock
    row = {
        "scenario": f"{n_columns}-columns-{n_nodes}-nodes",
        "nodes": n_nodes,
        "columns": n_columns,
        "raw_bytes": raw,
        "least_bytes": least,
        **{f"worker_{name}_ms": 1000 * total / n_nodes for name, total in seconds.items()},
    }
    yield finished(row, coordinator.budget_bytes, statistics, messages)
    if repeat:
        again, budget = repeated(statistics, coordinator.budget_bytes)
        whole = {name: REPEATS * row[name] for name in ("nodes", "raw_bytes", "least_bytes")}
        scenario = f"{n_columns}-columns-{REPEATS * n_nodes}-nodes-coordinator-only"
        yield finished(row | whole | {"scenario": scenario}, budget, again, messages * REPEATS)


def repeated(statistics: list[bytes], budget: int) -> tuple[list[bytes], int]:
    """The same answers from ten times the nodes, and a budget that gives each what it had."""
    again = []
    for node in range(REPEATS * len(statistics)):
        body = unseal(statistics[node % len(statistics)])
        reader = Reader(body)
        kind, _ = reader.take(1, "the kind"), reader.varint("the shard")
        again.append(seal(kind + varint(node) + body[reader.position :]))
    longer = sum(map(len, again)) - REPEATS * sum(map(len, statistics))
    # Shares are rounded down; a millionth more makes up for that.
    return again, REPEATS * budget + longer + REPEATS * budget // 1_000_000 + 1


def finished(row: dict[str, Any], budget: int, statistics: list[bytes], messages: list[bytes]) -> dict[str, Any]:
    """The row with what the coordinator says in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "messages"
        path.write_bytes(pickle.dumps((budget, statistics, messages)))
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, __file__, "--child", str(path)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONPATH": paths}
        )
    told = json.loads(done.stdout)
    averaging = FederatedAveraging(row["nodes"], 1, model_parameters("logistic", row["columns"], CLASSES))
    row = row | {"budget": budget} | told | {"fedavg_round_bytes": averaging.total_bytes}
    row["statistics_share"] = row["statistics_up"] / budget
    print(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    return row


def coordinate(path: Path) -> dict[str, Any]:
    """What the coordinator takes for messages that are there."""
    budget, statistics, messages = pickle.loads(path.read_bytes())
    coordinator = Coordinator(len(messages), budget)
    # Once for what is loaded at first use.
    Coordinator(1, budget).allocate(statistics[:1])
    inspect(messages[0])
    started_with = resident("VmRSS")
    clocks = [time.process_time()]
    coordinator.allocate(statistics)
    clocks.append(time.process_time())
    coreset = coordinator.merge(messages)
    clocks.append(time.process_time())
    peak = resident("VmHWM")
    ledger = pd.DataFrame(coordinator.ledger)
    pd.DataFrame(inspect(b"".join(messages)))  # as the driver does for its plan
    clocks.append(time.process_time())
    sent = ledger.groupby(["round", "direction"])["bytes"].sum()
    return {
        "statistics_up": int(sent["statistics", "up"]),
        "allocation_down": int(sent["allocation", "down"]),
        "summary_up": int(sent["summary", "up"]),
        "largest_message": max(map(len, messages)),
        "points": len(coreset),
        "coreset_MB": coreset.nbytes / 2**20,
        "allocate_s": clocks[1] - clocks[0],
        "merge_s": clocks[2] - clocks[1],
        "tables_s": clocks[3] - clocks[2],
        "messages_MB": sum(map(sys.getsizeof, statistics + messages)) / 2**20,
        "peak_MB": peak - started_with,
    }


def resident(name: str) -> float:
    """MiB by the kernel's count for this process; `getrusage` would begin with its parent's peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel does not tell {name}")


if __name__ == "__main__":
    main()
