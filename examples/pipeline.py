"""The main job, end to end on real data.

A table with holes -> which imputer fills them best -> weighted summaries of label-skewed nodes, built by Ray actors
under a byte budget -> models trained on the summaries -> how these models hold under analog weight noise.

``python examples/pipeline.py`` writes ``report.html``, pictures and ``results.json`` into the folder ``out``.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from datasets import Task, images, segments, split_over_nodes
from matplotlib.figure import Figure
from report import Report
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from analog_eval import SweepReport, noise_sweep, plot_sweeps
from coreset import Coreset, DistributedCoreset, Quantizer, UniformCoreset
from imputation_eval import ampute, default_imputers, impute, rank_imputers

MISSING_RATE = 0.1
TABLE_SHARES, IMAGE_SHARES = (0.01, 0.05, 0.2), (0.001, 0.005)
SEEDS = (0, 1, 2)
SUMMARY, SCATTER, UNIFORM, FLOAT32 = "summary", "its scatter", "uniform, same codec", "uniform, float32"
NOISE_LEVELS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
MODELS: dict[str, ClassifierMixin] = {
    "logistic": LogisticRegression(max_iter=300),
    "MLP": MLPClassifier((64,), solver="lbfgs", alpha=0.1, max_iter=60, random_state=0),
}

Summaries = dict[float, dict[str, list[Coreset]]]


def main() -> None:
    arguments = parse_arguments()
    started = time.perf_counter()
    report = Report(arguments.out, "coreset-eval: from a table with holes to models on analog hardware")
    results: dict[str, Any] = {}

    table, classes = segments()
    completed = fill_the_holes(table, arguments.repeats, report, results)
    tasks = {
        split_task("image segments", StandardScaler().fit_transform(completed), classes, n_nodes=4): TABLE_SHARES,
        split_task("MNIST subset", *images(), n_nodes=8): IMAGE_SHARES,
    }

    # One Ray for all runs; DistributedCoreset would otherwise start and stop its own each time.
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", object_store_memory=512 << 20)
    try:
        for task, shares in tasks.items():
            summaries = summarise(task, shares, report, results)
            models = train(task, summaries, report, results)
            sweep(task, models, report, results)
    finally:
        ray.shutdown()

    results["seconds"] = round(time.perf_counter() - started, 1)
    report.text(f"{results['seconds']:.0f} seconds in all; the numbers of these tables are in results.json.")
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Open {report.write()}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the report (default: out)")
    parser.add_argument("--repeats", type=int, default=10, help="masks that the imputers are ranked over (default: 10)")
    return parser.parse_args()


def fill_the_holes(table: pd.DataFrame, n_repeats: int, report: Report, results: dict[str, Any]) -> pd.DataFrame:
    """Rank imputers on the table with holes, and let the winner complete it."""
    report.heading("A table with holes: which imputer fills them best?")
    holes = ampute(table, mechanism="mcar", missing_rate=MISSING_RATE, random_state=0)
    report.text(
        f"image segments: {len(table)} rows x {table.shape[1]} columns, {holes.isna().mean().mean():.0%} of the cells "
        "made missing completely at random."
    )
    imputers = default_imputers()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ranking = rank_imputers(holes, imputers, n_repeats=n_repeats, n_draws=3, n_jobs=2, random_state=0)
    for warning in caught:
        report.text(f"Note: {warning.message}")
    report.table(ranking.table.drop(columns="seconds"), float_format="{:.4f}".format)
    report.text(ranking.explain())
    report.picture("imputers", ranking.plot("forest").figure, "Neighborhood-based Dissimilarity Score of each imputer")
    results["imputation"] = {"winner": ranking.winner, "scores": ranking.table["score"].to_dict()}
    return impute(imputers[ranking.winner], holes, random_state=0)


def split_task(name: str, X: Any, y: np.ndarray, n_nodes: int) -> Task:
    """Hold a fifth of the rows out for testing and deal the others to nodes."""
    rng = np.random.default_rng(0)
    test = np.zeros(len(y), dtype=bool)
    test[rng.permutation(len(y))[: len(y) // 5]] = True
    return split_over_nodes(name, np.asarray(X), y, test, n_nodes, rng)


def summarise(task: Task, shares: tuple[float, ...], report: Report, results: dict[str, Any]) -> Summaries:
    """Summaries of the nodes under each budget, and two uniform samples of the same bytes, for each seed."""
    report.heading(f"{task.name}: summaries of {len(task.X)} nodes, built by Ray actors under a byte budget")
    report.text(task.describe())
    rows, summaries = [], {}
    for share in shares:
        budget = int(share * task.raw_bytes)
        started = time.perf_counter()
        run = DistributedCoreset(budget, num_workers=len(task.X), random_state=SEEDS[0]).fit(task.X, task.y)
        seconds = time.perf_counter() - started
        # The bytes are the same with and without Ray: the other seeds and the baseline save the start of the actors.
        local = DistributedCoreset(budget, backend="local", progress=False)
        summaries[share] = {
            SUMMARY: [run.coreset_, *(fit_local(local, task, seed) for seed in SEEDS[1:])],
            UNIFORM: [fit_local(local.set_params(base=UniformCoreset()), task, seed) for seed in SEEDS],
            FLOAT32: [float32_sample(task, budget, seed) for seed in SEEDS],
        }
        rows.append(
            {
                "share of raw": f"{share:.1%}",
                "budget": budget,
                "sent up": int(run.ledger_.query("direction == 'up'")["bytes"].sum()),
                "codecs": ", ".join(sorted({short_name(codec) for codec in run.plan_["quantizer"]})),
                **{f"points: {method}": len(coresets[0]) for method, coresets in summaries[share].items()},
                "seconds": round(seconds, 1),
            }
        )
    table = pd.DataFrame(rows).set_index("share of raw")
    report.table(table)
    report.text(
        f"'sent up' counts every byte of statistics and summaries. Bytes by node, up and down, at {shares[-1]:.1%}:"
    )
    ledger = run.ledger_.pivot_table(index="node", columns=["direction", "round"], values="bytes")
    report.table(ledger, float_format="{:.0f}".format)
    results.setdefault("summaries", {})[task.name] = table.reset_index().to_dict("records")
    return summaries


def fit_local(local: DistributedCoreset, task: Task, seed: int) -> Coreset:
    """The summary of another seed, without Ray."""
    return local.set_params(random_state=seed).fit(task.X, task.y).coreset_


def short_name(codec: Quantizer) -> str:
    """The codec in a few letters, like "uniform/2" for two bits a value."""
    name, bits, *_ = codec.get_config().values()
    return f"{name}/{bits}"


def float32_sample(task: Task, budget: int, seed: int) -> Coreset:
    """As many random rows as fit in float32 with a byte for the label: what one would send without this package."""
    X, y = np.concatenate(task.X), np.concatenate(task.y)
    n_rows = min(len(X), budget // (X.shape[1] * 4 + 1))
    rows = np.random.default_rng(seed).choice(len(X), n_rows, replace=False)
    return Coreset(X[rows], np.full(n_rows, len(X) / n_rows), labels=y[rows], n_source=len(X), source_dtype=X.dtype)


def train(
    task: Task, summaries: Summaries, report: Report, results: dict[str, Any]
) -> dict[str, dict[str, ClassifierMixin]]:
    """Train each model on everything and on each summary; return those that the noise sweep compares."""
    report.heading(f"{task.name}: models trained on the summaries")
    X, y = np.concatenate(task.X), np.concatenate(task.y)
    everything = Coreset(X, np.ones(len(X)), labels=y)
    middle = list(summaries)[1]
    rows, kept = [], {}
    for name, model in MODELS.items():
        full = fit(model, everything)
        kept[name] = {"everything": full}
        rows.append({"model": name, "share of raw": 1.0, "trained on": "everything", **accuracies([full], task)})
        for share, methods in summaries.items():
            for method, coresets in {**methods, SCATTER: methods[SUMMARY]}.items():
                fitted = [fit(model, coreset, scattered=method == SCATTER) for coreset in coresets]
                rows.append({"model": name, "share of raw": share, "trained on": method, **accuracies(fitted, task)})
                if (share, method) == (middle, SCATTER):
                    kept[name][f"scatter of {share:.1%}"] = fitted[0]
    scores = pd.DataFrame(rows)
    report.table(accuracy_table(scores), na_rep="")
    error = np.sqrt(0.9 * 0.1 / len(task.y_test))
    report.text(
        f"Accuracy on {len(task.y_test)} test rows: mean over {len(SEEDS)} seeds of the summary, and their standard "
        f"deviation. The split is one: an accuracy of 0.9 has a standard error of {error:.3f} from the test rows. "
        "'its scatter' trains on the same bytes, every point replaced by deviates as wide as its cell."
    )
    report.picture(f"accuracy-{slug(task)}", accuracy_plot(scores, task.name), "Test accuracy against the bytes sent")
    results.setdefault("accuracy", {})[task.name] = rows
    return kept


def fit(model: ClassifierMixin, coreset: Coreset, *, scattered: bool = False) -> ClassifierMixin:
    """Train on the weighted points; a sample that holds one class trains the only model that it can."""
    chosen = model if len(np.unique(coreset.labels)) > 1 else DummyClassifier()
    # About as many deviates as the source had rows, in pairs, but no more than 8 a point.
    copies = 2 * int(np.clip(round(coreset.n_source / len(coreset) / 2), 1, 4)) if scattered else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the step limits in MODELS are part of the comparison
        return coreset.train(chosen, copies=copies)


def accuracies(models: list[ClassifierMixin], task: Task) -> dict[str, float]:
    """Mean and standard deviation of test accuracy."""
    scores = [model.score(task.X_test, task.y_test) for model in models]
    return {"accuracy": float(np.mean(scores)), "sd": float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0}


def accuracy_table(scores: pd.DataFrame) -> pd.DataFrame:
    """A row a share and method, a column a model."""
    text = scores["accuracy"].map("{:.3f}".format) + scores["sd"].map(lambda sd: f" ± {sd:.3f}" if sd else "")
    shares = scores["share of raw"].map("{:.1%}".format)
    return scores.assign(text=text, **{"share of raw": shares}).pivot_table(
        index=["share of raw", "trained on"], columns="model", values="text", aggfunc="first", sort=False
    )


def accuracy_plot(scores: pd.DataFrame, title: str) -> Figure:
    """Accuracy against bytes, a panel a model."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (name, part) in zip(figure.subplots(1, 2, sharey=True), scores.groupby("model", sort=False), strict=True):
        shares = sorted(part.loc[part["share of raw"] < 1, "share of raw"].unique())
        for method, line in part[part["share of raw"] < 1].groupby("trained on", sort=False):
            axes.errorbar(line["share of raw"], line["accuracy"], yerr=line["sd"], fmt="o-", capsize=3, label=method)
        axes.axhline(part.loc[part["share of raw"] == 1, "accuracy"].item(), color="gray", ls="--", label="everything")
        axes.set(xscale="log", xlabel="bytes sent, share of the raw float32", title=f"{title}: {name}")
        axes.set_xticks(shares, [f"{share:.1%}" for share in shares])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("test accuracy")
    figure.axes[0].legend(frameon=False)
    return figure


def sweep(task: Task, models: dict[str, dict[str, ClassifierMixin]], report: Report, results: dict[str, Any]) -> None:
    """Weight noise on models trained on everything and on a summary, side by side."""
    report.heading(f"{task.name}: the same models under analog weight noise")
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    columns, numbers = {}, {}
    for axes, (name, by_source) in zip(figure.subplots(1, 2, sharey=True), models.items(), strict=True):
        sweeps = {
            source: noise_sweep(model, task.X_test, task.y_test, levels=NOISE_LEVELS, n_draws=25, random_state=0)
            for source, model in by_source.items()
        }
        plot_sweeps(sweeps, xlabel="noise level", ylabel="test accuracy", title=f"{task.name}: {name}", ax=axes)
        for source, swept in sweeps.items():
            columns[name, source] = noise_column(swept)
            numbers[f"{name}, {source}"] = noise_column(swept).to_dict()
    report.table(pd.DataFrame(columns), float_format="{:.3f}".format)
    report.text(
        "Level: standard deviation of the Gaussian weight noise over that of the tensor's weights. Means over 25 "
        "draws, the same draws for all models of one shape; the bands hold draws and test rows (95 %). "
        f"One model each, of seed {SEEDS[0]}."
    )
    report.picture(f"noise-{slug(task)}", figure, "Accuracy under Gaussian weight noise")
    results.setdefault("noise", {})[task.name] = numbers


def noise_column(swept: SweepReport) -> pd.Series:
    """Mean accuracy at each level, with the clean one and the average."""
    means = swept.table["mean"].rename(index=lambda level: f"level {level:g}")
    average = pd.Series({"average normalized": swept.average_normalized})
    return pd.concat([pd.Series({"without noise": swept.clean}), means, average])


def slug(task: Task) -> str:
    """The task's name as part of a file name."""
    return task.name.replace(" ", "-").lower()


if __name__ == "__main__":
    main()
