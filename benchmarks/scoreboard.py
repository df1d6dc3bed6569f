"""One page of all goals, with what was measured, and of all peers; writes ``docs/scoreboard.md``.

    python benchmarks/scoreboard.py [--check | --quick]

Everything stands in ``benchmarks/results``; nothing is measured here. A goal that was missed is shown as missed. With
``--check`` the page is compared with what would be written, and nothing changes. With ``--quick`` the page is that of
the quick runs in ``out/bench``, and lies there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from harness import QUICK_RESULTS, RESULTS, ROOT
from peers_goals import of_others
from run import BENCHMARKS
from scoreboard_goals import GOALS, MARKS, Goal, Results, differences

PAGE = ROOT / "docs" / "scoreboard.md"
PACKAGES = ("coreset", "imputation_eval", "analog_eval")
N_BOOTSTRAP = 2000
LEAST_EXCESS = 1e-5  # stands for less, so that ratios mean something


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date, and write nothing")
    parser.add_argument("--quick", action="store_true", help="the page of the quick runs")
    given = parser.parse_args()
    if given.check and PAGE.read_text(encoding="utf-8") != full_page():
        sys.exit(f"{PAGE} is not what the results say; run python benchmarks/scoreboard.py")
    if not given.check:
        print(f"wrote {write(QUICK_RESULTS if given.quick else RESULTS)}")


def write(folder: Path) -> Path:
    """Write the page of a folder of results: the full ones' into the documentation, others' beside them."""
    target = PAGE if folder == RESULTS else folder / PAGE.name
    target.write_text(full_page() if folder == RESULTS else quick_page(folder), encoding="utf-8")
    return target


def full_page() -> str:
    """The page of the committed results."""
    results = {name: load(RESULTS, name) for name in GOALS}
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
            f"Of {len(every)} goals {counts['held']} hold and {counts['missed']} are missed;",
            f"{counts['open']} are open: a bound alone is known, the interval of what was measured holds the goal, or",
            "nothing was measured yet.",
            "",
            *compared_with_others(results, os.path.relpath(RESULTS, PAGE.parent)),
            *goals_section(goals),
            *runs_section(results),
        ]
    )


def quick_page(folder: Path) -> str:
    """The same of quick runs, for all goals of the full ones; those that have not been measured say so."""
    results = {name: load(folder, name) for name in BENCHMARKS}
    full = {name: list(read(load(RESULTS, name))) for name, read in GOALS.items()}
    measured = {name: measured_goals(name, results.get(name, {})) for name in GOALS}
    goals = {name: side_by_side(full[name], measured[name]) for name in GOALS}
    n_measured = sum(bool(goal.measured) for part in goals.values() for goal in part)
    n_missed = sum(goal.held is False for part in goals.values() for goal in part)
    pictures = sorted(path.name for path in folder.glob("*.png"))
    return "\n".join(
        [
            "# Scoreboard, quick form",
            "",
            "**Quick figures**: few seeds, small tables, short runs, so that whether a goal is held or missed here may",
            "be chance or size, and times suffer from whatever else the machine does. Sizes in parentheses are those",
            "of this run. What counts is the full form, `make bench-all`, whose page is `docs/scoreboard.md`; its",
            "verdicts stand beside.",
            "",
            f"Of {sum(map(len, goals.values()))} goals {n_measured} were measured, and {n_missed} of these missed.",
            "",
            *compared_with_others(results, "."),
            *goals_section(goals, full),
            *runs_section(results),
            "## Pictures",
            "",
            *(f"![{name}]({name})\n" for name in pictures),
        ]
    )


def load(folder: Path, name: str) -> Results:
    """One results file; nothing where there is none."""
    path = folder / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content if isinstance(content, dict) else {"rows": content}


def has_results(content: Results) -> bool:
    """Whether a benchmark ran, and had what it needs."""
    return bool(content) and "skipped" not in content


def measured_goals(name: str, content: Results) -> list[Goal]:
    """Goals of which a run has measured something."""
    return [goal for goal in GOALS[name](content) if goal.measured] if has_results(content) else []


def side_by_side(full: list[Goal], measured: list[Goal]) -> list[Goal]:
    """The goals of full results as a quick run measured them, and what else it measured."""
    found = {goal.key: goal for goal in measured}
    known = [found.pop(goal.key, goal._replace(measured="", held=None)) for goal in full]
    return known + list(found.values())


def compared_with_others(results: Mapping[str, Results], pictures: str) -> Iterator[str]:
    """What there is of the sections on other packages and ways."""
    if has_results(results["peers"]):
        yield from peers_section(results["peers"], pictures)
    if has_results(results["budget"]):
        yield from bytes_section(results["budget"])
    if has_results(results["vs_aihwkit"]):
        yield from aihwkit_section(results["vs_aihwkit"])
    elif "skipped" in results["vs_aihwkit"]:
        yield from ("## Against aihwkit: a year of drift", "", f"Not measured: {results['vs_aihwkit']['skipped']}", "")


def peers_section(results: Results, pictures: str) -> Iterator[str]:
    """Summaries of equally many points: ours against the best peer of each data set, and against each peer."""
    yield "## Against other packages: summaries"
    yield ""
    yield "Excess: by how much k-means costs more when it is solved on a summary of equally many points than on the"
    yield "data. Ratios are of medians over seeds, with 95 % intervals from 2,000 bootstrap samples of the seeds, which"
    yield "are few, so that intervals are rough. Below 1 is in favour of `RobustCoreset`. The best peer is the one of"
    yield f"the least excess; less than {LEAST_EXCESS:g} counts as that."
    yield ""
    yield "| data | best peer | its excess | ours | ratio of excess | ratio of CPU time |"
    yield "|---|---|---|---|---|---|"
    rows = pd.DataFrame([row for row in results["results"] if row["status"] == "ok"])
    rows["excess"] = (rows["distortion"] - 1).clip(LEAST_EXCESS)
    by_peer: dict[str, list[tuple[pd.DataFrame, pd.DataFrame]]] = {}
    for scenario, part in rows.groupby("scenario", sort=False):
        by_method = {str(name): own for name, own in part.groupby("method")}
        ours = by_method["RobustCoreset"]
        peers = {name: own["excess"].median() for name, own in by_method.items() if of_others(name)}
        for name in peers:
            by_peer.setdefault(name, []).append((ours, by_method[name]))
        if not peers:
            continue
        best = min(peers, key=peers.__getitem__)
        ratios = [ratio([(ours[column], by_method[best][column])]) for column in ("excess", "seconds")]
        yield f"| {scenario} | {best} | {peers[best]:.2g} | {ours['excess'].median():.2g} | {' | '.join(ratios)} |"
    yield ""
    yield "Each peer, over the data that it was run on: geometric means of the same ratios."
    yield ""
    yield "| peer | data sets | ratio of excess | ratio of CPU time |"
    yield "|---|---|---|---|"
    for name, pairs in sorted(by_peer.items()):
        ratios = [ratio([(our[column], their[column]) for our, their in pairs]) for column in ("excess", "seconds")]
        yield f"| {name} | {len(pairs)} | {' | '.join(ratios)} |"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    yield ""
    yield f"({versions}; {results['limit_seconds']} s a run at most.)"
    yield ""
    yield f"![distortion and time]({pictures}/peers.png)"
    yield ""


def ratio(pairs: list[tuple[pd.Series, pd.Series]]) -> str:
    """Geometric mean over data sets of ratios of medians, ours over theirs, with a bootstrap interval."""
    rng = np.random.default_rng(0)
    middles, samples = [], []
    for sides in pairs:
        values = [side.to_numpy() for side in sides]
        medians = [np.median(rng.choice(side, size=(N_BOOTSTRAP, len(side))), axis=1) for side in values]
        samples.append(medians[0] / medians[1])
        middles.append(np.median(values[0]) / np.median(values[1]))
    low, high = np.percentile(_geometric_mean(samples), (2.5, 97.5))
    known = any(len(side) > 1 for sides in pairs for side in sides)
    return f"{_geometric_mean(middles):.2g} ({f'{low:.2g} to {high:.2g}' if known else 'one seed'})"


def _geometric_mean(values: list[np.ndarray]) -> np.ndarray:
    return values[0] if len(values) == 1 else np.exp(np.mean(np.log(values), axis=0))


def bytes_section(results: Results) -> Iterator[str]:
    """Bytes at two per cent of lost accuracy."""
    names = {
        "its scatter": "scatter of a summary",
        "sample, our codecs": "sample in our codecs",
        "sample, 4 bits, zstd": "4-bit sample, zstd",
        "published": "published rounding scheme",
        "sensitivity, float32": "sensitivity sample, float32",
    }
    at_loss = pd.DataFrame(results["bytes_at_loss"]).astype(float).reindex(columns=list(names))
    tried = pd.DataFrame(results["table"]).groupby(["data", "method"])["n_bytes"].max()
    yield "## Against other ways to send rows: bytes"
    yield ""
    yield f"Bytes at which three models have lost 2 % of their accuracy on average, {results['seeds']} splits each."
    yield ""
    yield f"| data | {' | '.join(names.values())} |"
    yield f"|---|{'---|' * len(names)}"
    for data, row in at_loss.iterrows():
        most = {name: tried.get((data, name), np.nan) for name in names}
        untold = {name: f"more than {size:,.0f}" if np.isfinite(size) else "–" for name, size in most.items()}
        cells = [f"{v:,.0f}" if np.isfinite(v) else untold[str(name)] for name, v in row.items()]
        yield f"| {data} | {' | '.join(cells)} |"
    yield ""


def aihwkit_section(results: Results) -> Iterator[str]:
    """Parity with aihwkit and times."""
    yield "## Against aihwkit: a year of drift"
    yield ""
    yield f"{results['draws']} programmings, six times; rounds: {results['rounds']}, whose range is shown. z: greatest"
    yield "difference of means in joint standard errors, over all times; by chance one run of so many in twenty has one"
    yield f"beyond {results['limit']:.1f}."
    yield ""
    yield "| net | periphery | aihwkit's CPU time over ours | z |"
    yield "|---|---|---|---|"
    for case in results["cases"]:
        z = max(abs(value) for value in differences(case))
        low, high = (f"{end(case['faster']):.2g}" for end in (min, max))
        yield f"| {case['net']} | {case['periphery']} | {low if low == high else f'{low} to {high}'} | {z:.1f} |"
    load = results["load"]
    if load["before"] > load["cores"]:
        yield ""
        yield f"Other work ran on the machine, {load['before']:.1f} processes on {load['cores']} cores, for both sides."
    yield ""


def goals_section(goals: dict[str, list[Goal]], full: dict[str, list[Goal]] | None = None) -> Iterator[str]:
    """Every goal, by package; next to the verdicts of full results where these are quick ones."""
    yield "## Goals"
    yield ""
    verdicts = {(name, goal.key): shown(goal) for name, part in (full or {}).items() for goal in part}
    every = [(goal, name) for name, part in goals.items() for goal in part]
    every.sort(key=lambda pair: PACKAGES.index(pair[0].package))
    nothing = "not measured yet" if full is None else "not measured in the quick form"
    for package, rows in groupby(every, lambda pair: pair[0].package):
        yield f"### `{package}`"
        yield ""
        yield f"| what | goal | measured |{'' if full is None else ' quick | full form'} | file |"
        yield "|---|---|---|---|---|" + ("" if full is None else "---|")
        for goal, name in rows:
            marks = shown(goal)
            if full is not None:
                marks = f"{marks if goal.measured else ''} | {verdicts.get((name, goal.key), '')}"
            yield f"| {goal.what} | {goal.goal} | {goal.measured or nothing} | {marks} | {name} |"
        yield ""


def shown(goal: Goal) -> str:
    """Its verdict; one that was missed stands out."""
    return f"**{MARKS[False]}**" if goal.held is False else MARKS[goal.held]


def runs_section(results: Mapping[str, Results]) -> Iterator[str]:
    """Where and when everything was measured."""
    yield "## Runs"
    yield ""
    yield "| file | command | date | machine |"
    yield "|---|---|---|---|"
    for name, content in results.items():
        if not has_results(content):
            yield f"| {name} | {content.get('skipped', 'no results')} | | |"
            continue
        dates = [content.get("date"), *(case.get("date") for case in _cases(content))]
        date = max(filter(None, dates), default="")
        versions = content.get("versions", {}) if "python" in content.get("versions", {}) else {}
        known = [f"{package} {versions[package]}" for package in ("python", "numpy", "torch") if package in versions]
        machine = ", ".join(filter(None, [content.get("machine"), *known]))
        yield f"| {name} | `{content['command']}` | {date} | {machine} |"
    yield ""


def _cases(content: Results) -> list[Results]:
    cases = content.get("cases", {})
    return [case for case in (cases.values() if isinstance(cases, dict) else cases) if isinstance(case, dict)]


if __name__ == "__main__":
    main()
