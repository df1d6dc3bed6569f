"""Writes the tables of ``results/analog_studies.json`` into ``docs/analog.md``, between its markers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_RESULTS = "../benchmarks/results"
VERDICTS = {
    "as published": "came out as published",
    "the opposite": "the opposite way",
    "more robust": "more robust than on all rows",
    "less robust": "less robust",
    "not told apart": "could not be told apart",
    "not trained": "with a net that did not train",
}


def fill(page: Path, results: dict[str, Any]) -> None:
    """Replace what stands between ``<!-- results: name -->`` and ``<!-- end -->`` for the run and for every study."""
    text = page.read_text(encoding="utf-8")
    for name, content in {"run": _run(results), **_studies(results)}.items():
        marked = re.compile(rf"(<!-- results: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not marked.search(text):
            raise ValueError(f"{page} has no place for the results of {name}")
        text = marked.sub(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)
    page.write_text(text, encoding="utf-8")


def _run(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    n_cells, n_absent = len(results["rows"]), sum("absent" in row for row in results["rows"])
    per_net = results["cpu_seconds"] / max(1, n_cells)
    absent = f", of which {n_absent} have no net (diverged, or the budget is below the smallest message)"
    spent = f"{results['seeds']} seeds, {results['cpu_seconds']:,} CPU seconds, {per_net:.1f} a cell"
    return (
        f"[Run]({_RESULTS}/analog_studies.json) on {results['date']} ({results['machine']}; {versions}): "
        f"{n_cells:,} cells{absent if n_absent else ''}, {spent}."
    )


def _studies(results: dict[str, Any]) -> dict[str, str]:
    names = ("families", "norms", "rates", "kinds", "summaries")
    found = {}
    for name in names:
        pairs = [row for row in results["pairs"] if row["study"] == name]
        cells = [row for row in results["cells"] if row["study"] == name]
        if not pairs:
            found[name] = "Not run yet."
            continue
        parts = [_outcome(pairs), _table(_PAIR, map(_pair, pairs))]
        if name == "rates":
            parts.append(_table(_SPOT, map(_spot, results["sweet_spots"])))
        parts += [
            f"![{name}]({_RESULTS}/analog-{name}.png)",
            "<details><summary>every net</summary>",
            _table([*_CELL, *(f"at {level:g}" for level in results["levels"])], map(_cell, cells)),
            "</details>",
        ]
        found[name] = "\n\n".join(parts)
    return found


def _outcome(pairs: list[dict[str, Any]]) -> str:
    """How the pairs came out, claim by claim where a claim is published."""
    by_claim: dict[str, Counter[str]] = {}
    for row in pairs:
        claim = (
            f"*{row['claim'][0].upper()}{row['claim'][1:]}*"
            if row["published"]
            else "*Summaries and samples against all rows*"
        )
        by_claim.setdefault(claim, Counter())[row["verdict"]] += 1
    return "\n".join(f"- {claim}: of {counts.total()} pairs, {_counted(counts)}." for claim, counts in by_claim.items())


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[verdict]} {words}" for verdict, words in VERDICTS.items() if counts[verdict])


_PAIR = ["data", "first", "second", "noise on", "A", "chance-corrected", "clean accuracy", "verdict"]
_SPOT = ["data", "net", "rates by clean accuracy", "rates by noisy accuracy", "A", "clean accuracy", "noisy accuracy"]
_CELL = ["data", "net", "noise on", "rate", "bytes", "points", "clean", "learnt", "A"]


def _pair(row: dict[str, Any]) -> list[str]:
    verdict = row["verdict"] + (f"; unlike rates in {row['unlike_rates']} seeds" if row["unlike_rates"] else "")
    if row["learnt"] < row["seeds"]:
        verdict += f"; {row['seeds'] - row['learnt']} of {row['seeds']} seeds did not train"
    differences = [_difference(row, column) for column in ("A", "corrected", "clean")]
    return [row["data"], row["first"], row["second"], row["view"], *differences, verdict]


def _spot(row: dict[str, Any]) -> list[str]:
    rates = [", ".join(f"{rate:g}" for rate in row[f"rates by {by}"]) for by in ("clean", "noisy")]
    return [row["data"], row["net"], *rates, *(_difference(row, column) for column in ("A", "clean", "noisy"))]


def _cell(row: dict[str, Any]) -> list[str]:
    source = "" if row["share"] is None else f", {row['source']} of {row['share']:.1%}"
    own = f"chosen in {row['own_rates']} of {row['seeds']}" if row["own_rates"] else "default"
    rate = own if row["rate"] is None else f"{row['rate']:g}"
    learnt = f"{row['learnt']} of {row['seeds']}"
    scores = [_score(row["clean"], row["clean ±"]), learnt, _score(row["A"], row["A ±"])]
    levels = [_score(row[column]) for column in row if column.startswith("at ") and "±" not in column]
    sizes = [f"{row['n_bytes']:,}", f"{row['n_points']:,}"]
    return [row["data"], row["net"] + source, row["view"], rate, *sizes, *scores, *levels]


def _difference(row: dict[str, Any], column: str) -> str:
    """A dash where there is none: no two seeds learnt."""
    return f"{row[column]:+.3f} ± {row[f'{column} ±']:.3f}" if not math.isnan(row[column]) else "–"


def _score(value: float, half_width: float | None = None) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if half_width is None else f"{value:.3f} ± {half_width:.3f}"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
