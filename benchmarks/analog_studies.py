"""What makes small nets survive weight noise: five studies. Writes ``results/analog_studies.json``, cell by cell.

Families and sizes; number of batch norms; learning rate; kinds of batch norm; training on summaries. A cell is a net
trained in one way on one data set with one seed; studies share cells, and each is trained once. A run that is cut keeps
its cells and goes on with ``--resume``; ``--only`` keeps what it does not run anew. At the end the tables of
``docs/analog.md`` are written anew; ``plot.py`` draws the pictures. Names of cells are permanent.
"""

from __future__ import annotations

import platform
import time
from typing import Any

import analog_page
from analog_cells import LEVELS, OWN_RATES, RATE, Cell, Effort, measure
from analog_findings import findings
from analog_nets import DATA
from analog_plan import STUDIES, views_of
from harness import RESULTS, ROOT, Run, Setting
from joblib import Parallel, delayed

PAGE = ROOT / "docs" / "analog.md"
Task = tuple[Cell, int, tuple[str, ...]]
SETTINGS = {
    "only": Setting(tuple(STUDIES), ("kinds",), "studies", free=True, more={"choices": tuple(STUDIES)}),
    "data": Setting(tuple(DATA), ("digits",), free=True, more={"choices": tuple(DATA)}),
    "seeds": Setting(5, 2, "training seeds"),
    "steps": Setting(Effort.steps, 100, "of training"),
    "draws": Setting(Effort.n_draws, 2, "of noise"),
    "least": Setting(Effort.least, 0.3, "accuracy below which a net gets a learning rate of its own"),
    "jobs": Setting(1, None, "processes, of one thread each", free=True),
    "device": Setting("cpu", None, 'of torch, such as "cuda"', free=True),
    "resume": Setting(False, None, "keep the cells that are there", free=True),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    if given.seeds < 2:
        run.parser.error("--seeds must be at least 2, for intervals")
    effort = Effort(given.steps, given.draws, given.least)
    tasks = planned(given)
    stored = load(run, effort)
    rows = [row for row in stored if (row["cell"], row["seed"]) not in {(c.name, seed) for c, seed, _ in tasks}]
    if given.resume:
        kept = {(row["cell"], row["seed"]): row for row in stored}
        rows = list(kept.values())
        tasks = [task for task in tasks if not set(task[2]) <= views_there(kept.get((task[0].name, task[1])))]
    started = time.monotonic()
    runs = Parallel(n_jobs=given.jobs, return_as="generator")(
        delayed(measure)(cell, seed, views, effort, given.device) for cell, seed, views in tasks
    )
    for done, row in enumerate(runs, 1):
        rows = [other for other in rows if (other["cell"], other["seed"]) != (row["cell"], row["seed"])] + [row]
        save(run, effort, rows)
        print(f"{done} of {len(tasks)}, {time.monotonic() - started:.0f} s: {outcome(row)}", flush=True)
    results = save(run, effort, rows, findings(rows))
    report(results)
    print(f"wrote {run.path}")
    if run.path.parent == RESULTS:
        analog_page.fill(PAGE, results)
        print(f"wrote {PAGE}")


def planned(given: Any) -> list[Task]:
    """Seed by seed, so that a run that is cut has whole seeds; then data by data, so that summaries are made once."""
    tasks = []
    for seed in range(given.seeds):
        for data in given.data:
            views = views_of(data)
            asked = dict.fromkeys(cell for study in given.only for cell in STUDIES[study](data).cells)
            ordered = sorted(asked, key=lambda cell: (cell.share or 0, cell.source))
            tasks += [(cell, seed, views[cell]) for cell in ordered]
    return tasks


def load(run: Run, effort: Effort) -> list[dict[str, Any]]:
    """Rows that stay; those of another effort cannot, as they would be mixed with those to come."""
    given, stored = run.given, run.stored()
    part = given.resume or set(given.only) != set(STUDIES) or set(given.data) != set(DATA)
    if not stored or not part:
        return []
    if stored["effort"] != vars(effort):
        raise SystemExit(f"{run.path} was measured with {stored['effort']}, not {vars(effort)}: run all anew")
    rows: list[dict[str, Any]] = stored["rows"]
    return rows


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


def save(run: Run, effort: Effort, rows: list[dict[str, Any]], tables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write what there is; the tables at the end alone."""
    results = {
        "machine": f"{platform.machine()}, {run.given.device}",
        "effort": vars(effort),
        "levels": LEVELS,
        "rate": RATE,
        "own_rates": OWN_RATES,
        "seeds": len({row["seed"] for row in rows}),
        "cpu_seconds": round(sum(row["cpu_s"] for row in rows)),
        **(tables or {}),
        "rows": rows,
    }
    return run.save(results)


def report(results: dict[str, Any]) -> None:
    for row in results["pairs"]:
        names = f"{row['first']} and {row['second']}, noise on {row['view']}"
        print(f"{row['data']}: {row['claim']}: {names}: {row['A']:+.3f} -+ {row['A ±']:.3f}, {row['verdict']}")
    for row in results["sweet_spots"]:
        rates = f"rates {row['rates by clean']} by clean and {row['rates by noisy']} by noisy validation accuracy"
        print(f"{row['data']}: {row['net']}: {rates}: A {row['A']:+.3f} -+ {row['A ±']:.3f}")


if __name__ == "__main__":
    main()
