"""Time of a noise sweep against its bare products and against deep copies; ``results/analog_speed.json``.

100 draws at one level of an ``MLPClassifier`` with layers 64-128-64-10, scored on 540 rows of the digits, on one BLAS
thread. The bare loop does what any such measurement has to: draw normals for every kernel, scale and add them, multiply,
add biases, rectify, take the greatest output, compare. Deep copies are the usual way: copy the model, write noisy
weights into the copy, call its ``predict``. A sweep includes its checks, statistics and tables. Runs take turns, and the
least CPU time of each counts.

Also: draws stacked into one product each (``matmul`` over a leading axis), six levels that share their draws, layers
with prefixes that are run once, and how much less paired differences vary than independent ones.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from construction import RESULTS, cpu_seconds
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from analog_eval import layer_sensitivity, noise_sweep
from analog_eval.evaluation import DEFAULT_LEVELS

DRAWS, LEVEL, LAYERS = 100, 0.2, (128, 64)
GOAL_BARE, GOAL_COPIES = 1.1, 1.6
GOAL_PAIRED = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each (default: 15)")
    arguments = parser.parse_args()
    X_train, X, y_train, y = split()
    with threadpool_limits(1):
        model = fit(X_train, y_train)
        rows = timings(model, X, y, arguments.repeats)
        paired = variances(X_train, y_train, X, y, model)
    results = {
        "command": "python benchmarks/analog_speed.py",
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "date": time.strftime("%Y-%m-%d"),
        "draws": DRAWS,
        "test_rows": len(X),
        "layers": [X.shape[1], *LAYERS, 10],
        "seconds": rows,
        "paired_variance": paired,
    }
    path = RESULTS / "analog_speed.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    bare, copies = rows["sweep"] / rows["bare loop"], rows["deep copies"] / rows["sweep"]
    print(f"sweep: {bare:.2f} bare loops (goal {GOAL_BARE}): {_verdict(bare <= GOAL_BARE)}")
    print(f"sweep: {copies:.2f} x faster than deep copies (goal {GOAL_COPIES}): {_verdict(copies >= GOAL_COPIES)}")
    least = min(paired["levels"].values())
    print(f"levels: {least:.1f} x less variance when paired (goal {GOAL_PAIRED}): {_verdict(least >= GOAL_PAIRED)}")
    print(f"wrote {path}")


def split() -> list[np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16.0, y, test_size=540, random_state=0)


def fit(X: np.ndarray, y: np.ndarray, **recipe: Any) -> MLPClassifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier(LAYERS, max_iter=40, random_state=0, **recipe).fit(X, y)


def timings(model: MLPClassifier, X: np.ndarray, y: np.ndarray, repeats: int) -> dict[str, float]:
    """Least CPU seconds of each way, the runs of which take turns."""
    one = {"levels": LEVEL, "n_draws": DRAWS, "progress": False, "random_state": 0}
    calls: dict[str, Callable[[], Any]] = {
        "bare loop": lambda: bare_loop(model, X, y),
        "sweep": lambda: noise_sweep(model, X, y, **one),
        "deep copies": lambda: deep_copies(model, X, y),
        "bare loop, 25 draws stacked": lambda: stacked(model, X, y),
        "sweep of 6 levels": lambda: noise_sweep(model, X, y, **(one | {"levels": DEFAULT_LEVELS})),
        "layers": lambda: layer_sensitivity(model, X, y, level=LEVEL, n_draws=DRAWS, progress=False, random_state=0),
    }
    turns = [{name: cpu_seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    least = {name: min(turn[name] for turn in turns) for name in calls}
    for name, seconds in least.items():
        print(f"{name:28s} {1000 * seconds:7.1f} ms = {seconds / least['bare loop']:.2f} bare loops")
    return least


def bare_loop(model: MLPClassifier, X: np.ndarray, y: np.ndarray) -> list[float]:
    rng = np.random.default_rng(0)
    sigmas = [LEVEL * kernel.std() for kernel in model.coefs_]
    scores = []
    for _ in range(DRAWS):
        x = X
        for i, (kernel, bias, sigma) in enumerate(zip(model.coefs_, model.intercepts_, sigmas, strict=True)):
            x = x @ (kernel + sigma * rng.standard_normal(kernel.shape)) + bias
            if i < len(sigmas) - 1:
                x = np.maximum(x, 0)
        scores.append(np.mean(model.classes_[x.argmax(axis=1)] == y))
    return scores


def stacked(model: MLPClassifier, X: np.ndarray, y: np.ndarray, batch: int = 25) -> list[float]:
    rng = np.random.default_rng(0)
    sigmas = [LEVEL * kernel.std() for kernel in model.coefs_]
    scores: list[float] = []
    for _ in range(DRAWS // batch):
        x = X
        for i, (kernel, bias, sigma) in enumerate(zip(model.coefs_, model.intercepts_, sigmas, strict=True)):
            x = np.matmul(x, kernel + sigma * rng.standard_normal((batch, *kernel.shape))) + bias
            if i < len(sigmas) - 1:
                x = np.maximum(x, 0)
        scores += (model.classes_[x.argmax(axis=2)] == y).mean(axis=1).tolist()
    return scores


def deep_copies(model: MLPClassifier, X: np.ndarray, y: np.ndarray) -> list[float]:
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(DRAWS):
        noisy = copy.deepcopy(model)
        for kernel in noisy.coefs_:
            kernel += LEVEL * kernel.std() * rng.standard_normal(kernel.shape)
        scores.append(np.mean(noisy.predict(X) == y))
    return scores


def variances(
    X_train: np.ndarray, y_train: np.ndarray, X: np.ndarray, y: np.ndarray, model: MLPClassifier, n_draws: int = 1000
) -> dict[str, dict[str, float]]:
    """How many times greater the variance of a difference is with independent draws: two levels, and two recipes."""

    def scores(one: MLPClassifier) -> np.ndarray:
        report = noise_sweep(one, X, y, n_draws=n_draws, levels=DEFAULT_LEVELS, progress=False, random_state=0)
        return report.draws["score"].to_numpy().reshape(len(DEFAULT_LEVELS), n_draws)

    own = scores(model)
    recipes = {"alpha=1": {"alpha": 1.0}, "learning_rate_init=0.005": {"learning_rate_init": 0.005}}
    levels = {
        f"{DEFAULT_LEVELS[i]:g} and {DEFAULT_LEVELS[i + 1]:g}": ratio(own[i], own[i + 1])
        for i in range(2, len(DEFAULT_LEVELS) - 1)
    }
    models = {}
    for name, recipe in recipes.items():
        other = scores(fit(X_train, y_train, **recipe))
        models |= {f"{name} at {level:g}": ratio(own[i], other[i]) for i, level in enumerate(DEFAULT_LEVELS)}
    for what, ratios in {"levels": levels, "models": models}.items():
        print(f"variance of a difference, independent / paired, {what}:", {k: round(v, 1) for k, v in ratios.items()})
    return {"levels": levels, "models": models}


def ratio(one: np.ndarray, other: np.ndarray) -> float:
    return float((one.var() + other.var()) / (one - other).var())


def _verdict(held: bool) -> str:
    return "held" if held else "MISSED"


if __name__ == "__main__":
    main()
