"""The scoreboard says what the results say, and calls a goal missed that is missed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def goals(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scoreboard_goals

    return scoreboard_goals


@pytest.fixture
def scoreboard(goals):
    import scoreboard

    return scoreboard


def test_the_page_is_that_of_the_results():
    command = [sys.executable, str(BENCHMARKS / "scoreboard.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_results_file_has_goals_or_none_by_choice(goals):
    without = {"centers", "hardening", "robustness", "scaling", "targets", "yardstick"}
    stems = {path.stem for path in (BENCHMARKS / "results").glob("*.json")}
    assert stems - set(goals.GOALS) <= without | {"analog_studies"}


def test_the_worst_value_decides(goals):
    assert goals.most("p", "w", 2.0, [1.0, 2.0]).held is True
    assert goals.most("p", "w", 2.0, [1.0, 2.1]).held is False
    assert goals.least("p", "w", 2.0, [2.0, 3.0], " x")[2:] == ("≥ 2 x", "2 to 3 x", True)
    assert goals.least("p", "w", 2.0, [1.99, 3.0]).held is False


def test_what_is_no_number_holds_no_goal(goals):
    assert not goals.most("p", "w", 1.0, [0.5, float("nan")]).held
    assert not goals.least("p", "w", 1.0, [2.0, float("nan")]).held


@pytest.mark.parametrize(
    ("text", "what", "bound"),
    [
        (
            "data: method, solved: median <= 1.01, worst <= 1.02",
            "data: method, solved",
            "median ≤ 1.01, worst ≤ 1.02",
        ),
        ("power, banana: mean declared worse >= 95 %", "power, banana: mean declared worse", "≥ 95 %"),
        ("best or tied >= 95 %, banana, truth", "best or tied, banana, truth", "≥ 95 %"),
        ("null, banana: NDS mean within 0.005 of 0", "null, banana: NDS mean", "within 0.005 of 0"),
        ("p-values uniform, KS p > 0.01", "p-values uniform, KS p", "> 0.01"),
        ("our excess at most a third of the best peer's", "our excess", "at most a third of the best peer's"),
    ],
)
def test_bounds_are_read_from_the_text_of_a_goal(goals, text, what, bound):
    assert goals.judged("p", text, "m", True)[1:3] == (what, bound)


def test_a_goal_without_a_bound_is_an_error(goals):
    with pytest.raises(ValueError, match="'fast' has no bound"):
        goals.judged("p", "fast", "m", True)


def test_goals_of_a_file_are_told_apart_whatever_their_sizes(goals, scoreboard):
    for name, read in goals.GOALS.items():
        keys = [goal.key for goal in read(scoreboard.load(BENCHMARKS / "results", name))]
        assert len(set(keys)) == len(keys), name
        assert keys, name


def test_no_goal_of_the_full_results_is_lost(goals, scoreboard):
    # A renamed row or another size would not raise, but leave fewer goals.
    known = {
        "speed": 7, "construction": 1, "context": 2, "peers": 38, "streaming": 2, "budget": 9, "rate": 2,
        "planner": 2, "allocation": 1, "distributed": 3, "ray_speed": 4, "imputation": 39, "imputation_speed": 4,
        "analog_coverage": 2, "analog_speed": 5, "analog_torch_speed": 4, "drift": 6, "vs_aihwkit": 3,
        "analog_memory": 1, "mutation": 4,
    }  # fmt: skip
    found = {name: list(read(scoreboard.load(BENCHMARKS / "results", name))) for name, read in goals.GOALS.items()}
    assert {name: len(part) for name, part in found.items()} == known


def test_data_sets_without_a_peer_are_left_out_of_the_comparison(scoreboard):
    row = {"status": "ok", "distortion": 1.1, "seconds": 1.0}
    rows = [row | {"scenario": "alone", "method": "RobustCoreset"}]
    rows += [row | {"scenario": "two", "method": method} for method in ("RobustCoreset", "coreax: a peer")]
    lines = list(scoreboard.peers_section({"results": rows, "versions": {}, "limit_seconds": 1}, "."))
    assert [line.split(" | ")[0] for line in lines if line.startswith(("| alone", "| two"))] == ["| two"]


def test_a_quick_run_speaks_of_the_same_goals_at_its_own_sizes(goals, scoreboard):
    full = [goals.most("coreset", "time (1,000,000 x 64)", 1, [2.0]), goals.most("coreset", "memory (64)", 1, [1.0])]
    quick = [goals.most("coreset", "time (1,000 x 64)", 1, [0.5]), goals.most("coreset", "new", 1, [0.5])]
    time, memory, new = scoreboard.side_by_side(full, quick)
    assert (time.what, time.measured, time.held) == ("time (1,000 x 64)", "0.5", True)
    assert (memory.what, memory.measured, memory.held) == ("memory (64)", "", None)
    assert new.what == "new"
    text = "\n".join(scoreboard.goals_section({"speed": [time, memory, new]}, {"speed": full}))
    assert "| time (1,000 x 64) | ≤ 1 | 0.5 | held | **missed** | speed |" in text
    assert "| memory (64) | ≤ 1 | not measured in the quick form |  | held | speed |" in text


def test_a_quick_page_says_what_was_skipped_and_what_gave_no_results(scoreboard, tmp_path):
    skipped = {"skipped": "aihwkit was not installed: no wheel", "quick": True}
    (tmp_path / "vs_aihwkit.json").write_text(json.dumps(skipped), encoding="utf-8")
    (tmp_path / "peers.png").write_bytes(b"")
    page = scoreboard.write(tmp_path).read_text(encoding="utf-8")
    assert page.startswith("# Scoreboard, quick form")
    assert "Not measured: aihwkit was not installed: no wheel" in page
    assert "| speed | no results | | |" in page
    assert "goals 0 were measured" in page
    assert "![peers.png](peers.png)" in page


def test_faults_that_tests_find_are_goals_before_and_after_they_are_measured(goals):
    before = list(goals.mutation({}))
    assert [goal.held for goal in before] == [None] * 4
    assert {goal.package for goal in before} == {"coreset", "imputation_eval", "analog_eval"}
    scores = dict(zip(goals.MUTATED, (0.9, 0.89, 1.0, 0.95), strict=True))
    rows = {module: {"score": score, "mutants": 100} for module, score in scores.items()}
    assert [goal.held for goal in goals.mutation({"modules": rows})] == [True, False, True, True]
    intervals = ((0.9, 0.99), (0.8, 0.89), (0.85, 0.95), (0.8, 0.9))  # of samples, which decide or do not
    sampled = {module: rows[module] | {"interval": each} for module, each in zip(rows, intervals, strict=True)}
    assert [goal.held for goal in goals.mutation({"modules": sampled})] == [True, False, None, None]


def test_ratios_are_of_medians_with_an_interval_that_seeds_decide(scoreboard):
    def side(*values):
        return pd.Series(values)

    assert scoreboard.ratio([(side(1.0, 1.0), side(2.0, 2.0))]) == "0.5 (0.5 to 0.5)"
    assert scoreboard.ratio([(side(1.0), side(4.0))]) == "0.25 (one seed)"
    # Geometric: a half on one data set and twice on another are even.
    even = [(side(1.0, 1.0), side(2.0, 2.0)), (side(2.0, 2.0), side(1.0, 1.0))]
    assert scoreboard.ratio(even) == "1 (1 to 1)"
    # Bootstrap medians of two values are the least, the middle or the greatest, each often enough.
    assert scoreboard.ratio([(side(1.0, 3.0), side(2.0, 2.0))]) == "1 (0.5 to 1.5)"


def test_results_that_judge_themselves_are_judged_by_the_bounds_of_today(scoreboard):
    from imputation_goals import goals as of_imputation
    from peers_goals import goal_table as of_peers

    peers, imputation = (scoreboard.load(BENCHMARKS / "results", name) for name in ("peers", "imputation"))
    assert of_peers(peers["results"]) == peers["goals"]
    texts = [[row["goal"], row["found"], row["held"]] for row in of_imputation(imputation)]
    assert texts == [[row["goal"], row["found"], row["held"]] for row in imputation["goals"]]
