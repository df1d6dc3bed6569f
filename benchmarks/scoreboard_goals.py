"""What was aimed at, and what stored results say of it: the rows of `scoreboard.py`, and the last lines of every run.

A function a results file, each from what the file holds to those of its goals that it measured. Bounds stand here, or
in ``*_goals.py`` of files that judge themselves, which have a list "goals". What a goal is about names sizes in
parentheses, so that a quick run, whose sizes are others, speaks of the same goal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Results = dict[str, Any]


MARKS = {True: "held", False: "missed", None: "open"}
# Times over one product of rows and centres, and distortion of centres that are solved on the summary.
SPEED = {"SensitivityCoreset": (0.55, 1.10), "RobustCoreset": (0.9, 1.02), "RobustCoreset exact": (2.5, None)}
MEMORY = 0.2  # of a construction beyond its rows, of theirs
YEAR = 0.99  # share of accuracy above chance that a year of drift leaves
MUTATED = ("coreset.points", "coreset.wire", "imputation_eval.dissimilarity", "analog_eval.noise")


class Goal(NamedTuple):
    """One line of the scoreboard.

    ``held`` is None where a bound alone is known, which does not decide it, or where nothing was ``measured``.
    """

    package: str
    what: str
    goal: str
    measured: str
    held: bool | None

    @property
    def key(self) -> str:
        """What it is about, whatever the sizes."""
        return re.sub(r" \([^()]*\)", "", self.what)


def most(package: str, what: str, bound: float, values: Sequence[float], unit: str = "") -> Goal:
    """All values are to be at most `bound`."""
    held = all(value <= bound for value in values)
    return Goal(package, what, f"≤ {bound:g}{unit}", spanned(values, unit), held)


def least(package: str, what: str, bound: float, values: Sequence[float], unit: str = "") -> Goal:
    """All values are to be at least `bound`."""
    held = all(value >= bound for value in values)
    return Goal(package, what, f"≥ {bound:g}{unit}", spanned(values, unit), held)


def judged(package: str, text: str, measured: str, held: bool) -> Goal:
    """A goal that the benchmark has judged itself, in one text: what it is about, bounds, and sometimes of what."""
    bounds = r"(?:(?:median|worst) )?(?:[<>]=?|within|at most) "
    found = re.fullmatch(rf"(.*?)[:,]? ({bounds}.*?)((?:, (?!median|worst)[^,]*)*)", text)
    if found is None:
        raise ValueError(f"goal {text!r} has no bound")
    what, bound = found[1] + found[3], found[2]
    return Goal(package, what, bound.replace("<=", "≤").replace(">=", "≥"), measured, held)


def spanned(values: Sequence[float], unit: str = "") -> str:
    """The values from least to greatest, in three digits."""
    low, high = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in (min(values), max(values)))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def speed(results: Results) -> Iterator[Goal]:
    """Construction against one product of rows and centres."""
    rows = {str(name): part for name, part in pd.DataFrame(results["rows"]).groupby("method")}
    table = "{:,} x {}".format(*results["shape"])
    for method, (time, distortion) in SPEED.items():
        products = rows[method]["products"].tolist()
        yield most("coreset", f"{method}: time over that of the product ({table})", time, products)
        if distortion:
            found = rows[method]["distortion"].tolist()
            yield most("coreset", f"{method}: distortion, solved centres ({table})", distortion, found)
    sums = rows["LightweightCoreset"]["sums"].tolist()
    yield most("coreset", f"LightweightCoreset: time over that of `X.sum()` ({table})", 4, sums)
    memory = [100 * row["memory"] for row in results["rows"]]
    yield most("coreset", f"all: memory beyond the rows, of theirs ({table})", 100 * MEMORY, memory, " %")


def streaming(results: Results) -> Iterator[Goal]:
    """Streams against one batch."""
    quality = pd.DataFrame(results["quality"])
    ratio = 100 * (quality["stream"] / quality["batch"] - 1)
    for scenario, mine in ratio.groupby(quality["scenario"], sort=False):
        kind, n_rows = str(scenario).split("-")
        name = {"mixture": "mixture", "heavy": "heavy tails"}[kind]
        what = f"stream against batch, {name}: cost above ({int(n_rows):,} x 16)"
        yield most("coreset", what, 1.5, mine.tolist(), " %")


def context(results: Results) -> Iterator[Goal]:
    """Speed of the context quantizer."""
    for row in results["speed"]:
        both = [row["megabytes_a_second"][way] for way in ("encode", "decode")]
        codec = re.sub(r"Quantizer|scope=|'", "", row["codec"]).replace("(", ", ").replace(")", "")
        yield least("coreset", f"{codec}: float64 encoded and decoded (4,000 x 784)", 20, both, " MB/s")


def construction(results: Results) -> Iterator[Goal]:
    """Speed of the plain quantizers."""
    both = [row[way] for row in results["codecs"] for way in ("encode_MB_s", "decode_MB_s")]
    yield least("coreset", "quantizers without the entropy stage: float64 encoded and decoded", 100, both, " MB/s")


def budget(results: Results) -> Iterator[Goal]:
    """Accuracy against bytes."""
    yield from _bytes(results)
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
        values = [float(value) for model in models for value in part[model]]
        what = f"{data}: relative accuracy of three models at {share:.2%} of the bytes"
        if values:
            yield least("coreset", what, bound, values)


def _bytes(results: Results) -> Iterator[Goal]:
    """Bytes at two per cent of lost accuracy, against the published scheme and against plain samples."""
    at_loss = pd.DataFrame(results["bytes_at_loss"]).astype(float)
    tried = pd.DataFrame(results["table"]).groupby(["data", "method"])["n_bytes"].max()
    for data in at_loss.index.intersection(["ames", "diamonds"]):
        ours, published, plain = at_loss.loc[data, ["its scatter", "published", "sample, 4 bits, zstd"]]
        # NaN: the largest message that was tried was not enough, so that the ratio is a lower bound.
        more = "" if np.isfinite(published) else "more than "
        ratio = (published if np.isfinite(published) else tried[data, "published"]) / ours
        held = True if ratio >= 5 else (None if more and np.isfinite(ours) else False)
        what = f"{data}: bytes at 2 % loss, the published scheme's over ours"
        yield Goal("coreset", what, "≥ 5", f"{more}{ratio:.3g}", held)
        largest = tried[data, "sample, 4 bits, zstd"]
        text = f"{ours:,.0f}, not " + (f"{plain:,.0f}" if np.isfinite(plain) else f"more than {largest:,.0f}")
        better = bool(ours < (plain if np.isfinite(plain) else largest))
        yield Goal("coreset", f"{data}: bytes at 2 % loss, less than a 4-bit sample's after zstd", "less", text, better)


def rate(results: Results) -> Iterator[Goal]:
    """Bytes against the bound of rate-distortion theory."""
    rows = pd.DataFrame(results["rows"])
    for mixture, part in rows[rows["multiple"] == 3].groupby("mixture"):
        what = f"{mixture} mixture: k-means cost at 3 times the rate bound"
        yield most("coreset", what, 1.05, [part["distortion"].max()])


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
    what = f"allocation of a budget ({results['n_nodes']:,} nodes x {results['n_levels']} levels)"
    yield most("coreset", what, 1, seconds, " s")


def distributed(results: Results) -> Iterator[Goal]:
    """Many shards against one table."""
    summary = results.get("summary", [])
    cost = [100 * (row["cost_ratio"] - 1) for row in summary]
    tables = ", ".join(dict.fromkeys(row["table"] for row in summary))
    if cost:
        yield most("coreset", f"2 KB a shard: k-means cost above a central build's ({tables})", 2, cost, " %")
    for shards in dict.fromkeys(row["shards"] for row in summary):
        mine = [row for row in summary if row["shards"] == shards]
        found = [model for row in mine for models in row["trained on"].values() for model in models.values()]
        behind = [model["behind"] for model in found]
        # Few seeds may leave it open whether what holds on average holds.
        sure = all(model["half"] is not None and model["behind"] + model["half"] <= 1 for model in found)
        held = False if max(behind) > 1 else (True if sure else None)
        what = f"2 KB a shard, {shards} shards: points of accuracy behind a central build ({tables})"
        yield Goal("coreset", what, "≤ 1", spanned(behind), held)


def ray_speed(results: Results) -> Iterator[Goal]:
    """Runs over Ray."""
    if rows := results.get("rows"):
        table = f"{rows['rows']:,} x {rows['columns']}"
        what = f"Ray: two workers against one ({table})"
        yield least("coreset", what, 1.7, [rows["two_against_one"]], " x")
        what = f"Ray: one worker beyond start-up, over no Ray ({table})"
        yield most("coreset", what, 1, [rows["overhead_s"]], " s")
    if memory := results.get("memory"):
        what = f"Ray: memory of the driver beyond imports ({memory['shards']} shards)"
        yield most("coreset", what, 300, [memory["above_imports_MB"]], " MB")
    if small := results.get("small"):
        yield most("coreset", "Ray, small data: the whole embedded run", 8, [small["done_at_s"]["end"]], " s")


def imputation_speed(results: Results) -> Iterator[Goal]:
    """Scoring imputations."""
    nds = [row for row in results.get("neighborhoods", []) if row["what"] == "nds"]
    if nds:
        largest = max(nds, key=lambda row: row["rows_a_side"])
        table = f"2 x {largest['rows_a_side']:,} x {largest['columns']}"
        what = f"NDS: time over that of the product of all pairs ({table})"
        yield most("imputation_eval", what, 1.9, [largest["products"]])
    for row in results.get("scoring", []):
        if (row["metric"], row["n_draws"]) == ("nds", 5):
            what = "scoring 10 imputers x 20 repeats on 2,000 x 50, five draws of the random ones"
            yield most("imputation_eval", what, 30, [row["scoring_s"]], " s")
    for row in results.get("large", []):
        table = f"{row['rows']:,} x {row['columns']}"
        yield most("imputation_eval", f"a large table: scoring ({table})", 300, [row["scoring_s"]], " s")
        yield most("imputation_eval", f"a large table: memory ({table})", 4000, [row["peak_MB"]], " MB")


def analog_speed(results: Results) -> Iterator[Goal]:
    """Sweeps of scikit-learn's models, and what common random numbers and sampled rows save."""
    seconds = results["seconds"]
    what = "sweep of a scikit-learn perceptron, 100 draws: time"
    yield most("analog_eval", f"{what} over a bare loop", 1.1, [seconds["sweep"] / seconds["bare loop"]])
    yield least("analog_eval", f"{what} of deep copies over ours", 1.6, [seconds["deep copies"] / seconds["sweep"]])
    pairs = results["paired_variance"]["levels"]
    near = {"0.1 and 0.12", "0.2 and 0.24", "0.3 and 0.36"}
    for name, chosen in (("neighbours of the default grid from 0.1 on", pairs.keys() - near), ("a fifth apart", near)):
        yield least("analog_eval", f"variance saved by pairing levels, {name}", 5, [pairs[k] for k in chosen], " x")
    evaluations = [row["row_evaluations"] for row in results["sampled_rows"]]
    yield most("analog_eval", "sampled rows: row evaluations for the same interval", 0.25, evaluations)


def analog_torch_speed(results: Results) -> Iterator[Goal]:
    """Sweeps of torch modules."""
    draws = f"{results['n_draws']} draws"
    for row in results["rows"]:
        over = row["sweep_over"]
        what = f"torch sweep, {row['case']}: time"
        yield most("analog_eval", f"{what} over a bare loop of functions ({draws})", 1.1, [over["bare loop"]])
        yield least("analog_eval", f"{what} of deep copies over ours ({draws})", 1.6, [1 / over["deep copies"]])


def analog_coverage(results: Results) -> Iterator[Goal]:
    """Coverage of intervals; that of levels where few rows are fragile is a goal of its own."""
    rare = [row for row in results["rows"] if "rare" in row["what"]]
    usual = [row for row in results["rows"] if row not in rare]
    for about, rows in (("95 % intervals", usual), ("95 % intervals of levels, rare fragile rows", rare)):
        if rows:
            shares = [100 * row["coverage"] for row in rows]
            held = all(93 <= share <= 97 for share in shares)
            what = f"{about}: coverage ({min(row['repeats'] for row in rows):,} repetitions)"
            yield Goal("analog_eval", what, "93 to 97 %", spanned(shares, " %"), held)


def vs_aihwkit(results: Results) -> Iterator[Goal]:
    """Time against aihwkit; the other nets stand in a table of their own."""
    for case in results["cases"]:
        if case["net"].startswith("mlp"):
            runs = f"{results['draws']} programmings x {len(results['times'])} times"
            what = f"{case['net']}, {case['periphery']} periphery: aihwkit's time over ours ({runs})"
            yield least("analog_eval", what, 10, case["faster"], " x")
    apart = [abs(z) for case in results["cases"] for z in differences(case)]
    what = f"accuracy here and in aihwkit: difference in standard errors ({len(apart)} comparisons)"
    yield most("analog_eval", what, 3, apart)


def differences(case: Results) -> list[float]:
    """Differences of our means from aihwkit's over joint standard errors, one a time and arm."""
    ours, found = case["analog_eval"], []
    for arm in ("aihwkit", "aihwkit, aligned"):
        error = np.hypot(ours["se"], case[arm]["se"])
        found += (np.subtract(ours["mean"], case[arm]["mean"]) / error).tolist()
    return found


def drift(results: Results) -> Iterator[Goal]:
    """A year in phase-change memory."""
    for case, content in results["cases"].items():
        plain, hardened = content["arms"]["plain, remapped"], content["arms"]["through converters"]
        year, other = hardened["1y"]["normalized"], plain["1y"]["normalized"]["mean"]
        low, high = year["ci"]
        held = True if low >= YEAR else (False if high < YEAR else None)
        text = f"{year['mean']:.3f} ({low:.3f} to {high:.3f}); not hardened {other:.3f}"
        what = f"{case} net, {content['data']}: share of accuracy left after a year, hardened through converters"
        yield Goal("analog_eval", what, f"≥ {YEAR:g}", text, held)
        clean = [100 * arm["digital"]["accuracy"]["mean"] for arm in (plain, hardened)]
        yield most("analog_eval", f"{case} net: points of clean accuracy that it costs", 0.5, [clean[0] - clean[1]])


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


def mutation(results: Results) -> Iterator[Goal]:
    """Small changes of modules, and how many a test notices; open where a sample of them does not decide."""
    for module in MUTATED:
        package, what = module.split(".")[0], f"`{module}`: share of small changes of its code that a test notices"
        if row := results.get("modules", {}).get(module):
            low, high = row.get("interval", (row["score"], row["score"]))
            held = True if low >= 0.9 else (None if high >= 0.9 else False)
            scope = f"{row['mutants']} sampled" if "interval" in row else f"all {row['mutants']}"
            yield Goal(package, what, "≥ 90 %", f"{100 * row['score']:.1f} % of {scope}", held)
        else:
            yield Goal(package, what, "≥ 90 %", "", None)


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
    "mutation": mutation,
}
