"""How often the 95 % intervals of noise sweeps hold the truth; ``results/analog_coverage.json``.

Every repetition draws new test rows and new devices, for one linear model whose score over all rows and devices is
known in closed form (integrated over 100,000 rows). ``given rows`` asks for the score over all devices on the very rows
of the test, which the draws alone leave open; ``level at 90 %`` for the level where the score is 90 % of the clean one.

``rare fragile rows`` is the case that intervals of levels are not made for: noise moves nearly all rows a little, and
one in a hundred, of which many tests have none, all the way. ``--only`` measures some, and the others are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Run, Setting
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from threadpoolctl import threadpool_limits

from analog_eval import ArrayModel, GaussianNoise, noise_sweep

WEIGHTS = np.array([1.0, -0.5, 0.3, 2.0, 0.0])
N_ROWS = 80
LEVEL = 0.6
GRID = np.arange(0.1, 2.01, 0.1)
# How the number of draws is chosen; half-widths in units of the score.
PLANS: dict[str, dict[str, Any]] = {
    "12 draws": {"n_draws": 12},
    "25 draws": {"n_draws": 25},
    "auto": {"n_draws": "auto"},
    "auto, half-width": {"n_draws": "auto", "half_width": 0.015},
}
RARE = "level, rare fragile rows"
RARE_SHARE, RARE_TEST_ROWS, RARE_COLUMNS = 0.01, 200, 100
RARE_GRID = np.arange(0.4, 1.01, 0.05)
RARE_LEVEL = 1 / norm.isf(0.05)  # which one in twenty of the usual rows does not stand, and none of the rare
NAMES = ("accuracy", "r2", "accuracy, given rows", "level at 90 %", RARE)
SETTINGS = {
    "repeats": Setting(2000, 100, "repetitions of each"),
    "rare_repeats": Setting(500, 20, "repetitions of those with rare rows"),
    "only": Setting(NAMES, None, "what is measured; the others are kept", free=True, more={"choices": NAMES}),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    cases = {
        "accuracy": (classifier(), accuracy_case, PLANS),
        "r2": (regressor(), r2_case, PLANS),
        "accuracy, given rows": (classifier(), given_rows_case, {k: v for k, v in PLANS.items() if k != "auto"}),
        "level at 90 %": (classifier(), crossing_case, {"25 draws": PLANS["25 draws"]}),
        RARE: (fragile(), rare_case, {"100 draws": {"n_draws": 100}}),
    }
    stored = run.stored().get("rows", [])
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for name, (model, case, plans) in cases.items():
            repeats = run.given.rare_repeats if name == RARE else run.given.repeats
            if name in run.given.only:
                rows += [measure(name, plan, model, case, plans[plan], repeats) for plan in plans]
            else:
                rows += [row for row in stored if row["what"] == name]
    run.finish({"test_rows": N_ROWS, "level": LEVEL, "rows": rows})


def measure(
    name: str, plan: str, model: Any, case: Callable[..., tuple[bool, int]], draws: dict[str, Any], repeats: int
) -> dict[str, Any]:
    """Share of the repetitions whose interval holds the truth, and the draws they took."""
    rng = np.random.default_rng(1)
    outcomes = np.array([case(model, rng, seed, draws) for seed in range(repeats)], dtype=float)
    covered, mean_draws = outcomes.mean(axis=0)
    row = {"what": name, "plan": plan, "coverage": covered, "mean_draws": mean_draws, "repeats": repeats}
    print(f"{name:25s} {plan:18s} {100 * covered:.2f} %, {mean_draws:.0f} draws", flush=True)
    return row


def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n, len(WEIGHTS)))
    return X, X @ WEIGHTS + 0.5 * rng.normal(size=n)


def classifier() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X, signal = sample(rng, 500)
    model = LogisticRegression().fit(X, signal > 0)
    everything, signal = sample(rng, 100_000)
    return {"model": model, "accuracy": lambda level: mean_accuracy(model, everything, signal > 0, level)}


def regressor() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X, signal = sample(rng, 500)
    model = LinearRegression().fit(X, signal)
    everything, signal = sample(rng, 100_000)
    error = ((model.predict(everything) - signal) ** 2).mean()
    variance = len(WEIGHTS) * GaussianNoise("std").sigma(model.coef_, LEVEL) ** 2
    return {"model": model, "truth": 1 - (error + variance) / signal.var()}


def mean_accuracy(model: LogisticRegression, X: np.ndarray, y: np.ndarray, level: float) -> float:
    """Accuracy over all devices: a row's score is normal around the clean one."""
    margin = model.decision_function(X) * np.where(y, 1, -1)
    if level == 0.0:
        return float((margin > 0).mean())
    sigma = GaussianNoise("std").sigma(model.coef_, level)
    return float(norm.cdf(margin / (sigma * np.linalg.norm(X, axis=1))).mean())


def accuracy_case(case: dict[str, Any], rng: np.random.Generator, seed: int, plan: dict[str, Any]) -> tuple[bool, int]:
    if "truth" not in case:
        case["truth"] = case["accuracy"](LEVEL)
    X, signal = sample(rng, N_ROWS)
    return held(case, X, signal > 0, seed, plan, case["truth"], None)


def r2_case(case: dict[str, Any], rng: np.random.Generator, seed: int, plan: dict[str, Any]) -> tuple[bool, int]:
    return held(case, *sample(rng, N_ROWS), seed, plan, case["truth"], "r2")


def given_rows_case(
    case: dict[str, Any], rng: np.random.Generator, seed: int, plan: dict[str, Any]
) -> tuple[bool, int]:
    X, signal = sample(rng, N_ROWS)
    return held(case, X, signal > 0, seed, plan, mean_accuracy(case["model"], X, signal > 0, LEVEL), accuracy_score)


def held(
    case: dict[str, Any], X: np.ndarray, y: np.ndarray, seed: int, plan: dict[str, Any], truth: float, metric: Any
) -> tuple[bool, int]:
    table = noise_sweep(case["model"], X, y, levels=LEVEL, metric=metric, random_state=seed, **plan).table
    row = table.iloc[0]
    return row["ci_low"] <= truth <= row["ci_high"], int(row["n_draws"])


def crossing_case(case: dict[str, Any], rng: np.random.Generator, seed: int, plan: dict[str, Any]) -> tuple[bool, int]:
    if "truth" not in case:
        goal = 0.9 * case["accuracy"](0.0)
        case["truth"] = brentq(lambda level: case["accuracy"](level) - goal, GRID[0], GRID[-1])
    X, signal = sample(rng, N_ROWS)
    report = noise_sweep(case["model"], X, signal > 0, levels=GRID, random_state=seed, **plan)
    crossing = report.level_at(0.9)
    return crossing.ci_low <= case["truth"] <= crossing.ci_high, int(report.table["n_draws"].iloc[0])


def fragile() -> ArrayModel:
    """Right about every row: noise moves the usual ones by a normal variable, and rare ones across at any level."""

    def forward(arrays: Any, X: np.ndarray) -> np.ndarray:
        rows, rare, sign = X[:, :-2], X[:, -2], X[:, -1]
        scores: np.ndarray = sign * (1 + rows @ arrays["w"] - 1e9 * rare * abs(arrays["break"][0]))
        return scores

    kernels = {"w": np.zeros(RARE_COLUMNS), "break": np.zeros(1)}
    return ArrayModel(kernels, forward, roles=["kernel", "kernel"], classes=[-1, 1])


def rare_case(model: ArrayModel, rng: np.random.Generator, seed: int, plan: dict[str, Any]) -> tuple[bool, int]:
    """Rows in directions of their own, of length 1, so that a level is the standard deviation of their scores."""
    rows = rng.normal(size=(RARE_TEST_ROWS, RARE_COLUMNS))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    y = rng.choice([-1, 1], RARE_TEST_ROWS)
    X = np.column_stack([rows, rng.random(RARE_TEST_ROWS) < RARE_SHARE, y])
    noise = GaussianNoise("absolute")
    report = noise_sweep(model, X, y, levels=RARE_GRID, noise=noise, random_state=seed, **plan)
    kept = (1 - RARE_SHARE) * norm.cdf(1 / RARE_LEVEL)
    crossing = report.level_at(kept)
    return crossing.ci_low <= RARE_LEVEL <= crossing.ci_high, int(report.table["n_draws"].iloc[0])


if __name__ == "__main__":
    main()
