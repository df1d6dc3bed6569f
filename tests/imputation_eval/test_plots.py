from __future__ import annotations

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
    assert min(line.get_zorder() for line in ax.lines if line.get_marker() in "so") > max(t.zorder for t in ax.texts)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = [t.label1 for t in (*ax.xaxis.get_major_ticks(), *ax.xaxis.get_minor_ticks()) if low <= t.get_loc() <= high]
    assert len([tick for tick in ticks if tick.get_text()]) >= 2
    for texts in (ax.texts, ticks):
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("label", ["score", "mean rank over nds, rmse, accuracy, energy (lower is better)"])
@pytest.mark.parametrize("draw", [plots.forest_plot, plots.seconds_plot])
def test_nothing_is_clipped(table, draw, label):
    figure = draw(table, label=label).figure
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    (ax,) = figure.axes
    low, high = ax.get_xlim()
    ticks = [tick.label1 for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    for text in [*ax.get_yticklabels(), *ticks, ax.xaxis.label, ax.yaxis.label, *ax.texts, ax.get_legend()]:
        box = text.get_window_extent()
        if text is ax.get_legend() or text.get_text():
            assert box.x0 >= -1
            assert box.x1 <= width + 1
            assert box.y0 >= -1
            assert box.y1 <= height + 1


def test_given_axes_are_used(table):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert plots.forest_plot(table, label="score", ax=ax) is ax


@pytest.mark.parametrize(
    "draw",
    [
        lambda table: plots.forest_plot(table, label="score"),
        lambda table: plots.seconds_plot(table, label="score"),
        lambda table: plots.rank_plot(pd.DataFrame([[1.0]])),
        lambda table: plots.pairwise_plot(pd.DataFrame(columns=["better", "worse", "p_holm"]), ["a"]),
        lambda table: plots.density_plot([plots.Column("x", [0.0, 1.0], [0.5])], observed="o", imputed="i"),
        lambda table: plots.local_plot(np.eye(3), np.full(3, 0.5)),
    ],
    ids=["forest", "seconds", "ranks", "pairwise", "density", "local"],
)
def test_missing_matplotlib_names_the_extra(draw, table, hide):
    hide("matplotlib")
    with pytest.raises(ImportError, match=r"coreset-eval\[plots\]"):
        draw(table)


def test_a_broken_matplotlib_is_not_called_missing(table, hide):
    hide("matplotlib.pyplot")
    with pytest.raises(ModuleNotFoundError, match=r"matplotlib\.pyplot"):
        plots.forest_plot(table, label="score")


def _check_nothing_is_clipped(figure):
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for ax in figure.axes:
        if not ax.get_visible():
            continue
        ticks = []
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            ticks += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        for text in [*ticks, ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title, *ax.texts]:
            if text.get_text() and text.get_visible():
                box = text.get_window_extent()
                assert -1 <= box.x0 <= box.x1 <= width + 1, text
                assert -1 <= box.y0 <= box.y1 <= height + 1, text


NAMES = ["iterative-sample", "b", "hot-deck"]


def test_chances_of_ranks_are_written_where_there_are_any():
    chances = pd.DataFrame([[0.999, 0.001, 0], [0, 0.6, 0.4], [0.001, 0.399, 0.6]], index=NAMES, columns=[1, 2, 3])
    ax = plots.rank_plot(chances)
    assert [text.get_text() for text in ax.texts] == [">99", "60", "40", "40", "60"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == NAMES
    _check_nothing_is_clipped(ax.figure)


def test_pairs_are_green_for_the_better_row():
    pairs = pd.DataFrame(
        {"better": ["b", "b", "hot-deck"], "worse": ["iterative-sample", "hot-deck", "iterative-sample"],
         "p_holm": [0.0001, 0.2, 0.031]}
    )  # fmt: skip
    ax = plots.pairwise_plot(pairs, ["b", "hot-deck", "iterative-sample"])
    verdicts = ax.images[0].get_array().tolist()
    assert verdicts == [[0, 0, 1], [0, 0, 1], [-1, -1, 0]]
    texts = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}
    assert texts[0, 2] == texts[2, 0] == "<.001"
    assert texts[0, 1] == "0.20"
    assert texts[1, 2] == "0.031"
    _check_nothing_is_clipped(ax.figure)


@pytest.mark.parametrize("names", [["b", "mean"], ["b", "an imputer whose name says all that was done to it"]])
def test_two_names_have_room_beside_their_title(names):
    pair = pd.DataFrame({"better": names[:1], "worse": names[1:], "p_holm": [0.2]})
    _check_nothing_is_clipped(plots.pairwise_plot(pair, names).figure)
    _check_nothing_is_clipped(plots.rank_plot(pd.DataFrame(np.eye(2), index=names, columns=[1, 2])).figure)


def test_a_panel_a_column(rng):
    when = pd.date_range("2020-01-01", periods=50, tz="UTC")
    columns = [
        plots.Column("number", rng.normal(size=200), np.zeros(30)),
        plots.Column("constant", np.ones(20), np.ones(5)),
        plots.Column("when", when, when[:10]),
        plots.Column("lasts", when - when[0], when[:10] - when[0]),
        plots.Column("flag", [True, False, True], [False], levels=[False, True]),
        plots.Column("kind", list("abcdefghijklmn"), ["z"], levels=list("abcdefghijklmnz")),
    ]
    figure = plots.density_plot(columns, observed="observed", imputed="imputed by x")
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()] == [column.name for column in columns]
    flag = figure.axes[4]
    assert [bar.get_height() for bar in flag.patches] == pytest.approx([1 / 3, 2 / 3])
    assert [line[0][1] for line in flag.collections[0].get_segments()] == [1, 0]
    number = figure.axes[0]
    shares = [np.sum(patch.get_data().values) for patch in number.patches]
    assert shares == pytest.approx([0.99, 1.0], abs=0.015)  # half a per cent may be cut off either side
    constant = figure.axes[1].patches[0].get_data()
    assert constant.edges.tolist() == [0.5, 1.5]  # counts have a bin each
    _check_nothing_is_clipped(figure)
    many = plots.density_plot(columns[:1] * 14, observed="observed", imputed="imputed")
    assert sum(ax.get_visible() for ax in many.axes) == 12
    assert "12 of 14 columns" in many.legends[0].get_texts()[1].get_text()


@pytest.mark.parametrize("n_features", [1, 4])
def test_rows_are_drawn_in_their_main_plane(n_features, rng):
    points = rng.normal(size=(100, n_features)) * 10.0 ** -np.arange(n_features)
    local = rng.random(100)
    ax = plots.local_plot(points, local, title="rows")
    drawn = ax.collections[0]
    colors, first = drawn.get_array(), drawn.get_offsets()[:, 0]
    assert sorted(colors) == sorted(local)
    # The first component is the first feature, whose variance is a hundred times that of the next one.
    expected = (points[:, 0] - points[:, 0].mean())[np.argsort(np.abs(local - 0.5), kind="stable")]
    assert abs(np.corrcoef(first, expected)[0, 1]) > 0.999
    _check_nothing_is_clipped(ax.figure)
