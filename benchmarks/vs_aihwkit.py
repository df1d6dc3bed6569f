"""Nets on drifting phase-change memory by this package and by aihwkit's torch tile; ``results/vs_aihwkit.json``.

A perceptron and a convolutional net on scikit-learn's digits, programmed again and again and read at six times, with
global drift compensation, without a periphery and with aihwkit's default one (7-bit inputs by the greatest of each row,
9-bit outputs, output noise, bound management). Both sides get the same net, rows and times, one thread, and take turns;
aihwkit is installed into an environment of its own (``.venv-aihwkit``) from the requirements beside this file.

Weights are scaled to 1 within a tile, as its inference preset does and its bare configuration does not. aihwkit runs
twice: otherwise as it is, and without two habits of its own (``aligned``): it drifts the noisy weight as if that had
been the target, so that one device of each pair is at zero, and it reads what the drift compensation needs through the
noisy converters. Its torch tile sends a whole batch again where one row reaches the bound of the outputs; whether any
row does is recorded, and while none does, nobody's bound management matters.

Means of the accuracy are compared in units of their joint standard error (z). Of the many comparisons of one run some
are beyond 2 by chance; ``limit`` is where, if nothing differed, one run in twenty had any beyond it (Bonferroni).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from analog_nets import Net, accuracy, digits, train
from harness import HERE, ROOT, Run, Setting
from peers import ONE_THREAD, install, version
from scipy.stats import norm
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from torch import nn

from analog_eval import Periphery, drift_sweep

TIMES = ("0s", "25s", "1h", "1d", "1mo", "1y")
SECONDS = (0.0, 25.0, 3600.0, 86400.0, 30 * 86400.0, 365 * 86400.0)
PERIPHERIES = {"perfect": None, "default": Periphery()}
ARMS = {"aihwkit": False, "aihwkit, aligned": True}
PYTHON = ROOT / ".venv-aihwkit" / "bin" / "python"
SETTINGS = {
    "nets": Setting(("mlp", "cnn"), ("mlp",), more={"choices": ("mlp", "cnn")}),
    "draws": Setting(100, None, "programmings a round"),
    "rounds": Setting(3, 1, "rounds, in which the sides take turns"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    error = install(PYTHON, HERE / "requirements-peers-aihwkit.txt", "aihwkit")
    if version(PYTHON, "aihwkit") is None:
        return run.skip(f"aihwkit was not installed: {error}")
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        nets, X, y = prepare(Path(folder), given.nets)
        with Peer(Path(folder)) as peer:
            cases = [
                compare(name, net, X, y, periphery, peer, given)
                for (name, net), periphery in product(nets.items(), PERIPHERIES)
            ]
    differences = [abs(z) for case in cases for arm in ARMS for z in case[arm]["z"]]
    results = {
        "versions": {name: version(PYTHON, name) for name in ("aihwkit", "torch", "numpy")}
        | {"ours": torch.__version__},
        "load": {"cores": os.cpu_count(), "before": load, "after": os.getloadavg()[0]},
        "times": TIMES,
        "test_rows": len(y),
        "draws": given.draws,
        "rounds": given.rounds,
        "limit": float(norm.isf(0.05 / 2 / len(differences))),
        "cases": cases,
    }
    print(f"largest of {len(differences)} differences: {max(differences):.1f}; limit {results['limit']:.1f}")
    run.finish(results)


def prepare(folder: Path, chosen: list[str]) -> tuple[dict[str, nn.Module], np.ndarray, np.ndarray]:
    """Trained nets and the rows to test them on, which the other side finds in `folder`."""
    X, y = digits()
    X, test_X, y, test_y = train_test_split(X, y, test_size=540, random_state=0)
    nets = {"mlp 64-128-64-10": perceptron(), "cnn vgg-2x8": Net("vgg", 2, 8).build(X.shape[1])}
    nets = {name: net for name, net in nets.items() if name.split()[0] in chosen}
    for name, net in nets.items():
        train(net, X, y, epochs=40)
        torch.save(net, folder / f"{name}.pt")
    torch.save({"X": torch.as_tensor(test_X), "y": torch.as_tensor(test_y)}, folder / "data.pt")
    return nets, test_X, test_y


def perceptron() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


class Peer:
    """The other side, which answers one request after the other."""

    def __init__(self, folder: Path) -> None:
        command = [str(PYTHON), str(HERE / "vs_aihwkit_worker.py"), str(folder)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, env=os.environ | ONE_THREAD, **pipes)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def ask(self, **request: Any) -> tuple[np.ndarray, float]:
        """Accuracies of shape (n_times, n_draws) and CPU seconds."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker ended with {self._process.wait()}")
        measured = json.loads(answer)
        return np.array(measured["scores"]).T, measured["seconds"]


def compare(
    name: str, net: nn.Module, X: np.ndarray, y: np.ndarray, periphery: str, peer: Peer, arguments: argparse.Namespace
) -> dict[str, Any]:
    """What both sides say of one net with one periphery, and how long they take."""
    request = {"net": name, "periphery": periphery, "times": SECONDS}
    ours(net, X, y, periphery, 2, 0)  # what is imported late is loaded now
    peer.ask(**request, aligned=False, n=2, seed=0)
    found: dict[str, list[tuple[np.ndarray, float]]] = {side: [] for side in ("analog_eval", *ARMS)}
    for seed in range(arguments.rounds):
        found["analog_eval"].append(ours(net, X, y, periphery, arguments.draws, seed))
        for arm, aligned in ARMS.items():
            found[arm].append(peer.ask(**request, aligned=aligned, n=arguments.draws, seed=seed))
    sides = {side: summary(rounds) for side, rounds in found.items()}
    own = sides["analog_eval"]
    for arm in ARMS:
        difference = np.subtract(own["mean"], sides[arm]["mean"])
        sides[arm]["z"] = (difference / np.hypot(own["se"], sides[arm]["se"])).round(2).tolist()
    faster = np.divide(sides["aihwkit"]["seconds"], own["seconds"])
    case = {
        "net": name,
        "periphery": periphery,
        "clean": accuracy(net, X, y),
        "row_reached_bound": reaches_bound(net, X, y, periphery),
        "faster": [float(ratio) for ratio in (np.median(faster), faster.min(), faster.max())],
        **sides,
    }
    show(case)
    return case


def ours(net: nn.Module, X: np.ndarray, y: np.ndarray, periphery: str, n: int, seed: int) -> tuple[np.ndarray, float]:
    started = time.process_time()
    options = {"times": TIMES, "periphery": PERIPHERIES[periphery], "n_draws": n, "progress": False}
    report = drift_sweep(net, X, y, **options, random_state=seed)
    seconds = time.process_time() - started
    return report.draws["score"].to_numpy().reshape(len(TIMES), n), seconds


def reaches_bound(net: nn.Module, X: np.ndarray, y: np.ndarray, periphery: str) -> bool:
    """Whether any of the first programmings differs without bound management."""
    if periphery == "perfect":
        return False
    options = {"times": TIMES, "n_draws": 10, "progress": False, "random_state": 0}
    managed, not_managed = (
        drift_sweep(net, X, y, periphery=replace(Periphery(), max_doublings=most), **options).draws for most in (10, 0)
    )
    return not managed.equals(not_managed)


def summary(rounds: list[tuple[np.ndarray, float]]) -> dict[str, Any]:
    scores = np.hstack([scores for scores, _ in rounds])
    return {
        "mean": scores.mean(axis=1).tolist(),
        "se": (scores.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])).tolist(),
        "seconds": [seconds for _, seconds in rounds],
    }


def show(case: dict[str, Any]) -> None:
    print(f"{case['net']}, periphery: {case['periphery']}, clean {case['clean']:.4f}")
    for side in ("analog_eval", *ARMS):
        row = case[side]
        means = "  ".join(f"{mean:.4f} ± {se:.4f}" for mean, se in zip(row["mean"], row["se"], strict=True))
        print(f"  {side:17s} {np.median(row['seconds']):6.2f} s  {means}", *row.get("z", []))
    median, low, high = case["faster"]
    print(f"  {median:.2f} x faster than aihwkit as it is (rounds: {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
