"""One page of all goals, with what was measured, and of all peers; writes ``docs/scoreboard.md``.

    python benchmarks/scoreboard.py [--check]

Everything stands in ``benchmarks/results``; nothing is measured here. A goal that was missed is shown as missed. With
``--check`` the page is compared with what would be written, and nothing changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from peers_goals import of_others
from scoreboard_goals import GOALS, Goal, Results, differences

ROOT = Path(__file__).parent.parent
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "scoreboard.md"
PACKAGES = ("coreset", "imputation_eval", "analog_eval")
MARKS = {True: "held", False: "**missed**", None: "open"}
N_BOOTSTRAP = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    check = parser.parse_args().check
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE}")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE} is not what the results say; run python benchmarks/scoreboard.py")


def page() -> str:
    """The whole page."""
    results = {name: load(name) for name in GOALS}
    goals = {name: list(read(results[name])) for name, read in GOALS.items()}
    every = [goal for part in goals.values() for goal in part]
    counts = {mark: sum(goal.held is held for goal in every) for held, mark in MARKS.items()}
    return "\n".join(
        [
            "# Scoreboard",
            "",
            "Goals that were set for the three packages, what was measured, and the packages that others would use",
            "instead. `benchmarks/scoreboard.py` writes this page from `benchmarks/results`. A goal is for every value",
            "of a range: for each seed, table or level.",
            "",
            f"Of {len(every)} goals {counts['held']} hold and {counts['**missed**']} are missed;",
            f"{counts['open']} are open: a bound alone is known, or the interval of what was measured holds the goal.",
            "",
            *peers_section(results["peers"]),
            *bytes_section(results["budget"]),
            *aihwkit_section(results["vs_aihwkit"]),
            *goals_section(goals),
            *runs_section(results),
        ]
    )


def load(name: str) -> Results:
    """One results file."""
    content: Results = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def peers_section(results: Results) -> Iterator[str]:
    """Summaries of equally many points: ours against the best peer of each data set."""
    yield "## Against other packages: summaries"
    yield ""
    yield "Excess: by how much k-means costs more when it is solved on a summary of equally many points than on the"
    yield "data. Ratios are of medians over seeds, with 95 % intervals from 2,000 bootstrap samples of the seeds (3 of"
    yield "most peers, so that they are rough). Below 1 is in favour of `RobustCoreset`. The best peer is"
    yield "the one of the least excess."
    yield ""
    yield "| data | best peer | its excess | ours | ratio of excess | ratio of CPU time |"
    yield "|---|---|---|---|---|---|"
    rows = pd.DataFrame([row for row in results["results"] if row["status"] == "ok"])
    for scenario, part in rows.groupby("scenario", sort=False):
        by_method = {str(name): own for name, own in part.groupby("method")}
        peers = {name: own["distortion"].median() for name, own in by_method.items() if of_others(name)}
        best = min(peers, key=peers.__getitem__)
        ours, theirs = by_method["RobustCoreset"], by_method[best]
        excess = ratio(ours["distortion"].to_numpy() - 1, theirs["distortion"].to_numpy() - 1)
        seconds = ratio(ours["seconds"].to_numpy(), theirs["seconds"].to_numpy())
        median = ours["distortion"].median() - 1
        yield f"| {scenario} | {best} | {peers[best] - 1:.2g} | {median:.2g} | {excess} | {seconds} |"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    yield ""
    yield f"({versions}; {results['limit_seconds']} s a run at most.)"
    yield ""
    yield "![distortion and time](../benchmarks/results/peers.png)"
    yield ""


def ratio(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Ratio of medians, with a bootstrap interval."""
    rng = np.random.default_rng(0)
    medians = [np.median(rng.choice(values, size=(N_BOOTSTRAP, len(values))), axis=1) for values in (ours, theirs)]
    low, high = np.percentile(medians[0] / medians[1], (2.5, 97.5))
    return f"{np.median(ours) / np.median(theirs):.2g} ({low:.2g} to {high:.2g})"


def bytes_section(results: Results) -> Iterator[str]:
    """Bytes at two per cent of lost accuracy."""
    names = {
        "its scatter": "scatter of a summary",
        "sample, our codecs": "sample in our codecs",
        "sample, 4 bits, zstd": "4-bit sample, zstd",
        "published": "published rounding scheme",
        "sensitivity, float32": "sensitivity sample, float32",
    }
    at_loss = pd.DataFrame(results["bytes_at_loss"]).astype(float)[list(names)]
    tried = pd.DataFrame(results["table"]).groupby(["data", "method"])["n_bytes"].max()
    yield "## Against other ways to send rows: bytes"
    yield ""
    yield f"Bytes at which three models have lost 2 % of their accuracy on average, {results['seeds']} splits each."
    yield ""
    yield f"| data | {' | '.join(names.values())} |"
    yield f"|---|{'---|' * len(names)}"
    for data, row in at_loss.iterrows():
        cells = [f"{v:,.0f}" if np.isfinite(v) else f"more than {tried[data, name]:,.0f}" for name, v in row.items()]
        yield f"| {data} | {' | '.join(cells)} |"
    yield ""


def aihwkit_section(results: Results) -> Iterator[str]:
    """Parity with aihwkit and times."""
    yield "## Against aihwkit: a year of drift"
    yield ""
    yield f"{results['draws']} programmings, six times; the range is that of {results['rounds']} rounds. z: greatest"
    yield "difference of means in joint standard errors, over all times; by chance one run of so many in twenty has one"
    yield f"beyond {results['limit']:.1f}."
    yield ""
    yield "| net | periphery | aihwkit's CPU time over ours | z |"
    yield "|---|---|---|---|"
    for case in results["cases"]:
        z = max(abs(value) for value in differences(case))
        times = f"{min(case['faster']):.2g} to {max(case['faster']):.2g}"
        yield f"| {case['net']} | {case['periphery']} | {times} | {z:.1f} |"
    load = results["load"]
    if load["before"] > load["cores"]:
        yield ""
        yield f"Other work ran on the machine, {load['before']:.1f} processes on {load['cores']} cores, for both sides."
    yield ""


def goals_section(goals: dict[str, list[Goal]]) -> Iterator[str]:
    """Every goal, by package."""
    yield "## Goals"
    yield ""
    every = [(goal, name) for name, part in goals.items() for goal in part]
    for package, rows in groupby(
        sorted(every, key=lambda pair: PACKAGES.index(pair[0].package)), lambda pair: pair[0].package
    ):
        yield f"### `{package}`"
        yield ""
        yield "| what | goal | measured | | file |"
        yield "|---|---|---|---|---|"
        for goal, name in rows:
            yield f"| {goal.what} | {goal.goal} | {goal.measured} | {MARKS[goal.held]} | {name} |"
        yield ""


def runs_section(results: dict[str, Results]) -> Iterator[str]:
    """Where and when everything was measured."""
    yield "## Runs"
    yield ""
    yield "| file | command | date | machine |"
    yield "|---|---|---|---|"
    for name, content in results.items():
        dates = [content.get("date"), *(case.get("date") for case in _cases(content))]
        date = max(filter(None, dates), default="")
        yield f"| {name} | `{content['command']}` | {date} | {content.get('machine', '')} |"
    yield ""


def _cases(content: Results) -> list[Results]:
    cases = content.get("cases", {})
    return [case for case in (cases.values() if isinstance(cases, dict) else cases) if isinstance(case, dict)]


if __name__ == "__main__":
    main()
