from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from imputation_eval import plots

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture
def table():
    names = ["a-rather-long-name-of-an-imputer", "second", "broken", "truth", "mean"]
    return pd.DataFrame(
        {
            "score": [0.1, 0.2, np.nan, 0.0, 0.3],
            "ci_low": [0.05, 0.15, np.nan, -0.02, 0.25],
            "ci_high": [0.15, 0.25, np.nan, 0.02, 0.35],
            "seconds": [0.1, 2.0, np.nan, np.nan, 0.01],
            "tied_best": [True, False, False, False, False],
            "failures": [0, 3, 20, 0, 0],
            "reference": [False, False, False, True, True],
        },
        index=pd.Index(names, name="imputer"),
    )


def test_forest_shows_rows_in_order_with_marks_and_the_floor(table):
    ax = plots.forest_plot(table, label="nds (lower is better)")
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == ["a-rather-long-name-of-an-imputer *", "second [3 failed]", "mean (reference)"]
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "nds (lower is better)"
    assert "the truth itself" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_names_and_ticks_of_close_points_do_not_meet(table):
    close = table.assign(seconds=[0.0083, 0.023, np.nan, np.nan, 0.0075], score=[0.052, 0.016, np.nan, 0.0, 0.061])
    close = pd.concat([close, close.loc[["mean"]].assign(score=0.092, seconds=0.0077).rename({"mean": "hot-deck"})])
    ax = plots.seconds_plot(close.rename({"a-rather-long-name-of-an-imputer": "median"}), label="nds")
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = [t.label1 for t in (*ax.xaxis.get_major_ticks(), *ax.xaxis.get_minor_ticks()) if low <= t.get_loc() <= high]
    assert len([tick for tick in ticks if tick.get_text()]) >= 2
    for texts in (ax.texts, ticks):
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("draw", [plots.forest_plot, plots.seconds_plot])
def test_nothing_is_clipped(table, draw):
    figure = draw(table, label="score").figure
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    (ax,) = figure.axes
    low, high = ax.get_xlim()
    ticks = [tick.label1 for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    for text in [*ax.get_yticklabels(), *ticks, ax.xaxis.label, ax.yaxis.label, *ax.texts]:
        box = text.get_window_extent()
        if text.get_text():
            assert box.x0 >= -1
            assert box.x1 <= width + 1
            assert box.y0 >= -1
            assert box.y1 <= height + 1


def test_given_axes_are_used(table):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert plots.forest_plot(table, label="score", ax=ax) is ax


def test_missing_matplotlib_names_the_extra(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"coreset-eval\[plots\]"):
        plots.forest_plot(table, label="score")
