"""What a year in phase-change memory leaves of small nets, and what hardening saves; writes ``results/drift.json``.

A perceptron and a convolutional net on scikit-learn's digits, and a residual net with batch normalizations on images of
MNIST. Each is trained; then copies of it train on for as many steps again: without noise (``plain``, the control), with
noise and clipping by channel (``hardened``), and with these through the converters, whose input scales are learned
(``through converters``). When training is over the channels of the latter two are remapped; those of the control are
measured as they are and remapped, and gains are over the remapped ones. All are programmed into PCM with default
converters (`Periphery()`), drift compensated globally; input scales are calibrated on training rows, or those that were
learned. The same seeds, so the same devices, for all. Intervals are Student's 95 % over training seeds, each with its
own split and initial weights, one at a time.

Then the nonidealities one by one (`sensitivity`), on the plain nets: how much noise of weights, of inputs, of outputs,
each in units of the greatest weight, input and product, costs 1 % of the accuracy above chance. Rasch et al., arXiv
2302.08469, found that noise of inputs and outputs costs more.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from analog_nets import DATA, Net
from harness import Run, Setting
from joblib import Parallel, delayed
from scipy.stats import t as student_t
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from analog_eval import PCM, Periphery, drift_sweep, sensitivity
from analog_eval.devices import to_seconds
from analog_eval.training import AddNormal, Clip, InputRanges, harden

CASES = {
    "perceptron": ("digits", Net("mlp", 2, 64)),
    "convolutional": ("digits", Net("vgg", 2, 16)),
    "residual": ("mnist", Net("resnet", 2, 8, "l2")),
}
STEPS = {"digits": 840, "mnist": 590}
MOST_TEST_ROWS, CRITICAL_DRAWS = 500, 3
BATCH, RATE = 64, 3e-3
TIMES = ("0s", "25s", "1h", "1d", "1mo", "1y")
PERIPHERY = Periphery()
RECIPE, CLIP = AddNormal(0.1, "channel"), Clip(2.5, "channel")
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"recipe": None},
    "hardened": {"recipe": RECIPE, "clip": CLIP},
    "through converters": {
        "recipe": RECIPE,
        "clip": CLIP,
        "periphery": PERIPHERY,
        "input_ranges": InputRanges(learning_rate=0.02),
    },
}
CONTROL = "plain, remapped"
NONIDEALITIES = ("programming_noise", "in_noise", "out_noise", "read_noise", "ir_drop", "in_bits", "out_bits")
CHANCE = 0.1
SETTINGS = {
    "seeds": Setting(5, 2),
    "draws": Setting(10, 3, "programmings"),
    "only": Setting(
        tuple(CASES), ("perceptron",), "nets; the others are kept", free=True, more={"choices": tuple(CASES)}
    ),
    "jobs": Setting(1, None, "processes, of one thread each", free=True),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    if given.seeds < 2:
        run.parser.error("--seeds must be at least 2, for intervals")
    results = run.stored() | {
        "times": {name: to_seconds(name) for name in TIMES},
        "device": repr(PCM()),
        "periphery": repr(PERIPHERY),
        "arms": {arm: {name: repr(value) for name, value in options.items()} for arm, options in ARMS.items()},
    }
    cases = results.setdefault("cases", {})
    for case in given.only:
        runs = Parallel(n_jobs=given.jobs)(delayed(measure)(case, seed, given.draws) for seed in range(given.seeds))
        effort = {"n_seeds": given.seeds, "n_draws": given.draws, "date": time.strftime("%Y-%m-%d")}
        cases[case] = effort | summarized(case, runs)
        show(case, cases[case])
        run.save(results)
    run.finish(results)


def measure(case: str, seed: int, n_draws: int) -> dict[str, Any]:
    """Accuracies of every arm by time, and the critical levels of the plain net, for one split and one start."""
    torch.set_num_threads(1)
    data, net = CASES[case]
    X, y = DATA[data]()
    X, test_X, y, test_y = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
    test_X, test_y = test_X[:MOST_TEST_ROWS], test_y[:MOST_TEST_ROWS]
    epochs = round(STEPS[data] / -(-len(y) // BATCH))
    common = {"X": X, "y": y, "epochs": epochs, "batch_size": BATCH, "learning_rate": RATE, "progress": False}
    with threadpool_limits(1):
        trained = harden(net.build(X.shape[1], seed=seed), **common, recipe=None, random_state=seed).model
        answers: dict[str, Any] = {}
        for arm, options in ARMS.items():
            done = harden(trained, **common, **options, random_state=1000 + seed)
            remapped = done.remapped()
            name = CONTROL if arm == "plain" else arm
            answers[name] = drifted(remapped.model, test_X, test_y, remapped.input_scales or X, n_draws, seed)
            if arm == "plain":
                model = done.model
                answers[arm] = drifted(model, test_X, test_y, X, n_draws, seed)
                critical = sensitivity(
                    model,
                    test_X,
                    test_y,
                    nonidealities=NONIDEALITIES,
                    n_draws=CRITICAL_DRAWS,
                    progress=False,
                    random_state=seed,
                )
        return {"arms": answers, "critical": critical["critical"].to_dict()}


def drifted(model: Any, X: np.ndarray, y: np.ndarray, scales: Any, n_draws: int, seed: int) -> dict[str, float]:
    report = drift_sweep(
        model, X, y, device=PCM(), times=TIMES, periphery=PERIPHERY, calibration=scales, n_draws=n_draws,
        progress=False, random_state=seed,
    )  # fmt: skip
    return {"digital": report.clean} | dict(zip(TIMES, report.table["mean"].tolist(), strict=True))


def summarized(case: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds with intervals: accuracies, normalized by the digital one of the net, and gains."""
    data, net = CASES[case]
    arms: dict[str, dict[str, Any]] = {arm: {} for arm in runs[0]["arms"]}
    for arm, rows in arms.items():
        for condition in runs[0]["arms"][arm]:
            values = np.array([run["arms"][arm][condition] for run in runs])
            digital = np.array([run["arms"][arm]["digital"] for run in runs])
            control = np.array([run["arms"][CONTROL][condition] for run in runs])
            rows[condition] = {
                "accuracy": interval(values),
                "normalized": interval((values - CHANCE) / (digital - CHANCE)),
                "gain": interval(values - control),
            }
    levels = {name: np.array([run["critical"][name] for run in runs]) for name in NONIDEALITIES}
    critical = {
        name: {"median": known(np.median(own)), "least": known(own.min()), "greatest": known(own.max())}
        for name, own in levels.items()
    }
    return {"data": data, "net": net.name, "arms": arms, "critical": critical}


def known(level: float) -> float | None:
    """None for a level beyond those that were tried."""
    return float(f"{level:.4g}") if np.isfinite(level) else None


def interval(values: np.ndarray) -> dict[str, Any]:
    half = float(student_t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    return {
        "mean": round(mean, 4),
        "ci": [round(mean - half, 4), round(mean + half, 4)],
        "seeds": [round(value, 4) for value in values.tolist()],
    }


def show(case: str, answers: dict[str, Any]) -> None:
    print(f"{case} ({answers['net']}, {answers['data']})")
    for arm, rows in answers["arms"].items():
        shares = "  ".join(f"{name} {row['normalized']['mean']:.3f}" for name, row in rows.items() if name in TIMES)
        digital, year = rows["digital"]["accuracy"]["mean"], rows["1y"]["gain"]
        print(f"  {arm:20s} digital {digital:.4f}  normalized: {shares}  gain at 1y {year['mean']:+.4f} {year['ci']}")
    for name, row in answers["critical"].items():
        print(f"  {name:20s} {row['median']} ({row['least']} to {row['greatest']})")


if __name__ == "__main__":
    main()
