"""Pictures of sweeps and comparisons, of plain tables: nothing here knows about models.

A level is a time in seconds where the index is called so, or the axis `analog_eval.devices.TIME_LABEL`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from analog_eval.devices import TIME_LABEL, in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_differences", "plot_draws", "plot_sweeps", "plot_uncertainty"]

# Okabe and Ito's colours, which stay apart for colour-blind readers, and markers for print without colour.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_NEEDED = ("mean", "ci_low", "ci_high")
# Share of the height that curves keep beside the line of chance, at least: flatter, they would show nothing.
_LEAST_HEIGHT = 0.25
_CURVE = "curve "
_WIDEST_LABEL = 60  # characters, such as those of a sum of noises
Value = TypeVar("Value")


class _Report(Protocol):
    """What is drawn of a sweep, such as of an `analog_eval.SweepReport`."""

    @property
    def table(self) -> pd.DataFrame: ...
    @property
    def clean(self) -> float: ...
    @property
    def chance(self) -> float: ...
    @property
    def metric(self) -> str: ...
    @property
    def level_label(self) -> str: ...


def plot_sweeps(
    tables: Mapping[str, pd.DataFrame | _Report],
    *,
    clean: Mapping[str, float] | None = None,
    border: Mapping[str, float] | None = None,
    chance: float | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw sweeps over the noise level on one pair of axes, such as a model trained on all rows and on a summary.

    Parameters
    ----------
    tables : mapping of label to SweepReport or DataFrame
        Sweeps, or their tables: index (or column) ``level`` or ``seconds``, columns ``mean``, ``ci_low``, ``ci_high``.
        Over seconds the axis is logarithmic, and times are in words.
    clean : mapping of label to float, optional
        Scores without noise, drawn as dashed lines; default: those of the reports.
    border : mapping of label to float, optional
        Scores down to which a model counts as as good as without noise, drawn as dash-dotted lines; NaN draws nothing.
    chance : float, optional
        Score of the best constant guess, drawn as a dotted line, unless the curves would have less than a quarter of
        the height beside it; NaN draws nothing.  Default: that of the reports, if all have the same.
    xlabel : str, optional
        Name of the horizontal axis; default: that of the reports, or by the index.
    ylabel : str, optional
        Name of the vertical axis; default: the reports' metric, if all have the same, or "score".
    title : str, optional
        Title of the picture.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.  Curves that were drawn there before keep their colours, and the next ones
        get the next.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no table, a table lacks a column, or `clean` or `border` names a label that `tables` lacks.
    TypeError
        If a table is neither a report nor a DataFrame.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"level": [0.1, 0.2], "mean": [0.9, 0.8], "ci_low": [0.8, 0.7], "ci_high": [0.95, 0.85]})
    >>> axes = plot_sweeps({"all rows": table}, clean={"all rows": 0.92}, chance=0.5, ylabel="accuracy")
    >>> axes.get_ylabel()
    'accuracy'
    """
    reports = {str(label): report for label, report in _mapping(tables).items() if _is_report(report)}
    if clean is None:
        clean = {label: report.clean for label, report in reports.items()}
    chance = _shared([report.chance for report in reports.values()]) if chance is None else chance
    if xlabel is None:
        xlabel = _shared([report.level_label for report in reports.values()])
    if ylabel is None:
        ylabel = _shared([report.metric for report in reports.values()]) or "score"
    checked = {str(label): _checked(label, table) for label, table in tables.items()}
    clean, border = _by_label("clean", clean, checked), _by_label("border", border, checked)
    with _picture(ax, _name(xlabel, next(iter(checked.values())).index), ylabel, title) as axes:
        for label, table in checked.items():
            _draw(axes, label, table, {"--": clean.get(label), "-.": border.get(label)})
        _chance_line(axes, chance)
        for style, label, values in (("--", "without noise", clean), ("-.", "as good as without noise", border)):
            if values:
                axes.plot([], [], color="0.3", linestyle=style, linewidth=1.1, label=label)
        _band_entry(axes)
    return axes


def plot_draws(
    draws: pd.DataFrame,
    *,
    label: str = "mean",
    clean: float | None = None,
    xlabel: str | None = None,
    ylabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw every device of a sweep as a line, and their mean.

    Parameters
    ----------
    draws : DataFrame
        Columns ``level`` (or what else the first one is called), ``draw``, ``score``, such as ``report.draws``.
    label : str
        Name of the mean.
    clean : float, optional
        Score without noise, drawn as a dashed line.
    xlabel : str, optional
        Name of the horizontal axis; default: by the table.
    ylabel : str
        Name of the vertical axis.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> draws = pd.DataFrame({"level": [0.1, 0.1, 0.2, 0.2], "draw": [0, 1, 0, 1], "score": [0.9, 0.8, 0.7, 0.75]})
    >>> len(plot_draws(draws).get_lines())
    3
    """
    level = draws.columns[0]
    with _picture(ax, _name(xlabel, pd.Index([], name=level)), ylabel) as axes:
        style = _next_style(axes)
        wide = draws[np.isfinite(draws[level])].pivot(index=level, columns="draw", values="score")
        levels = wide.index.to_numpy(dtype=float)
        for column in wide:
            axes.plot(levels, wide[column], color=style["color"], alpha=max(0.08, 2.0 / wide.shape[1]), linewidth=0.8)
        axes.plot(levels, wide.mean(axis=1), linewidth=1.8, label=label, **style)
        _clean_line(axes, clean)
    return axes


def plot_uncertainty(
    table: pd.DataFrame,
    *,
    label: str | None = None,
    xlabel: str | None = None,
    ylabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw the two standard errors of a sweep: from the choice of devices, and from the choice of test rows.

    Parameters
    ----------
    table : DataFrame
        Table of a sweep: index ``level``, columns ``draws_se``, ``rows_se`` (NaN draws nothing).
    label : str, optional
        What to add to the names of the curves; default: nothing.
    xlabel : str, optional
        Name of the horizontal axis; default: by the table.
    ylabel : str
        Name of the score.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"level": [0.1, 0.2], "draws_se": [0.01, 0.02], "rows_se": [0.03, 0.03]})
    >>> [line.get_label() for line in plot_uncertainty(table.set_index("level")).get_lines()]
    ['choice of test rows', 'choice of devices (draws)']
    """
    with _picture(ax, _name(xlabel, table.index), f"standard error of {ylabel}") as axes:
        shown = table[np.isfinite(table.index.to_numpy(dtype=float))].sort_index()
        sources = {"rows_se": "choice of test rows", "draws_se": "choice of devices (draws)"}
        for column, source in sources.items():
            name = f"{source}, {label}" if label else source
            axes.plot(shown.index, shown[column], linewidth=1.8, label=name, **_next_style(axes))
        axes.set_ylim(bottom=0.0)
    return axes


def plot_differences(
    table: pd.DataFrame, *, xlabel: str | None = None, ylabel: str = "difference", ax: Axes | None = None
) -> Axes:
    """Draw paired differences against the level, a curve a pair, with a line where there is none.

    Parameters
    ----------
    table : DataFrame
        Index ``a``, ``b``, ``level``; columns ``difference``, ``ci_low``, ``ci_high``, ``verdict``, such as
        ``comparison.table``.  Filled markers tell differences that have a verdict, open ones those that have none.
    xlabel : str, optional
        Name of the horizontal axis; default: by the table.
    ylabel : str
        Name of the vertical axis.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"a": "wide", "b": "deep", "level": 0.1, "difference": 0.02, "ci_low": 0.01, "ci_high": 0.03}
    >>> table = pd.DataFrame([{**row, "verdict": "wide"}]).set_index(["a", "b", "level"])
    >>> plot_differences(table).get_legend_handles_labels()[1][0]
    'wide - deep'
    """
    with _picture(ax, _name(xlabel, table.index.get_level_values(-1)), ylabel) as axes:
        axes.axhline(0.0, color="0.45", linestyle=":", linewidth=1.3)
        for (a, b), part in table.groupby(level=["a", "b"], sort=False):
            rows = part.droplevel(["a", "b"]).rename(columns={"difference": "mean"})
            line = _draw(axes, f"{a} - {b}", _checked(f"{a} - {b}", rows), {})
            line.set_markerfacecolor("white")
            found = rows[(rows["verdict"] != "") & np.isfinite(rows.index.to_numpy(dtype=float))]
            axes.plot(found.index, found["mean"], line.get_marker(), color=line.get_color(), markersize=5, zorder=4)
        axes.plot([], [], "o", color="0.3", label="verdict after Holm's adjustment")
        _band_entry(axes)
    return axes


def _draw(axes: Any, label: str, table: pd.DataFrame, levels: Mapping[str, float | None]) -> Any:
    """Draw a curve with its interval, and levels across by their line style; return the line of the curve."""
    style, x = _next_style(axes), table.index.to_numpy(dtype=float)
    axes.fill_between(x, table["ci_low"], table["ci_high"], color=style["color"], alpha=0.18, linewidth=0, zorder=2)
    (line,) = axes.plot(x, table["mean"], markersize=5, linewidth=1.8, label=label, zorder=3, **style)
    for linestyle, level in levels.items():
        if level is not None:
            axes.axhline(level, color=style["color"], linestyle=linestyle, linewidth=1.1, alpha=0.8, zorder=1)
    return line


def _next_style(axes: Any) -> dict[str, str]:
    """Return the style of the next curve, whichever sweep drew the ones before; its name marks a line as a curve."""
    i = len(_curves(axes))
    return {"color": _COLORS[i % len(_COLORS)], "marker": _MARKERS[i % len(_MARKERS)], "gid": f"{_CURVE}{i}"}


def _curves(axes: Any) -> list[Any]:
    return [line for line in axes.get_lines() if str(line.get_gid()).startswith(_CURVE)]


def _chance_line(axes: Any, chance: float | None) -> None:
    if chance is None or not np.isfinite(chance):
        return
    low, high = axes.dataLim.intervaly
    if 0.0 <= high - low < _LEAST_HEIGHT * (max(high, chance) - min(low, chance)):
        return
    axes.axhline(chance, color="0.45", linestyle=":", linewidth=1.3, label="best constant guess", zorder=1)


def _clean_line(axes: Any, clean: float | None) -> None:
    if clean is not None and np.isfinite(clean):
        axes.axhline(clean, color="0.3", linestyle="--", linewidth=1.1, label="without noise", zorder=1)


def _band_entry(axes: Any) -> None:
    axes.fill_between([], [], [], color="0.5", alpha=0.3, linewidth=0, label="95 % interval")


@contextmanager
def _picture(ax: Axes | None, xlabel: str, ylabel: str, title: str | None = None) -> Iterator[Any]:
    """Give axes to draw on, new ones for None, and name and dress them when all is drawn."""
    if isinstance(ax, str):
        raise TypeError(f"ax={ax!r} must be matplotlib Axes; what a report draws goes by kind={ax!r}")
    axes = _new_axes() if ax is None else ax
    yield axes
    if xlabel == TIME_LABEL:
        _time_axis(axes)
        xlabel = xlabel.removesuffix(" (s)")
    axes.set_xlabel(fill(xlabel, _WIDEST_LABEL))
    axes.set_ylabel(ylabel)
    if title:
        axes.set_title(title)
    axes.grid(visible=True, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    # Every curve, and behind them what curves of several sweeps have in common, once.
    curves, entries = _curves(axes), list(zip(*axes.get_legend_handles_labels(), strict=True))
    shared = {label: handle for handle, label in entries if handle not in curves}
    handles = [*(handle for handle, _ in entries if handle in curves), *shared.values()]
    labels = [*(label for handle, label in entries if handle in curves), *shared]
    axes.legend(handles, labels, frameon=False, fontsize="small")


def _time_axis(axes: Any) -> None:
    """Make the horizontal axis logarithmic, with a mark at each time of a curve."""
    times = np.unique(np.concatenate([line.get_xdata() for line in _curves(axes)]))
    if (times > 0.0).any():
        if times[0] == 0.0:
            axes.set_xscale("symlog", linthresh=float(times[1]), linscale=0.5)
        else:
            axes.set_xscale("log")
    axes.set_xticks(times, list(map(in_words, times.tolist())))
    axes.set_xticks([], minor=True)


def _name(xlabel: str | None, levels: pd.Index) -> str:
    if xlabel is not None:
        return xlabel
    return TIME_LABEL if levels.name == "seconds" else "noise level"


def _new_axes() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise ImportError("plots need matplotlib: pip install 'coreset-eval[plots]'") from error
    return plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]


def _is_report(value: Any) -> bool:
    # A table may have columns of these names, and a comparison has a table, but is not one sweep.
    return hasattr(value, "table") and hasattr(value, "clean") and not isinstance(value, pd.DataFrame)


def _shared(values: Sequence[Value]) -> Value | None:
    """Return what all have in common; None if that is nothing."""
    return values[0] if values and all(value == values[0] for value in values) else None


def _mapping(tables: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(tables, Mapping):
        raise TypeError(f"tables must map labels to tables, got {type(tables).__name__}")
    if not tables:
        raise ValueError("tables is empty; there is nothing to draw")
    return tables


def _by_label(name: str, values: Mapping[str, float] | None, labels: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that are known, or raise where one belongs to no table."""
    values = dict(values or {})
    unknown = sorted(set(values) - set(labels))
    if unknown:
        raise ValueError(f"{name} names {unknown}, but tables has {sorted(labels)}")
    return {label: value for label, value in values.items() if value is not None and np.isfinite(value)}


def _checked(label: str, table: Any) -> pd.DataFrame:
    table = table.table if _is_report(table) else table
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"tables[{label!r}] must be a SweepReport, or a table such as its, got {type(table).__name__}")
    for name in ("level", "seconds"):
        if name in table.columns:
            table = table.set_index(name)
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise ValueError(f"tables[{label!r}] lacks the columns {missing}; it has {list(table.columns)}")
    # An infinite level (no noise, in dB) has no place on the axis; the clean line shows it.
    return table[np.isfinite(table.index.to_numpy(dtype=float))].sort_index()
