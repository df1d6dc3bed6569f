"""Runs all benchmarks one after the other, draws their pictures, and writes their page.

    python benchmarks/run.py [--quick] [--only NAME ...]

In the full form, hours, results and pictures go to ``benchmarks/results`` and the page is ``docs/scoreboard.md``. In
the quick form, minutes, all go to ``out/bench``. A benchmark that fails does not keep the others from running, and the
whole fails at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from harness import HERE, QUICK_RESULTS, RESULTS

# Every benchmark, and what its full form is given.
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "construction": (),
    "speed": (),
    "allocation": (),
    "context": (),
    "centers": (),
    "peers": (),
    "robustness": (),
    "streaming": (),
    "targets": (),
    "budget": (),
    "rate": (),
    "planner": (),
    "yardstick": (),
    "distributed": (),
    "scaling": (),
    "ray_speed": (),
    "imputation": (),
    "imputation_speed": (),
    "analog_coverage": (),
    "analog_speed": (),
    "analog_torch_speed": (),
    "analog_memory": (),
    "analog_studies": ("--jobs", "2"),
    "hardening": (),
    "drift": ("--jobs", "2"),
    "vs_aihwkit": (),
    "mutation": (),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, in minutes; to out/bench")
    parser.add_argument("--only", nargs="+", default=list(BENCHMARKS), choices=list(BENCHMARKS), metavar="NAME")
    given = parser.parse_args()
    started, failed = time.monotonic(), []
    if given.quick and set(given.only) == set(BENCHMARKS):
        clear(QUICK_RESULTS)
    for place, name in enumerate(given.only, 1):
        if given.quick:
            (QUICK_RESULTS / f"{name}.json").unlink(missing_ok=True)  # should it fail, no older run stands for it
        clock, before = time.monotonic(), os.times()
        code = run(name, ["--quick"] if given.quick else BENCHMARKS[name])
        failed += [name] if code else []
        cpu = sum(os.times()[2:4]) - sum(before[2:4])  # of this benchmark and its processes
        outcome = f"failed with {code}" if code else "done"
        spent = f"{time.monotonic() - clock:.0f} s, {cpu:.0f} CPU seconds"
        print(f"=== {name} ({place} of {len(given.only)}) {outcome} after {spent}", flush=True)
    for script in ("plot", "scoreboard"):
        failed += [script] if run(script, ["--quick"] if given.quick else []) else []
    print(f"=== all after {time.monotonic() - started:.0f} s, results in {QUICK_RESULTS if given.quick else RESULTS}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def clear(folder: Path) -> None:
    """Remove the results and pictures of runs before, which would stand beside those to come."""
    for path in (*folder.glob("*.json"), *folder.glob("*.png")):
        path.unlink()


def run(name: str, arguments: list[str] | tuple[str, ...]) -> int:
    """Run a script of this folder; its exit status."""
    print(f"=== {name} {' '.join(arguments)}".rstrip(), flush=True)
    return subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=False).returncode


if __name__ == "__main__":
    main()
