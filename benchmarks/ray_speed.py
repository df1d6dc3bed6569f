"""What Ray costs and brings: seconds of a small run, memory of the driver, one worker against two.

Writes ``results/ray_speed.json``. Every case is a process of its own. All seconds are of the wall, so that the machine
must be quiet: the share of it that other processes took is written beside them.

- ``small``: a cluster is started for 1797 rows of digits in four shards, and stopped: seconds of each stage.
- ``memory``: the most private memory (USS) of the driver while many shards in parquet files are summarised, above what
  it has once everything is imported.
- ``rows``: a parquet file a shard of 32 columns, read by this process, by one worker and by two. ``overhead_s`` is what
  one worker takes longer than this process, once the cluster stands and the worker is up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import Run, Setting

N_COLUMNS = 32
N_CLASSES = 4
BUDGET = 64 << 10
SMALL_SHARDS = 4
CASES = ("small", "memory", "rows")
SETTINGS = {
    "rows": Setting(4_000_000, 100_000),
    "shards": Setting(16, 2),
    "memory_rows": Setting(1_000_000, 50_000),
    "memory_shards": Setting(512, 64),
    "only": Setting(CASES, None, "cases; the others are kept", free=True, more={"choices": CASES}),
    "case": Setting(None, None, argparse.SUPPRESS, more={"nargs": "+"}),
}


class Stages:
    """Seconds from the start to the end of every stage of a run, from what it reports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def at(self, stage: str) -> None:
        """The stage has ended, or gone on."""
        self.seconds[stage] = round(time.perf_counter() - self._start, 3)


def fitted(source: Any, y: Any, budget: int, stages: Stages, **parameters: Any) -> Any:
    """A `DistributedCoreset` whose stages are timed."""
    from coreset import DistributedCoreset
    from coreset.ray_driver import estimator

    estimator.reporter = lambda progress, n_shards: lambda stage, done: stages.at(stage)
    return DistributedCoreset(budget, progress=False, random_state=0, **parameters).fit(source, y)


def small() -> dict[str, Any]:
    stages = Stages()
    import ray
    from sklearn.datasets import load_digits

    import coreset  # noqa: F401

    X, y = load_digits(return_X_y=True)
    stages.at("imports")
    for name in ("init", "shutdown"):
        _timed(ray, name, stages)
    shards, labels = np.array_split(X, SMALL_SHARDS), np.array_split(y, SMALL_SHARDS)
    fitted(shards, labels, 2048 * SMALL_SHARDS, stages)
    stages.at("end")
    local = Stages()
    fitted(shards, labels, 2048 * SMALL_SHARDS, local, backend="local")
    local.at("end")
    return {"done_at_s": stages.seconds, "in_this_process_s": local.seconds["end"]}


def _timed(module: Any, name: str, stages: Stages) -> None:
    call: Callable[..., Any] = getattr(module, name)

    def timed(*arguments: Any, **keywords: Any) -> Any:
        stages.at(f"before ray.{name}")
        found = call(*arguments, **keywords)
        stages.at(f"ray.{name}")
        return found

    setattr(module, name, timed)


def memory(folder: Path, n_rows: int, n_shards: int) -> dict[str, Any]:
    import ray

    import coreset  # noqa: F401

    before = _private_bytes()
    most, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            most[0] = max(most[0], _private_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    stages = Stages()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=256 << 20)
    # A fast planner: what is measured is the driver, which gets the same bytes from any.
    planned = {"planner": "max-distance", "label_column": "label"}
    run = fitted(str(folder), None, 1024 * n_shards, stages, **planned)
    stages.at("end")
    done.set()
    watcher.join()
    up = int(run.ledger_.loc[run.ledger_["direction"] == "up", "bytes"].sum())
    return {
        "shards": n_shards,
        "rows": n_rows,
        "raw_MB": round(n_rows * N_COLUMNS * 4 / 1e6, 1),
        "up_bytes": up,
        "imported_MB": round(before / 1e6, 1),
        "above_imports_MB": round((most[0] - before) / 1e6, 1),
        "seconds": stages.seconds["end"],
    }


def rows(folder: Path, workers: int) -> dict[str, Any]:
    """One way to summarise a folder; 0 workers is this process."""
    import ray

    import coreset  # noqa: F401

    stages = Stages()
    parameters = {"backend": "local"} if workers == 0 else {"num_workers": workers}
    if workers:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=256 << 20)
    stages.at("cluster")
    run = fitted(str(folder), None, BUDGET, stages, label_column="label", **parameters)
    stages.at("end")
    return {"workers": workers, "done_at_s": stages.seconds, "up_bytes": sum(map(len, run.messages_))}


def _write(folder: Path, n_rows: int, n_shards: int) -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    centers = 3 * rng.normal(size=(40, N_COLUMNS)).astype(np.float32)
    for shard, n in enumerate(np.diff(np.linspace(0, n_rows, n_shards + 1).astype(int))):
        cluster = rng.integers(0, len(centers), n)
        frame = pd.DataFrame(centers[cluster] + rng.normal(size=(n, N_COLUMNS)).astype(np.float32))
        frame.columns = [f"c{column}" for column in range(N_COLUMNS)]
        frame.assign(label=cluster % N_CLASSES).to_parquet(folder / f"{shard:04d}.parquet")


def _private_bytes() -> int:
    """Memory of this process that no other shares."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _as_process(*arguments: object) -> dict[str, Any]:
    started, idle = time.perf_counter(), _idle_s()
    command = [sys.executable, __file__, "--case", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["idle_cpus"] = round((_idle_s() - idle) / (time.perf_counter() - started), 2)
    print(arguments, json.dumps(found), flush=True)
    return found


def _idle_s() -> float:
    """Seconds that all CPUs together were idle since the machine started."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split()
    return int(fields[4]) / os.sysconf("SC_CLK_TCK")


def _case(arguments: list[str]) -> dict[str, Any]:
    name, *rest = arguments
    if name == "small":
        return small()
    folder, *counts = rest
    return {"memory": memory, "rows": rows}[name](Path(folder), *map(int, counts))


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    arguments = run.given
    if arguments.case:
        print(json.dumps(_case(arguments.case)))
        return
    results = run.stored()
    if "small" in arguments.only:
        results["small"] = _as_process("small")
    if "memory" in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), arguments.memory_rows, arguments.memory_shards)
            results["memory"] = _as_process("memory", folder, arguments.memory_rows, arguments.memory_shards)
    if "rows" in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), arguments.rows, arguments.shards)
            sides = [_as_process("rows", folder, workers) for workers in (0, 1, 2)]
        results["rows"] = {"rows": arguments.rows, "shards": arguments.shards, "columns": N_COLUMNS, "runs": sides}
        results["rows"] |= _compared(*sides)
    run.finish(results)


def _compared(here: dict[str, Any], one: dict[str, Any], two: dict[str, Any]) -> dict[str, float]:
    """Seconds from a cluster that stands to the end; start-up of actors is in what one and two workers take."""
    local, single, double = (side["done_at_s"]["end"] - side["done_at_s"]["cluster"] for side in (here, one, two))
    return {
        "local_s": round(local, 2),
        "one_worker_s": round(single, 2),
        "two_workers_s": round(double, 2),
        "two_against_one": round(single / double, 2),
        "overhead_s": round(single - local, 2),
    }


if __name__ == "__main__":
    main()
