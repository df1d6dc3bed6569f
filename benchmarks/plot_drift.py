"""Pictures of ``results/drift.json``; ``plot.py`` draws them with all others."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from pictures import load, points, save
from scoreboard_goals import YEAR

COLORS = {"plain": "#000000", "plain, remapped": "#009E73", "hardened": "#0072B2", "through converters": "#D55E00"}


def draw(path: Path) -> None:
    """Normalized accuracy of every arm against the time since programming, a panel a net."""
    results = load(path)
    names, cases = list(results["times"]), results["cases"]
    figure = Figure(figsize=(4.6 * len(cases), 4.2), layout="constrained")
    for axes, (case, answers) in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases.items(), strict=True):
        for shift, (arm, color) in enumerate(COLORS.items()):
            shares = [answers["arms"][arm][name]["normalized"] for name in names]
            means = [share["mean"] for share in shares]
            errors = [[m - share["ci"][0] for m, share in zip(means, shares, strict=True)]] * 2
            label = f"{arm} (digital {answers['arms'][arm]['digital']['accuracy']['mean']:.3f})"
            x = [i + 0.08 * (shift - 1) for i in range(len(names))]
            points(axes, x, means, errors, color=color, label=label)
        axes.axhline(YEAR, color="gray", lw=1, ls="--")
        axes.set_xticks(range(len(names)), names)
        axes.set(title=f"{case}: {answers['net']}, {answers['data']}", xlabel="time since programming")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.axes[0].set_ylabel("accuracy above chance, over the digital one's")
    about = f"PCM, default converters; mean and 95 % interval over {cases[case]['n_seeds']} training seeds, "
    about += f"{cases[case]['n_draws']} programmings each"
    save(figure, path.with_suffix(".png"), results | {"date": cases[case]["date"]}, about)
