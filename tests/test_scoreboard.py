"""The scoreboard says what the results say, and calls a goal missed that is missed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def goals(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scoreboard_goals

    return scoreboard_goals


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
