"""What all benchmarks share: their command line, the quick form, where results go, and what is written with them.

A benchmark declares its settings, each with a value for the full form and one for the quick form; ``--quick`` takes the
latter, and an option that is given goes before both. Both forms run the same code on real data. Full results go to
``benchmarks/results``, which is committed; quick ones go to ``out/bench`` and cannot be sent to the former.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS, QUICK_RESULTS, PARTS = HERE / "results", ROOT / "out" / "bench", ROOT / "out"
PACKAGES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "torch": "torch", "ray": "ray"}


@dataclass(frozen=True)
class Setting:
    """One option of a benchmark; a tuple takes several values, False is a flag.

    ``quick`` None is the value of the full form. Results of any other value than that would not be what the stored ones
    are: unless a folder is given, they go to ``out``. Settings are ``free`` of that which change no result, and those
    that choose what is measured anew where the rest is kept.
    """

    full: Any
    quick: Any = None
    help: str = ""
    free: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def add(self, parser: argparse.ArgumentParser, name: str) -> None:
        """Make it an option."""
        first = self.full[0] if isinstance(self.full, tuple) else self.full
        kind: dict[str, Any] = {"action": "store_true"} if self.full is False else {"type": type(first)}
        if isinstance(self.full, tuple):
            kind["nargs"] = "+"
        if self.full is None:
            kind = {}
        shown = self.help
        if self.full not in (None, False) and shown is not argparse.SUPPRESS:
            shown += f" (default: {_shown(self.full)}" + (")" if self.quick is None else f"; {_shown(self.quick)})")
        parser.add_argument(f"--{name.replace('_', '-')}", default=self.full, help=shown, **kind | self.more)


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


class Run:
    """One run of a benchmark: what it was asked for (``given``), and the results file that it writes (``path``)."""

    def __init__(
        self, script: str, about: str | None, settings: Mapping[str, Setting], arguments: Sequence[str] | None = None
    ) -> None:
        self.name = Path(script).stem
        self._arguments = list(sys.argv[1:] if arguments is None else arguments)
        self.parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
        for name, setting in settings.items():
            setting.add(self.parser, name)
        self.parser.add_argument("--quick", action="store_true", help="less of everything: a minute, to out/bench")
        self.parser.add_argument("--out", type=Path, help="folder of the results (default: benchmarks/results)")
        self.given = self.parser.parse_args(self._arguments)
        if self.given.quick:
            self.parser.set_defaults(**{name: s.quick for name, s in settings.items() if s.quick is not None})
            self.given = self.parser.parse_args(self._arguments)
        self.quick: bool = self.given.quick
        part = any(not s.free and _tupled(getattr(self.given, name)) != s.full for name, s in settings.items())
        self.path = self._folder(part) / f"{self.name}.json"

    def _folder(self, part: bool) -> Path:
        folder: Path = self.given.out or (QUICK_RESULTS if self.quick else PARTS if part else RESULTS)
        if self.quick and folder.resolve().is_relative_to(RESULTS):
            self.parser.error(f"--quick must not write to {RESULTS}, which has the results of the full form")
        return folder

    def stored(self) -> dict[str, Any]:
        """What the file has, without what every run writes anew; for runs that go on with it."""
        if not self.path.exists():
            return {}
        content: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        anew = self._heading()
        return {key: value for key, value in content.items() if key not in anew}

    def save(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write the results so far, under date, machine, command and versions; whole, even if the run is cut."""
        heading = self._heading()
        results = heading | dict(content)
        results["versions"] = heading["versions"] | content.get("versions", {})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(as_text(results), encoding="utf-8")
        unfinished.replace(self.path)
        return results

    def finish(self, content: Mapping[str, Any]) -> None:
        """Write all results, and print what they say of the goals."""
        from scoreboard_goals import GOALS, MARKS

        self.save(content)
        results = json.loads(self.path.read_text(encoding="utf-8"))
        for goal in GOALS.get(self.name, lambda _: ())(results):
            print(f"{MARKS[goal.held]:10s}{goal.what}: {goal.goal}; measured: {goal.measured}")
        print(f"wrote {self.path}")

    def skip(self, reason: str) -> None:
        """End without what is to be measured: the quick form says so on its page, the full one fails."""
        if not self.quick:
            sys.exit(reason)
        self.save({"skipped": reason})
        print(f"skipped: {reason}")

    def _heading(self) -> dict[str, Any]:
        loaded = {package: version(package) for module, package in PACKAGES.items() if module in sys.modules}
        return {
            "command": shlex.join(["python", f"benchmarks/{self.name}.py", *self._arguments]),
            "machine": ", ".join(filter(None, [platform.machine(), f"{os.cpu_count()} CPUs", _processor()])),
            "date": time.strftime("%Y-%m-%d"),
            "versions": {"python": platform.python_version(), **loaded},
            "quick": self.quick,
        }


def _processor() -> str:
    """What the processor calls itself, without which a time says little; nothing where that is not known."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def as_text(results: Mapping[str, Any]) -> str:
    """JSON with a line for each row of its tables, and null for NaN and infinities, which JSON lacks."""
    parts = []
    for key, value in results.items():
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"  {json.dumps(_plain(row))}" for row in value) + "\n ]"
        else:
            text = json.dumps(_plain(value), indent=1).replace("\n", "\n ")
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds of a call."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def cpu_seconds(call: Callable[[], Any], repeats: int = 1) -> float:
    """Least CPU time of some runs."""
    return min(timed(call)[1] for _ in range(repeats))
