"""Memory that sweeps and hardening of a net with fifty million weights take; writes ``results/analog_memory.json``.

Peaks of resident memory of processes of their own, the net (0.2 GB) and the imports (0.4 GB) included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import Run, Setting
from torch import nn

from analog_eval import Periphery, drift_sweep, noise_sweep
from analog_eval.training import Clip, harden

WIDTH, ROWS = 5000, 200
QUIET: dict[str, Any] = {"random_state": 0, "progress": False}
TIMES = ("1h", "1y")
CASES: dict[str, Callable[[nn.Module, np.ndarray, np.ndarray], Any]] = {
    "built, nothing else": lambda model, X, y: None,
    "noise_sweep": lambda model, X, y: noise_sweep(model, X, y, levels=(0.1, 0.3), n_draws=3, **QUIET),
    "drift_sweep": lambda model, X, y: drift_sweep(model, X, y, times=TIMES, n_draws=2, **QUIET),
    "drift_sweep, periphery": lambda model, X, y: drift_sweep(
        model, X, y, times=TIMES, n_draws=2, periphery=Periphery.standard(), calibration="test", **QUIET
    ),
    "harden, periphery": lambda model, X, y: harden(model, X, y, epochs=1, clip=Clip(), periphery=Periphery(), **QUIET),
}
SETTINGS = {
    "cases": Setting(tuple(CASES), ("noise_sweep",), more={"choices": tuple(CASES)}),
    "case": Setting(None, None, argparse.SUPPRESS),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    if run.given.case:
        print(json.dumps(measure(run.given.case)))
        return
    results: dict[str, Any] = {"cases": {}}
    for case in run.given.cases:
        command = [sys.executable, __file__, "--case", case]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results["cases"][case] = json.loads(done.stdout.splitlines()[-1])
        print(case, results["cases"][case], flush=True)
    run.finish(results)


def measure(case: str) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
    X = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    y = model(torch.from_numpy(X)).argmax(dim=1).numpy()
    started = time.process_time()
    CASES[case](model, X, y)
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return {
        "weights": sum(p.numel() for p in model.parameters()),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2),
        "cpu_s": round(time.process_time() - started, 1),
    }


if __name__ == "__main__":
    main()
