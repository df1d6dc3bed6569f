"""What users see: text, Markdown, HTML and pictures."""

from __future__ import annotations

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analog_eval import DeviceNoise, GaussianNoise, SweepReport, compare, compare_drift, noise_sweep, plot_sweeps

COLUMNS = ["mean", "ci_low", "ci_high", "draw_sd", "normalized", "chance_corrected", "draws_se", "rows_se", "n_draws"]


@pytest.fixture
def report(mlp, digits):
    return noise_sweep(mlp, digits[0][1000:], digits[1][1000:], n_draws=5, random_state=0)


@pytest.fixture
def axes():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_tables_agree_with_each_other(report):
    assert isinstance(report, SweepReport)
    assert list(report.table.columns) == COLUMNS
    assert (report.table["n_draws"] == 5).all()
    groups = report.draws.groupby("level")["score"]
    np.testing.assert_allclose(groups.mean(), report.table["mean"])
    np.testing.assert_allclose(groups.std(), report.table["draw_sd"])
    assert report.average_normalized == pytest.approx((report.table["mean"] / report.clean).mean())
    assert (report.table["ci_low"] <= report.table["mean"]).all()
    assert (report.table["mean"] <= report.table["ci_high"]).all()


def test_text(report):
    text = repr(report)
    for part in ("MLPClassifier", "GaussianNoise(scale='std') on weights", "clean", "chance", "95 %", "rows_se"):
        assert part in text
    assert max(map(len, text.splitlines())) < 160


def test_markdown(report):
    lines = report.to_markdown(digits=2).splitlines()
    assert len(lines) == 2 + len(report.table)
    assert lines[0].startswith("| level | mean |")
    assert len({line.count("|") for line in lines}) == 1
    assert f"| {report.table['mean'].iloc[0]:.2f} |" in lines[2]


def test_html_escapes(report, linear, diabetes):
    html = report._repr_html_()
    assert html.count("<tr>") == 1 + len(report.table)
    odd = noise_sweep(linear, *diabetes, n_draws=2, metric=lambda t, p: 1.0)
    assert "&lt;lambda&gt;" in odd._repr_html_()
    assert "<lambda>" not in odd._repr_html_()


def test_pickles(report):
    again = pickle.loads(pickle.dumps(report))
    pd.testing.assert_frame_equal(again.table, report.table)
    assert repr(again) == repr(report)


def test_plot_shows_the_numbers(report, axes):
    assert report.plot(axes, label="digits") is axes
    line = next(line for line in axes.get_lines() if line.get_label() == "digits")
    np.testing.assert_allclose(line.get_ydata(), report.table["mean"])
    np.testing.assert_allclose(line.get_xdata(), report.table.index)
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(report.table["ci_low"].min())
    assert band[:, 1].max() == pytest.approx(report.table["ci_high"].max())
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["digits", "best constant guess", "without noise", "95 % interval"]
    assert axes.get_ylabel() == "accuracy"


def test_plot_overlays_sweeps(report, axes):
    other = report.table.assign(mean=0.5, ci_low=0.4, ci_high=0.6).reset_index()
    plot_sweeps({"full": report.table, "summary": other}, clean={"full": 0.9}, title="two", ax=axes)
    labels = [line.get_label() for line in axes.get_lines()]
    assert "full" in labels
    assert "summary" in labels
    plot_sweeps({"third": report.table}, ax=axes)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(texts) == len(set(texts))


def test_curves_of_several_sweeps_are_told_apart(report, axes):
    for kind in ("score", "draws", "uncertainty"):
        axes.clear()
        for name in ("one", "two", "three"):
            report.plot(axes, kind=kind, label=name)
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        colors = [
            handle.get_color() for handle in axes.get_legend().legend_handles[: 6 if kind == "uncertainty" else 3]
        ]
        assert len(set(colors)) == len(colors)
        assert len(texts) == len(set(texts))
        if kind == "score":
            assert texts == ["one", "two", "three", "best constant guess", "without noise", "95 % interval"]
    # Two curves of one name are two curves.
    axes.clear()
    report.plot(axes)
    report.plot(axes)
    assert [text.get_text() for text in axes.get_legend().get_texts()][:2] == ["MLPClassifier"] * 2


def flat(low, high):
    """Return the table of a sweep between two scores, whose intervals are of no width."""
    mean = np.array([high, low])
    return pd.DataFrame({"mean": mean, "ci_low": mean, "ci_high": mean}, index=pd.Index([0.1, 0.2], name="level"))


@pytest.mark.parametrize(("low", "shown"), [(0.9, False), (0.71, False), (0.69, True), (0.2, True), (0.05, True)])
def test_chance_is_drawn_unless_curves_have_less_than_a_quarter_of_the_height(axes, low, shown):
    # From 0.9 down to 0.1 it is 0.8, a quarter of which ends at 0.7.
    plot_sweeps({"a": flat(low, 0.9)}, chance=0.1, ax=axes)
    assert any(line.get_label() == "best constant guess" for line in axes.get_lines()) == shown
    assert (axes.get_ylim()[0] <= 0.1) == shown


def test_seconds_have_an_axis_of_their_own(axes):
    first, second = flat(0.8, 0.9), flat(0.7, 0.9)
    first.index, second.index = pd.Index([25.0, 3600.0], name="seconds"), pd.Index([25.0, 86400.0], name="seconds")
    plot_sweeps({"indexed": first, "column": second.reset_index()}, ax=axes)
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "time since programming"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["25s", "1h", "1d"]
    second.index = pd.Index([0.0, 60.0], name="seconds")
    plot_sweeps({"later": second}, ax=axes)
    assert axes.get_xscale() == "symlog"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0s", "25s", "1min", "1h", "1d"]


def test_reports_bring_what_their_tables_lack(report, axes):
    again = replace(report, table=report.table.assign(table=0.0), clean=0.9)
    plot_sweeps({"one": report, "two": again}, ax=axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (report.level_label, report.metric)

    def across():
        flat_lines = (line for line in axes.get_lines() if len(set(line.get_ydata())) == 1)
        return {line.get_ydata()[0]: line.get_linestyle() for line in flat_lines}

    assert across() == {report.clean: "--", 0.9: "--", report.chance: ":"}
    # What is given counts, and what they do not agree in has no name.
    axes.clear()
    other = replace(report, chance=0.5, metric="r2", level_label="bits")
    plot_sweeps({"one": report, "two": other, "three": again.table}, clean={}, ax=axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("noise level", "score")
    assert not across()
    axes.clear()
    plot_sweeps({"one": report}, clean={"one": 0.8}, xlabel="x", ylabel="y", chance=np.nan, ax=axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert across() == {0.8: "--"}


@pytest.mark.parametrize("kind", ["differences", "scores"])
def test_comparisons_under_the_noise_of_devices_are_over_time(logistic, cancer, axes, kind):
    settings = {"n_draws": 2, "progress": False, "random_state": 0}
    pair = {"a": logistic, "b": logistic}
    by_level = compare(pair, *cancer, noise=DeviceNoise(), levels=(25.0, 3600.0), **settings)
    over_time = compare_drift(pair, *cancer, times=("25s", "1h"), **settings)
    for comparison in (by_level, over_time):
        axes.clear()
        comparison.plot(axes, kind=kind)
        assert axes.get_xscale() == "log"
        assert axes.get_xlabel() == "time since programming"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["25s", "1h"]
    assert "| a | b | 1h |" in over_time.to_markdown()
    assert "b     time" in repr(over_time)


def test_plot_of_devices(report, axes):
    report.plot(axes, kind="draws", label="digits")
    lines = axes.get_lines()
    mean = next(line for line in lines if line.get_label() == "digits")
    np.testing.assert_allclose(mean.get_ydata(), report.table["mean"])
    # Five devices, their mean, and the clean score.
    assert len(lines) == 5 + 1 + 1


def test_plot_of_the_two_uncertainties(report, axes):
    report.plot(axes, kind="uncertainty")
    shown = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(shown["choice of test rows"], report.table["rows_se"])
    np.testing.assert_allclose(shown["choice of devices (draws)"], report.table["draws_se"])
    with pytest.raises(ValueError, match="kind='pie'"):
        report.plot(axes, kind="pie")


def test_plot_of_what_is_not_known(linear, diabetes, axes):
    noise = GaussianNoise("power_db")
    report = noise_sweep(linear, *diabetes, noise=noise, levels=(0, 10, np.inf), n_draws=1, random_state=0)
    report.plot(axes)
    line = next(line for line in axes.get_lines() if line.get_label() == "LinearRegression")
    assert line.get_xdata().tolist() == [0.0, 10.0]
    axes.figure.canvas.draw()


def test_a_long_axis_label_is_broken(report):
    axes = plot_sweeps({"a": report.table}, xlabel=" and ".join(["noise level (sigma / std of the weights)"] * 3))
    axes.figure.canvas.draw()
    box = axes.xaxis.label.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= axes.figure.canvas.get_width_height()[0]


def test_labels_may_be_empty(report):
    axes = plot_sweeps({"a": report}, xlabel="", ylabel="")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", "")
    assert plot_sweeps({"a": report.table}, xlabel="").get_xlabel() == ""


def test_plot_errors(report):
    with pytest.raises(ValueError, match="tables is empty"):
        plot_sweeps({})
    with pytest.raises(TypeError, match=r"ax='draws' must be matplotlib Axes; .* kind='draws'"):
        report.plot("draws")
    with pytest.raises(TypeError, match="tables must map"):
        plot_sweeps(report.table)
    with pytest.raises(TypeError, match=r"tables\['a'\] must be a SweepReport, or a table such as its, got dict"):
        plot_sweeps({"a": {"mean": 0.5}})
    with pytest.raises(TypeError, match=r"tables\['a'\] must be a SweepReport, .*, got SimpleNamespace"):
        plot_sweeps({"a": SimpleNamespace(table=report.table)})  # as a comparison has one
    with pytest.raises(ValueError, match=r"lacks the columns \['ci_low'\]"):
        plot_sweeps({"a": report.table.drop(columns="ci_low")})
    with pytest.raises(ValueError, match=r"clean names \['b'\]"):
        plot_sweeps({"a": report.table}, clean={"b": 1.0})
    with pytest.raises(ValueError, match=r"border names \['b'\], but tables has \['a'\]"):
        plot_sweeps({"a": report.table}, border={"b": 1.0})


def test_without_matplotlib(report, hide):
    hide("matplotlib")
    with pytest.raises(ImportError, match=r"coreset-eval\[plots\]"):
        report.plot()


def test_a_broken_matplotlib_is_not_called_missing(report, hide):
    hide("matplotlib.pyplot")
    with pytest.raises(ModuleNotFoundError, match=r"matplotlib\.pyplot"):
        report.plot()
