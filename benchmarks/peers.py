"""Our constructors against other packages' on the same data, in one run; writes ``results/peers.json``.

Every summary has as many points and is judged alike: `distortion` on centres solved on it, and the ratio of its cost
to the data's on fixed centres. scikit-learn's clusterings serve as summaries by their centres and the masses of their
clusters. Times are CPU seconds of one thread with imports and compilation left out; a method that needs more than the
limit on one data set is recorded as such. Peers are installed into environments of their own (``.venv-peers``,
``.venv-coreax``) from the requirements beside this file. A table of goals is printed at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from data import DATA_SETS, REAL
from harness import HERE, ROOT, Run, Setting
from peers_goals import goal_table
from peers_worker import timed
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin_min
from threadpoolctl import threadpool_limits

from coreset import (
    Coreset,
    FarthestFirstCoreset,
    LightweightCoreset,
    RobustCoreset,
    SensitivityCoreset,
    UniformCoreset,
    distortion,
)

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "PYTHONWARNINGS": "ignore",
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A data set with the clusters to solve for and the points that a summary may have."""

    name: str
    n_rows: int
    n_clusters: int
    n_points: int

    def rows(self, seed: int) -> np.ndarray:
        """The data set of this seed; real ones are the same for every seed."""
        return DATA_SETS[self.name](seed, self.n_rows, 50, self.n_clusters)


@dataclasses.dataclass(frozen=True)
class Peer:
    """Where a peer lives, on which scenarios it is worth its time, and whether it draws anything at random."""

    folder: str | None
    requirements: str | None
    scenarios: tuple[str, ...]
    random: bool = True


# Most end within seconds. scikit-learn's take 5-10 s on 100,000 rows; kernel methods minutes or more, which one
# scenario shows: KernelHerding on mixture-balanced.
FEW = ("mixture-balanced", *REAL)
SMALL = ("digits", "image-segments")
ALL = tuple(DATA_SETS)
MIXTURES = (*(name for name in DATA_SETS if name.startswith("mixture")), *REAL)
_NUMPY1 = (".venv-peers", "requirements-peers.txt")
_COREAX = (".venv-coreax", "requirements-peers-coreax.txt")
PEERS = {
    "coresets KMeansCoreset": Peer(*_NUMPY1, ALL),
    "coresets KMeansLightweightCoreset": Peer(*_NUMPY1, ALL),
    "bico BICO": Peer(*_NUMPY1, ALL),
    "coreax RandomSample": Peer(*_COREAX, MIXTURES),  # uniform, as UniformCoreset, which runs everywhere
    "coreax KernelHerding": Peer(*_COREAX, ("mixture-balanced", *SMALL), random=False),
    "coreax MapReduce(KernelHerding)": Peer(*_COREAX, tuple(REAL), random=False),
    "coreax KernelThinning": Peer(*_COREAX, ("digits",)),
    "scikit-learn MiniBatchKMeans": Peer(None, None, FEW),
    "scikit-learn BisectingKMeans": Peer(None, None, FEW),
    "scikit-learn KMeans": Peer(None, None, tuple(REAL)),
}
OURS: dict[str, Callable[[int, int], Any]] = {
    "RobustCoreset": lambda m, seed: RobustCoreset(m, random_state=seed),
    "RobustCoreset power=1": lambda m, seed: RobustCoreset(m, power=1, random_state=seed),
    "SensitivityCoreset": lambda m, seed: SensitivityCoreset(m, random_state=seed),
    "LightweightCoreset": lambda m, seed: LightweightCoreset(m, random_state=seed),
    "UniformCoreset": lambda m, seed: UniformCoreset(m, random_state=seed),
    "FarthestFirstCoreset": lambda m, seed: FarthestFirstCoreset(m, random_state=seed),
}


SETTINGS = {
    "rows": Setting(100_000, 10_000, "rows of the synthetic sets"),
    "seeds": Setting(3, 2, "data sets a scenario, for every method"),
    "our_seeds": Setting(10, 2, "for RobustCoreset where goals are set"),
    "limit": Setting(30, 5, "CPU seconds of one summary"),
    "only": Setting("", "mixture-balanced|digits", "regular expression of the scenarios to run"),
    "methods": Setting("", None, "regular expression of the methods to run"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    arguments = run.given
    with threadpool_limits(1):
        pythons, versions = environments(arguments.methods)
        rows = list(measure(arguments, pythons))
    results = {
        "versions": versions,
        "limit_seconds": arguments.limit,
        "scenarios": [dataclasses.asdict(scenario) for scenario in scenarios(arguments)],
        "results": rows,
        "goals": goal_table(rows),
    }
    run.finish(results)


def scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    """Synthetic sets with 25 rows a point and 40 points a cluster; real ones with 50 points for each of 10 clusters."""
    found = []
    for name in DATA_SETS:
        if name in REAL:
            scenario = Scenario(name, 1_000_000, 10, 500)
        else:
            n_points = arguments.rows // 25
            # The benchmark instance has as many clusters as its blocks have columns, and three blocks.
            n_clusters = {"benchmark": int(arguments.rows ** (1 / 3) + 1e-9), "mixture-far": 100}.get(name)
            scenario = Scenario(name, arguments.rows, n_clusters or min(100, n_points // 40), n_points)
        if re.search(arguments.only, name):
            found.append(scenario)
    return found


def measure(arguments: argparse.Namespace, pythons: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """One record a scenario, method and seed."""
    pattern = arguments.methods
    for scenario in scenarios(arguments):
        with tempfile.TemporaryDirectory() as folder:
            judges = {}
            for seed in range(n_seeds(scenario, arguments)):
                X = scenario.rows(seed)
                judge = Judge(scenario, X, seed)
                for method in our_methods(scenario, seed < arguments.seeds):
                    if re.search(pattern, method):
                        yield show(run_ours(method, judge))
                if seed < arguments.seeds:
                    np.save(Path(folder) / f"data-{seed}.npy", X)
                    judges[seed] = judge
            for method, peer in PEERS.items():
                if scenario.name in peer.scenarios and re.search(pattern, method) and method in pythons:
                    # What draws nothing gives one summary of a real set, which is the same for every seed.
                    once = not peer.random and scenario.name in REAL
                    seeds = [0] if once else list(judges)
                    records = run_peer(method, pythons[method], judges, seeds, Path(folder), arguments.limit)
                    yield from map(show, records)


def n_seeds(scenario: Scenario, arguments: argparse.Namespace) -> int:
    if scenario.name.startswith("mixture") or scenario.name in REAL:
        return max(arguments.seeds, arguments.our_seeds)
    return arguments.seeds


def our_methods(scenario: Scenario, all_methods: bool) -> list[str]:
    """FarthestFirst, for maximum costs, costs n x d x m: the real sets show what it does to sums."""
    methods = list(OURS) if all_methods else ["RobustCoreset", "RobustCoreset power=1"]
    return [method for method in methods if method != "FarthestFirstCoreset" or scenario.name in REAL]


class Judge:
    """Fixed centres on one data set with their true costs, which every summary of it is compared to."""

    def __init__(self, scenario: Scenario, X: np.ndarray, seed: int) -> None:
        self.scenario, self.X, self.seed = scenario, X, seed
        rng = np.random.default_rng([seed, 1])
        k = scenario.n_clusters
        # A few steps suffice: these centres need not be the best ones, only ones that fit the data and no summary.
        solved = KMeans(k, n_init=1, max_iter=10, random_state=seed).fit(X).cluster_centers_
        self.centers = {
            f"{k} random rows": X[rng.choice(len(X), k, replace=False)],
            "5 random rows": X[rng.choice(len(X), 5, replace=False)],
            "solved on the data": solved,
        }
        distances = {name: pairwise_distances_argmin_min(X, centers)[1] for name, centers in self.centers.items()}
        self.costs = {power: {name: (d**power).sum() for name, d in distances.items()} for power in (1, 2)}

    def record(self, method: str, summary: Coreset, seconds: float, **more: Any) -> dict[str, Any]:
        """What is stored of one summary."""
        power = 1 if method.endswith("power=1") else 2
        k, seed = self.scenario.n_clusters, self.seed
        record = self.named(method, "ok", points=len(summary), seconds=seconds, **more)
        if len(summary) < k:
            return record | {"status": f"failed: {len(summary)} points cannot be solved for {k} clusters"}
        record["distortion"] = distortion(self.X, summary, k, power=power, random_state=seed)
        record["fixed"] = self.ratios(summary, power)
        if summary.spread is not None:
            record["fixed_scatter"] = self.ratios(summary.scatter(random_state=seed), power)
        return record

    def named(self, method: str, status: str, **more: Any) -> dict[str, Any]:
        """What every record begins with; all there is of a summary that was not made."""
        return {"scenario": self.scenario.name, "method": method, "seed": self.seed, "status": status, **more}

    def ratios(self, summary: Coreset, power: int) -> dict[str, float]:
        """Cost of the summary over that of the data; a cost of zero on both sides is met exactly."""
        costs = {name: summary.cost(centers, power=power) for name, centers in self.centers.items()}
        truth = self.costs[power]
        return {name: 1.0 if costs[name] == truth[name] else costs[name] / max(truth[name], 1e-300) for name in truth}


def run_ours(method: str, judge: Judge) -> dict[str, Any]:
    n_points = judge.scenario.n_points
    OURS[method](50, 0).fit(judge.X[:1000])  # what is imported late is loaded now, as for the peers
    estimator, seconds = timed(lambda: OURS[method](n_points, judge.seed).fit(judge.X))
    return judge.record(method, estimator.coreset_, seconds)


def run_peer(
    method: str, python: Path, judges: dict[int, Judge], seeds: list[int], folder: Path, limit: int
) -> Iterator[dict[str, Any]]:
    """Let the worker summarise the rows of these seeds, then judge what it stored; seeds not reached say why.

    Should there be fewer summaries to make than judges, every judge takes the last one.
    """
    scenario = judges[0].scenario
    command = [python, HERE / "peers_worker.py", method, folder, "--clusters", scenario.n_clusters]
    command += ["--points", scenario.n_points, "--limit", limit, "--seeds", *seeds]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=os.environ | ONE_THREAD)
    made = {}
    for line in filter(lambda line: line.startswith("{"), done.stdout.splitlines()):
        measured = json.loads(line)
        made[measured.pop("seed")] = measured
    for seed, judge in judges.items():
        source = min(seed, seeds[-1])
        if source not in made:
            first = source == seeds[0] or source - 1 in made
            yield judge.named(
                method, why_it_ended(done, limit) if first else "not tried, for the seed before it ended so"
            )
            continue
        with np.load(folder / f"{method}-{source}.npz") as stored:
            summary = Coreset(stored["points"], stored["weights"])
        yield judge.record(method, summary, **made[source])


def why_it_ended(done: subprocess.CompletedProcess[str], limit: int) -> str:
    if done.returncode == -signal.SIGPROF:
        return f"timed out: more than {limit} CPU seconds, or twice that with compilation"
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"failed: exit status {done.returncode}: {last[:300]}"


def show(record: dict[str, Any]) -> dict[str, Any]:
    name = f"{record['scenario']:18s} {record['method']:33s} seed {record['seed']}: "
    if "distortion" in record:
        print(f"{name}distortion {record['distortion']:.4f}, {record['seconds']:.3f} s", flush=True)
    else:
        print(name + record["status"], flush=True)
    return record


def environments(pattern: str) -> tuple[dict[str, Path], dict[str, str]]:
    """Python of every peer that could be installed, and the version of each package or what pip said."""
    pythons, versions = {}, {}
    for method, peer in PEERS.items():
        package = method.split()[0]
        if package not in versions and re.search(pattern, method):
            python = Path(sys.executable) if peer.folder is None else ROOT / peer.folder / "bin" / "python"
            error = "" if peer.folder is None else install(python, HERE / str(peer.requirements), package)
            versions[package] = version(python, package) or f"not installed: {error}"
            print(f"{package}: {versions[package]}", flush=True)
        if not versions.get(package, "not installed").startswith("not installed"):
            pythons[method] = Path(sys.executable) if peer.folder is None else ROOT / peer.folder / "bin" / "python"
    return pythons, versions


def version(python: Path, package: str) -> str | None:
    if not python.exists():
        return None
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or None


def install(python: Path, requirements: Path, package: str) -> str:
    """Make the environment unless it is there with these very requirements; what pip said of this package if not."""
    folder = python.parent.parent
    text = requirements.read_text(encoding="utf-8")
    marker = folder / "installed.txt"
    if marker.exists() and marker.read_text(encoding="utf-8") == text:
        return ""
    if not python.exists():
        shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True)
        if made.returncode:
            return f"no virtual environment: {(made.stderr or made.stdout).strip()[-300:]}"
    error = pip(python, "-r", str(requirements))
    if error is None:
        marker.write_text(text, encoding="utf-8")
        return ""
    # One peer that cannot be built must not take the others with it.
    pins = [line.split("#")[0].strip() for line in text.splitlines()]
    others = [pin for pin in pins if pin and pin.split("==")[0] not in {peer.split()[0] for peer in PEERS}]
    own = [pin for pin in pins if pin.startswith(package + "==")]
    return pip(python, *own, *others) or ""


def pip(python: Path, *what: str) -> str | None:
    """The error lines of pip, or None when it succeeded."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    return "; ".join(errors)[:500] or f"pip ended with {done.returncode}"


if __name__ == "__main__":
    main()
