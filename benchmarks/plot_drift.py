"""Pictures of ``results/drift.json``; ``plot.py`` draws them with all others."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

COLORS = {"plain": "#000000", "plain, remapped": "#009E73", "hardened": "#0072B2", "through converters": "#D55E00"}


def draw(path: Path) -> None:
    """Normalized accuracy of every arm against the time since programming, a panel a net."""
    results = json.loads(path.read_text(encoding="utf-8"))
    names, cases = list(results["times"]), results["cases"]
    figure = Figure(figsize=(4.6 * len(cases), 4.2), layout="constrained")
    for axes, (case, answers) in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases.items(), strict=True):
        for shift, (arm, color) in enumerate(COLORS.items()):
            shares = [answers["arms"][arm][name]["normalized"] for name in names]
            means = [share["mean"] for share in shares]
            errors = [[m - share["ci"][0] for m, share in zip(means, shares, strict=True)]] * 2
            axes.errorbar(
                [i + 0.08 * (shift - 1) for i in range(len(names))], means, errors, fmt="o-", ms=4, capsize=3,
                color=color,
                label=f"{arm} (digital {answers['arms'][arm]['digital']['accuracy']['mean']:.3f})",
            )  # fmt: skip
        axes.axhline(0.99, color="gray", lw=1, ls="--")
        axes.set_xticks(range(len(names)), names)
        axes.set(title=f"{case}: {answers['net']}, {answers['data']}", xlabel="time since programming")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.axes[0].set_ylabel("accuracy above chance, over the digital one's")
    figure.suptitle(
        f"PCM, default converters; mean and 95 % interval over {cases[case]['n_seeds']} training seeds, "
        f"{cases[case]['n_draws']} programmings each ({cases[case]['date']}, {results['machine']})",
        fontsize=9,
    )
    target = path.with_name("drift.png")
    figure.savefig(target, dpi=110)
    print(f"wrote {target}")
