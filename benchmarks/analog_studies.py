"""What makes small nets survive weight noise: five studies. Writes ``results/analog_studies.json``, cell by cell.

Families and sizes; number of batch norms; learning rate; kinds of batch norm; training on summaries. A cell is a net
trained in one way on one data set with one seed; studies share cells, and each is trained once. A run that is cut keeps
its cells and goes on with ``--resume``; ``--only`` keeps what it does not run anew. At the end the tables of
``docs/analog.md`` are written anew; ``plot.py`` draws the pictures. ``--quick`` takes a minute or two, its numbers mean
nothing, and they go elsewhere. Names of cells are permanent.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import analog_page
import numpy as np
import torch
from analog_cells import LEVELS, OWN_RATES, RATE, Cell, Effort, measure
from analog_findings import findings
from analog_nets import DATA
from analog_plan import STUDIES, views_of
from joblib import Parallel, delayed
from robustness import RESULTS, compact_json

PATH = RESULTS / "analog_studies.json"
PAGE = Path(__file__).parent.parent / "docs" / "analog.md"
QUICK = Effort(steps=20, n_draws=2, least=0.3)
Task = tuple[Cell, int, tuple[str, ...]]


def main() -> None:
    given = parse_arguments()
    tasks = planned(given)
    stored = load(given)
    rows = [row for row in stored if (row["cell"], row["seed"]) not in {(c.name, seed) for c, seed, _ in tasks}]
    if given.resume:
        kept = {(row["cell"], row["seed"]): row for row in stored}
        rows = list(kept.values())
        tasks = [task for task in tasks if not set(task[2]) <= views_there(kept.get((task[0].name, task[1])))]
    started = time.monotonic()
    runs = Parallel(n_jobs=given.jobs, return_as="generator")(
        delayed(measure)(cell, seed, views, given.effort, given.device) for cell, seed, views in tasks
    )
    for done, row in enumerate(runs, 1):
        rows = [other for other in rows if (other["cell"], other["seed"]) != (row["cell"], row["seed"])] + [row]
        save(given, rows)
        print(f"{done} of {len(tasks)}, {time.monotonic() - started:.0f} s: {outcome(row)}", flush=True)
    results = save(given, rows, findings(rows))
    report(results)
    if given.page is not None:
        analog_page.fill(given.page, results)
        print(f"wrote {given.page}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(STUDIES), choices=list(STUDIES), help="studies")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--seeds", type=int, default=5, help="training seeds (default: 5)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--device", default="cpu", help='of torch, such as "cuda"')
    parser.add_argument("--resume", action="store_true", help="keep the cells that are there")
    parser.add_argument("--quick", action="store_true", help="twenty steps, two seeds, the digits alone, elsewhere")
    parser.add_argument("--out", type=Path, help="default: results/analog_studies.json; elsewhere the page stays as is")
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("--seeds must be at least 2, for intervals")
    given.effort = QUICK if given.quick else Effort()
    if given.quick:
        given.seeds, given.data = 2, ["digits"]
        given.out = given.out or Path("out") / "analog-quick.json"
    given.page = PAGE if given.out is None else None
    given.out = given.out or PATH
    given.out.parent.mkdir(exist_ok=True)
    return given


def planned(given: argparse.Namespace) -> list[Task]:
    """Seed by seed, so that a run that is cut has whole seeds; then data by data, so that summaries are made once."""
    tasks = []
    for seed in range(given.seeds):
        for data in given.data:
            views = views_of(data)
            asked = dict.fromkeys(cell for study in given.only for cell in STUDIES[study](data).cells)
            ordered = sorted(asked, key=lambda cell: (cell.share or 0, cell.source))
            tasks += [(cell, seed, views[cell]) for cell in ordered]
    return tasks


def load(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows that stay; those of another effort cannot, as they would be mixed with those to come."""
    part = given.resume or set(given.only) != set(STUDIES) or set(given.data) != set(DATA)
    if not given.out.exists() or not part:
        return []
    stored = json.loads(given.out.read_text(encoding="utf-8"))
    if stored["effort"] != vars(given.effort):
        raise SystemExit(f"{given.out} was measured with {stored['effort']}, not {vars(given.effort)}: run all anew")
    return stored["rows"]


def views_there(row: dict[str, Any] | None) -> set[str]:
    if row is None:
        return set()
    return set(row["sweeps"]) if "absent" not in row else {"weights", "state", "validation"}


def outcome(row: dict[str, Any]) -> str:
    name = f"{row['cell']}, seed {row['seed']}"
    if "absent" in row:
        return f"{name}: {row['absent']}"
    sweep = row["sweeps"]["weights"]
    return f"{name}: clean {sweep['clean']:.3f}, A {sweep['average_normalized']:.3f}, {row['cpu_s']} CPU seconds"


def save(given: argparse.Namespace, rows: list[dict[str, Any]], tables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write what there is; the tables at the end alone."""
    results = {
        "command": f"python benchmarks/analog_studies.py --seeds {given.seeds}{' --quick' if given.quick else ''}",
        "machine": f"{platform.machine()}, {given.device}",
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__},
        "date": time.strftime("%Y-%m-%d"),
        "effort": vars(given.effort),
        "levels": LEVELS,
        "rate": RATE,
        "own_rates": OWN_RATES,
        "seeds": len({row["seed"] for row in rows}),
        "cpu_seconds": round(sum(row["cpu_s"] for row in rows)),
        **(tables or {}),
        "rows": rows,
    }
    unfinished = given.out.with_suffix(".part")  # a run that is cut while it writes loses nothing
    unfinished.write_text(compact_json(results).replace("NaN", "null") + "\n", encoding="utf-8")
    unfinished.replace(given.out)
    return results


def report(results: dict[str, Any]) -> None:
    for row in results["pairs"]:
        names = f"{row['first']} and {row['second']}, noise on {row['view']}"
        print(f"{row['data']}: {row['claim']}: {names}: {row['A']:+.3f} -+ {row['A ±']:.3f}, {row['verdict']}")
    for row in results["sweet_spots"]:
        rates = f"rates {row['rates by clean']} by clean and {row['rates by noisy']} by noisy validation accuracy"
        print(f"{row['data']}: {row['net']}: {rates}: A {row['A']:+.3f} -+ {row['A ±']:.3f}")


if __name__ == "__main__":
    main()
