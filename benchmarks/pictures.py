"""What the pictures of all benchmarks have in common: points with error bars, and how a figure is saved."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_CHARACTERS = 13  # of a title, in an inch


def load(path: Path) -> dict[str, Any]:
    """A results file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def points(axes: Axes, x: Any, means: Any, errors: Any, **style: Any) -> None:
    """Dots with error bars, joined by a line unless ``fmt`` says otherwise."""
    axes.errorbar(x, means, errors, **{"fmt": "o-", "ms": 4, "capsize": 3} | style)


def save(figure: Figure, target: Path, results: dict[str, Any], about: str = "") -> None:
    """Write the figure under what it is about, and when and where that was measured; quick runs say so."""
    when = f"({'quick form, ' if results.get('quick') else ''}{results['date']}, {results['machine']})"
    width = int(figure.get_figwidth() * _CHARACTERS)
    text = f"{about} {when}".strip()
    figure.suptitle("\n".join(fill(line, width) for line in text.splitlines()), fontsize=9)
    figure.savefig(target, dpi=110)
    print(f"wrote {target}")
