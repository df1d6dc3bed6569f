"""Hardened nets beside nets that trained on without noise; writes ``results/hardening.json``.

A perceptron and a convolutional net on scikit-learn's digits, and the perceptron on a coreset's weighted points. Each
is trained; then copies of it train on for as many steps again, without noise (``plain``, the control), with noise, with
clipping, with both, and with both by output channel. Those trained without noise and by channel are measured with their
channels remapped, too. Accuracy on test rows is clean, under Gaussian noise relative to the standard deviation and to
the largest weight of each kernel, and on phase-change memory a day and a month after programming; the devices of all
are drawn from the same seed. Intervals are Student's 95 %, of the differences to the control within seeds, over seeds,
each with its own split of the rows and initial weights; they hold one at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from analog_nets import Net, digits
from harness import Run, Setting
from scipy.stats import t as student_t
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from analog_eval import PCM, GaussianNoise, drift_sweep, noise_sweep
from analog_eval.training import AddNormal, Clip, harden, remap_channels
from coreset import RobustCoreset

NETS = {"mlp": Net("mlp", 2, 64), "cnn": Net("vgg", 2, 8)}
N_POINTS = 300
STEPS = 600
BATCH = 64
RATE = 3e-3
RECIPE, CLIP = AddNormal(0.1), Clip(2.5)
BY_CHANNEL = {"recipe": AddNormal(0.1, "channel"), "clip": Clip(2.5, "channel")}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"recipe": None},
    "noise": {"recipe": RECIPE},
    "clip": {"recipe": None, "clip": CLIP},
    "noise and clip": {"recipe": RECIPE, "clip": CLIP},
    "by channel": BY_CHANNEL,
}
# Remapped when all training is over, which changes no function: what differs is the noise alone.
REMAPPED = ("plain", "by channel")
GAUSSIAN = {"std": (0.1, 0.2, 0.4), "absmax": (0.05, 0.1, 0.2)}
TIMES = ("1d", "1mo")
CASES = {"mlp": "mlp", "cnn": "cnn", "mlp on a coreset": "mlp"}
SETTINGS = {
    "cases": Setting(tuple(CASES), ("mlp",), more={"choices": tuple(CASES)}),
    "seeds": Setting(8, 2),
    "draws": Setting(10, 3, "programmings, and draws of noise"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "n_seeds": given.seeds,
        "n_draws": given.draws,
        "nets": {case: NETS[CASES[case]].name for case in given.cases},
        "recipe": repr(RECIPE),
        "clip": repr(CLIP),
        "steps": STEPS,
        "n_points": N_POINTS,
    }
    with threadpool_limits(1):
        for case in given.cases:
            net, summarized = NETS[CASES[case]], "coreset" in case
            scores = [measure(net, seed, given.draws, summarized) for seed in range(given.seeds)]
            results[case] = summary(scores)
            show(case, results[case])
    run.finish(results)


def measure(net: Net, seed: int, n_draws: int, summarized: bool) -> dict[str, dict[str, float]]:
    """Accuracies of every arm by condition, for one split and one start."""
    X, y = digits()
    X, test_X, y, test_y = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
    rows: dict[str, Any] = {"X": X, "y": y}
    if summarized:
        summary = RobustCoreset(n_points=N_POINTS, random_state=seed).fit(X, y).coreset_
        rows = {"X": summary.points, "y": summary.labels, "sample_weight": summary.weights}
    epochs = round(STEPS / -(-len(rows["y"]) // BATCH))
    common = {**rows, "epochs": epochs, "batch_size": BATCH, "learning_rate": RATE, "progress": False}
    trained = harden(net.build(X.shape[1], seed=seed), **common, recipe=None, random_state=seed).model
    answers = {"trained": scores_of(trained, test_X, test_y, n_draws, seed)}
    for arm, options in ARMS.items():
        model = harden(trained, **common, **options, random_state=1000 + seed).model
        answers[arm] = scores_of(model, test_X, test_y, n_draws, seed)
        if arm in REMAPPED:
            answers[f"{arm}, remapped"] = scores_of(remap_channels(model), test_X, test_y, n_draws, seed)
    return answers


def scores_of(model: Any, X: np.ndarray, y: np.ndarray, n_draws: int, seed: int) -> dict[str, float]:
    scores = {}
    options = {"n_draws": n_draws, "progress": False, "random_state": seed}
    for scale, levels in GAUSSIAN.items():
        report = noise_sweep(model, X, y, noise=GaussianNoise(scale), levels=levels, **options)
        scores["clean"] = report.clean
        scores |= {f"{scale} {level:g}": float(report.table.loc[level, "mean"]) for level in levels}
    drifted = drift_sweep(model, X, y, device=PCM(), times=TIMES, **options)
    return scores | {f"PCM {name}": float(mean) for name, mean in zip(TIMES, drifted.table["mean"], strict=True)}


def summary(scores: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Means over seeds by arm and condition, and the differences to the control with their intervals."""
    answers: dict[str, dict[str, Any]] = {}
    for arm in scores[0]:
        answers[arm] = {}
        for condition in scores[0][arm]:
            values = np.array([seed[arm][condition] for seed in scores])
            gains = values - np.array([seed["plain"][condition] for seed in scores])
            half = float(student_t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)))
            gain = float(gains.mean())
            answers[arm][condition] = {
                "mean": round(float(values.mean()), 4),
                "gain": round(gain, 4),
                "ci": [round(gain - half, 4), round(gain + half, 4)],
                "seeds": [round(float(value), 4) for value in values],
            }
    return answers


def show(case: str, answers: dict[str, dict[str, Any]]) -> None:
    print(case)
    for arm, conditions in answers.items():
        print(f"  {arm}")
        for condition, row in conditions.items():
            low, high = row["ci"]
            print(f"    {condition:12s} {row['mean']:.4f}  gain {row['gain']:+.4f} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    main()
