"""What was aimed at, and what the stored results say of it: the rows of `scoreboard.py`.

A function a results file, each from what the file holds to its goals. Files that judge themselves have a list "goals".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Results = dict[str, Any]


class Goal(NamedTuple):
    """One line of the scoreboard; ``held`` is None where a bound alone is known, which does not decide it."""

    package: str
    what: str
    goal: str
    measured: str
    held: bool | None


def most(package: str, what: str, bound: float, values: Sequence[float], unit: str = "") -> Goal:
    """All values are to be at most `bound`."""
    return Goal(package, what, f"≤ {bound:g}{unit}", spanned(values, unit), bool(max(values) <= bound))


def least(package: str, what: str, bound: float, values: Sequence[float], unit: str = "") -> Goal:
    """All values are to be at least `bound`."""
    return Goal(package, what, f"≥ {bound:g}{unit}", spanned(values, unit), bool(min(values) >= bound))


def judged(package: str, text: str, measured: str, held: bool) -> Goal:
    """A goal that the benchmark itself has judged, in one text: what it is about, and the bounds from ≤ or ≥ on."""
    found = re.fullmatch(r"(.*?)[:,]? ((?:\w+ )?[<>]= .*)", text)
    what, bound = found.groups() if found else (text, "")
    return Goal(package, what, bound.replace("<=", "≤").replace(">=", "≥"), measured, held)


def spanned(values: Sequence[float], unit: str = "") -> str:
    """The values from least to greatest, in three digits."""
    low, high = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in (min(values), max(values)))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def speed(results: Results) -> Iterator[Goal]:
    """Construction against one product of rows and centres."""
    rows = pd.DataFrame(results["rows"]).groupby("method")
    median, table = rows.median(numeric_only=True), "1,000,000 x 64"
    bounds = {"SensitivityCoreset": (0.55, 1.10), "RobustCoreset": (0.9, 1.02), "RobustCoreset exact": (2.5, None)}
    for method, (time, distortion) in bounds.items():
        yield most("coreset", f"{method}, {table}: time over that of the product", time, [median["products"][method]])
        if distortion:
            worst = rows["distortion"].max()[method]
            yield most("coreset", f"{method}, {table}: distortion, solved centres", distortion, [worst])
    sums = [median["sums"]["LightweightCoreset"]]
    yield most("coreset", f"LightweightCoreset, {table}: time over that of `X.sum()`", 4, sums)
    memory = 100 * rows["memory"].max()
    yield most("coreset", f"all, {table}: memory beyond the rows, of theirs", 20, memory.tolist(), " %")


def streaming(results: Results) -> Iterator[Goal]:
    """Streams against one batch."""
    quality = pd.DataFrame(results["quality"])
    ratio = 100 * (quality["stream"] / quality["batch"] - 1)
    for kind, name in (("mixture", "10,000,000 x 16, mixture"), ("heavy", "1,000,000 x 16, heavy tails")):
        mine = ratio[quality["scenario"].str.startswith(kind)].tolist()
        yield most("coreset", f"stream against batch, {name}: cost above", 1.5, mine, " %")


def context(results: Results) -> Iterator[Goal]:
    """Speed of the context quantizer."""
    for row in results["speed"]:
        both = [row["megabytes_a_second"][way] for way in ("encode", "decode")]
        codec = re.sub(r"Quantizer|scope=|'", "", row["codec"])
        yield least("coreset", f"{codec}, 4,000 x 784: float64 encoded and decoded", 20, both, " MB/s")


def construction(results: Results) -> Iterator[Goal]:
    """Speed of the plain quantizers."""
    both = [row[way] for row in results["codecs"] for way in ("encode_MB_s", "decode_MB_s")]
    yield least("coreset", "quantizers without the entropy stage: float64 encoded and decoded", 100, both, " MB/s")


def budget(results: Results) -> Iterator[Goal]:
    """Accuracy against bytes."""
    at_loss = pd.DataFrame(results["bytes_at_loss"]).astype(float)
    for data in ("ames", "diamonds"):
        row = at_loss.loc[data]
        # None: the largest message that was tried was not enough, so that the ratio is a lower bound.
        short = [r for r in results["table"] if r["data"] == data and r["method"] == "published"]
        published = row["published"] if np.isfinite(row["published"]) else max(r["n_bytes"] for r in short)
        more = "" if np.isfinite(row["published"]) else "more than "
        ratio = published / row["its scatter"]
        held = True if ratio >= 5 else (None if more else False)
        what = f"{data}: bytes at 2 % loss, the published scheme's over ours"
        yield Goal("coreset", what, "≥ 5", f"{more}{ratio:.3g}", held)
        plain = row["sample, 4 bits, zstd"]
        better = not np.isfinite(plain) or row["its scatter"] < plain
        text = f"{row['its scatter']:,.0f} and " + (f"{plain:,.0f}" if np.isfinite(plain) else "never")
        yield Goal(
            "coreset", f"{data}: bytes at 2 % loss, below a 4-bit sample's after zstd", "below", text, bool(better)
        )
    models = ("logistic regression", "SVM", "neural net")
    table = pd.DataFrame(results["table"])
    scatter = table[table["method"] == "its scatter"]
    for data, share, bound in (
        ("mnist", 0.0005, 0.95),
        ("mnist", 0.001, 0.97),
        ("mnist", 0.0025, 0.985),
        ("digits", 0.01, 0.98),
        ("breast-cancer", 0.01, 0.97),
    ):
        part = scatter[(scatter["data"] == data) & np.isclose(scatter["share"], share)]
        if len(part):
            values = [float(part[model].iloc[0]) for model in models]
            yield least(
                "coreset", f"{data}: relative accuracy of three models at {share:.2%} of the bytes", bound, values
            )


def rate(results: Results) -> Iterator[Goal]:
    """Bytes against the bound of rate-distortion theory."""
    rows = pd.DataFrame(results["rows"])
    for mixture, part in rows.groupby("mixture"):
        worst = part.groupby("multiple")["distortion"].max()
        yield most("coreset", f"{mixture} mixture: k-means cost at 3 times the rate bound", 1.05, [worst[3.0]])


def planner(results: Results) -> Iterator[Goal]:
    """The empirical planner against all candidates."""
    runs = [p for run in results["runs"] for p in run["planners"] if p["planner"] == "empirical"]
    excess = [100 * run["excess"] for run in runs]
    near = sum(value <= 2 for value in excess)
    text = f"{near} of {len(excess)} cases; worst {max(excess):.2g} %"
    yield Goal(
        "coreset", "empirical planner: error above that of the best candidate", "≤ 2 %", text, near == len(excess)
    )
    cost = [run["cpu_messages"] for run in runs]
    yield most("coreset", "empirical planner: CPU time over building and sending the choice once", 1.5, cost)


def allocation(results: Results) -> Iterator[Goal]:
    """Shares of a budget."""
    seconds = [row["seconds"] for row in results["rows"]]
    yield most("coreset", "allocation over 10,000 nodes x 50 levels", 1, seconds, " s")


def distributed(results: Results) -> Iterator[Goal]:
    """Many shards against one table."""
    cost = [100 * (row["cost_ratio"] - 1) for row in results["summary"]]
    yield most("coreset", "2 KB a shard: k-means cost above a central build's", 2, cost, " %")
    for shards in (8, 64):
        mine = [row for row in results["summary"] if row["shards"] == shards]
        behind = [m["behind"] for row in mine for models in row["trained on"].values() for m in models.values()]
        yield most("coreset", f"2 KB a shard, {shards} shards: points of accuracy behind a central build", 1, behind)


def ray_speed(results: Results) -> Iterator[Goal]:
    """Runs over Ray."""
    rows = results["rows"]
    yield least("coreset", "Ray, 4,000,000 x 32: two workers against one", 1.7, [rows["two_against_one"]], " x")
    memory = results["memory"]["above_imports_MB"]
    yield most("coreset", "Ray, 512 shards: memory of the driver beyond imports", 300, [memory], " MB")
    end = results["small"]["done_at_s"]["end"]
    yield most("coreset", "Ray, small data: the whole embedded run", 8, [end], " s")


def imputation_speed(results: Results) -> Iterator[Goal]:
    """Scoring imputations."""
    rows = {(row["what"], row["rows_a_side"]): row for row in results["neighborhoods"]}
    nds = rows["nds", 20000]["products"]
    yield most("imputation_eval", "NDS of 2 x 20,000 x 50: time over that of the product of all pairs", 1.9, [nds])
    seconds = next(row["scoring_s"] for row in results["scoring"] if row["metric"] == "nds" and row["n_draws"] == 5)
    what = "scoring 10 imputers x 20 repeats on 2,000 x 50, five draws of the random ones"
    yield most("imputation_eval", what, 30, [seconds], " s")
    (large,) = results["large"]
    yield most("imputation_eval", "1,000,000 x 20: scoring", 300, [large["scoring_s"]], " s")
    yield most("imputation_eval", "1,000,000 x 20: memory", 4000, [large["peak_MB"]], " MB")


def analog_speed(results: Results) -> Iterator[Goal]:
    """Sweeps of scikit-learn's models, and what common random numbers and sampled rows save."""
    pairs = results["paired_variance"]["levels"]
    for name, chosen in (
        ("default grid", ("0.1 and 0.2", "0.2 and 0.3", "0.3 and 0.4")),
        ("levels a fifth apart", None),
    ):
        values = [v for k, v in pairs.items() if (k in chosen if chosen else k.endswith(("0.12", "0.24", "0.36")))]
        yield least("analog_eval", f"variance saved by pairing levels, {name}", 5, values, " x")
    evaluations = [row["row_evaluations"] for row in results["sampled_rows"]]
    yield most("analog_eval", "sampled rows: row evaluations for the same interval", 0.25, evaluations)


def analog_torch_speed(results: Results) -> Iterator[Goal]:
    """Sweeps of torch modules."""
    for row in results["rows"]:
        over = row["sweep_over"]
        what = f"torch sweep, 100 draws, {row['case']}: time"
        yield most("analog_eval", f"{what} over a bare loop of functions", 1.1, [over["bare loop"]])
        yield most("analog_eval", f"{what} over a loop of `functional_call`", 1.1, [over["functional_call"]])
        yield least("analog_eval", f"{what} of deep copies over ours", 1.6, [1 / over["deep copies"]])


def analog_coverage(results: Results) -> Iterator[Goal]:
    """Coverage of intervals."""
    shares = [100 * row["coverage"] for row in results["rows"]]
    held = all(93 <= share <= 97 for share in shares)
    yield Goal("analog_eval", "95 % intervals, 2,000 repetitions: coverage", "93 to 97 %", spanned(shares, " %"), held)


def vs_aihwkit(results: Results) -> Iterator[Goal]:
    """Time against aihwkit; the other nets stand in a table of their own."""
    for case in results["cases"]:
        if case["net"].startswith("mlp"):
            what = f"{case['net']}, {case['periphery']} periphery, 100 programmings x 6 times: aihwkit's time over ours"
            yield least("analog_eval", what, 10, case["faster"], " x")


def drift(results: Results) -> Iterator[Goal]:
    """A year in phase-change memory."""
    for case, content in results["cases"].items():
        arms = {name: arm["1y"]["normalized"]["mean"] for name, arm in content["arms"].items()}
        best = arms["through converters"]
        what = f"{case} net, {content['data']}: accuracy left after a year, hardened ({arms['plain']:.3f} if not)"
        yield least("analog_eval", what, 0.99, [best])


def analog_memory(results: Results) -> Iterator[Goal]:
    """Large models."""
    peaks = [case["peak_gb"] for case in results["cases"].values()]
    yield most("analog_eval", "50,000,000 weights: memory of sweeps and hardening", 8, [max(peaks)], " GB")


def peers(results: Results) -> Iterator[Goal]:
    """Distortion, judged by the benchmark itself."""
    for row in results["goals"]:
        yield judged("coreset", row["goal"], row["measured"], row["held"])


def imputation(results: Results) -> Iterator[Goal]:
    """Calibration and power, judged by the benchmark itself."""
    for row in results["goals"]:
        yield judged("imputation_eval", row["goal"], row["found"], row["held"])


GOALS: dict[str, Callable[[Results], Iterator[Goal]]] = {
    "speed": speed,
    "construction": construction,
    "context": context,
    "peers": peers,
    "streaming": streaming,
    "budget": budget,
    "rate": rate,
    "planner": planner,
    "allocation": allocation,
    "distributed": distributed,
    "ray_speed": ray_speed,
    "imputation": imputation,
    "imputation_speed": imputation_speed,
    "analog_coverage": analog_coverage,
    "analog_speed": analog_speed,
    "analog_torch_speed": analog_torch_speed,
    "drift": drift,
    "vs_aihwkit": vs_aihwkit,
    "analog_memory": analog_memory,
}
