"""The benchmark of weight noise: what its tables and its page say about cells whose answer is known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scipy.stats import t as student

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAGE = BENCHMARKS.parent / "docs" / "analog.md"


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    """Modules of benchmarks import each other by their bare names."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield
        for name in [name for name, module in sys.modules.items() if _lies_in_benchmarks(module)]:
            del sys.modules[name]


def _lies_in_benchmarks(module):
    return str(getattr(module, "__file__", None)).startswith(f"{BENCHMARKS}/")


def cells_of(study):
    from analog_plan import STUDIES

    return STUDIES[study]("digits")


def row(cell, seed, clean, kept, **fields):
    """A cell that keeps the share `kept` of its clean accuracy at every level."""
    from analog_cells import LEVELS

    means = [clean * kept] * len(LEVELS)
    sweep = {"clean": clean, "means": means, "average_normalized": kept, "chance": 0.1}
    size = {"n_bytes": 1000, "n_points": 10, "rate": cell.rate or 0.05}
    named = {"cell": cell.name, "data": cell.data, "seed": seed}
    return {**named, **size, "sweeps": {"weights": sweep, "state": sweep, "validation": sweep}, **fields}


def test_every_pair_is_measured_with_its_view_and_names_are_unique():
    from analog_plan import STUDIES, views_of

    for data in ("mnist", "digits"):
        views = views_of(data)
        assert len({cell.name for cell in views}) == len(views)
        for build in STUDIES.values():
            study = build(data)
            for pair in study.pairs:
                assert {pair.first, pair.second} <= set(study.cells)
                assert pair.view in views[pair.first]
                assert pair.view in views[pair.second]


@pytest.mark.parametrize(("sign", "verdict"), [(1, "as published"), (-1, "the opposite")])
def test_a_difference_has_the_paired_interval_of_student(sign, verdict):
    from analog_findings import findings

    pair = cells_of("norms").pairs[0]
    gains = [0.15, 0.2, 0.25]  # mean .2, standard deviation .05
    rows = [row(pair.second, seed, 0.9, 0.5 + 0.1 * seed) for seed in range(3)]
    rows += [row(pair.first, seed, 0.9, 0.5 + 0.1 * seed + sign * gain) for seed, gain in enumerate(gains)]
    found = findings(rows)["pairs"]
    assert [each["view"] for each in found] == ["weights", "state"]
    assert found[0]["A"] == pytest.approx(sign * 0.2, abs=1e-5)
    assert found[0]["A ±"] == pytest.approx(student.ppf(0.975, 2) * 0.05 / 3**0.5, abs=1e-5)
    # (.9 kept - .1) / .8 is 1.125 kept - .125
    assert found[0]["corrected"] == pytest.approx(sign * 0.2 * 1.125, abs=1e-5)
    assert found[0]["clean"] == 0
    assert found[0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("gains", "verdict"), [([0.2, 0.21, 0.2], "as published"), ([-0.1, 0.5, 0.2], "not told apart")]
)
def test_verdicts_need_an_interval_without_zero(gains, verdict):
    from analog_findings import findings

    pair = cells_of("norms").pairs[0]
    rows = [row(pair.second, seed, 0.9, 0.5) for seed in range(3)]
    rows += [row(pair.first, seed, 0.9, 0.5 + gain) for seed, gain in enumerate(gains)]
    assert {each["verdict"] for each in findings(rows)["pairs"]} == {verdict}


@pytest.mark.parametrize(("n_failed", "verdict"), [(1, "not told apart"), (2, "not told apart"), (3, "not trained")])
def test_a_net_at_chance_is_not_robust_for_keeping_it(n_failed, verdict):
    from analog_findings import findings

    pair = cells_of("norms").pairs[0]
    rows = [row(pair.second, seed, 0.9, 0.5 + 0.01 * (seed % 2)) for seed in range(4)]
    rows += [row(pair.first, seed, 0.1, 1.0) for seed in range(n_failed)]
    rows += [row(pair.first, seed, 0.9, 0.5) for seed in range(n_failed, 4)]
    for each in findings(rows)["pairs"]:
        assert (each["verdict"], each["learnt"], each["seeds"]) == (verdict, 4 - n_failed, 4)
        assert each["clean"] == pytest.approx(-0.8 * n_failed / 4)


def test_cells_without_a_net_and_seeds_without_a_partner_are_left_out():
    from analog_findings import findings

    pair = cells_of("norms").pairs[0]
    rows = [row(pair.second, seed, 0.9, 0.5 + 0.01 * seed) for seed in range(4)]
    rows += [row(pair.first, seed, 0.9, 0.7) for seed in range(3)]
    rows += [row(pair.first, 3, 0.9, 0.7, absent="diverged", sweeps={})]
    assert {each["seeds"] for each in findings(rows)["pairs"]} == {3}


def test_rates_are_chosen_on_validation_rows_and_judged_on_test_rows():
    from analog_findings import findings

    low, high = (cell for cell in cells_of("rates").cells[:7] if cell.rate in (0.01, 0.1))
    rows = []
    for seed in range(2):
        rows += [row(low, seed, 0.95, 0.5), row(high, seed, 0.94, 0.9)]
        # On validation rows the low rate is better clean and worse under noise, whatever test rows say.
        rows[-1]["sweeps"]["weights"] = {**rows[-1]["sweeps"]["weights"], "clean": 0.99, "average_normalized": 0.8}
    (spot,) = findings(rows)["sweet_spots"]
    assert spot["rates by clean"] == [0.01, 0.01]
    assert spot["rates by noisy"] == [0.1, 0.1]
    assert spot["A"] == pytest.approx(0.8 - 0.5)
    assert spot["clean"] == pytest.approx(0.99 - 0.95)


def test_cells_are_measured_and_written_on_the_page(tmp_path):
    from analog_cells import Effort, measure
    from analog_findings import findings
    from analog_nets import Net
    from analog_page import fill

    effort = Effort(steps=10, n_draws=2, least=2.0)
    wanted = [(pair, ("weights", "state")) for pair in cells_of("norms").pairs[:1]]
    wanted += [(pair, ("weights",)) for pair in cells_of("summaries").pairs[:3]]
    views = {cell: view for pair, view in wanted for cell in (pair.first, pair.second)}
    rows = [measure(cell, seed, view, effort, "cpu") for cell, view in views.items() for seed in (0, 1)]
    budget = 0.001 * 4 * 1149 * 64
    for found in rows:
        assert set(found["sweeps"]) == {"weights", "state"} or found["cell"].startswith("digits mlp-3x64")
        # No validation accuracy reaches 2, so every net of all rows tries the other rates; those of summaries do not.
        assert len(found["tried"]) == (1 if found["share"] else 4)
        assert found["tried"][f"{found['rate']:g}"] == max(found["tried"].values())
        assert found["n_bytes"] <= budget or found["share"] is None
    assert (
        measure(next(iter(views)), 0, ["weights"], effort, "cpu")["sweeps"]["weights"] == rows[0]["sweeps"]["weights"]
    )

    page = tmp_path / "analog.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    run = {"date": "today", "machine": "here", "versions": {}, "seeds": 2, "cpu_seconds": 1, "levels": (0.1,)}
    results = {**run, **findings(rows), "rows": rows}
    fill(page, results)
    written = page.read_text(encoding="utf-8")
    fill(page, results)
    assert page.read_text(encoding="utf-8") == written
    assert Net("mlp", 3, 64).name + ", summary of 0.1%" in written
    assert written.count("<!-- results:") == written.count("<!-- end -->") == 6
    assert "not run yet" not in written.split("results: summaries")[1].lower()
