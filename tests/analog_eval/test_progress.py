"""Progress: short work is quiet, a terminal has one line, a log a line now and then."""

from __future__ import annotations

import re
import sys

import pytest

from analog_eval import _progress, noise_sweep


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by ``seconds`` at every look."""

    class Clock:
        now, seconds = 0.0, 0.0

        def monotonic(self):
            self.now += self.seconds
            return self.now

    monkeypatch.setattr(_progress, "time", clock := Clock())
    return clock


def shown(clock, seconds, capsys, *, n_steps=10, enabled=True):
    clock.seconds = seconds
    with _progress.ProgressLine("work", n_steps, enabled=enabled) as line:
        for _ in range(n_steps):
            line.step()
    return capsys.readouterr().err


def test_a_log_gets_a_line_every_half_minute(clock, capsys):
    assert shown(clock, 2.9, capsys) == ""
    assert shown(clock, 12.0, capsys).splitlines() == [
        "work: 3 of 10, 84 s left",
        "work: 6 of 10, 48 s left",
        "work: 9 of 10, 12 s left",
    ]
    assert "1 of 10, 90 min left" in shown(clock, 600.0, capsys)
    assert "1 of 10, 10.0 h left" in shown(clock, 4000.0, capsys)
    assert shown(clock, 600.0, capsys, enabled=False) == ""


def test_a_terminal_gets_one_line_that_is_wiped(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    wiped = "\r\x1b[K"
    assert shown(clock, 0.01, capsys) == wiped
    err = shown(clock, 1.0, capsys, n_steps=3)
    assert err == f"{wiped}work: 1 of 3, 2 s left{wiped}work: 2 of 3, 1 s left{wiped}work: 3 of 3, 0 s left{wiped}"
    assert shown(clock, 1.0, capsys, enabled=False) == ""


def test_sweeps_show_it_unless_told_not_to(linear, diabetes, capsys, clock):
    noise_sweep(linear, *diabetes, n_draws=3)
    assert capsys.readouterr().err == ""
    clock.seconds = 31.0
    noise_sweep(linear, *diabetes, n_draws=3)
    assert re.search(r"noise sweep, draws: 3 of 3, 0 s left\n$", capsys.readouterr().err)
    noise_sweep(linear, *diabetes, n_draws=3, progress=False)
    assert capsys.readouterr().err == ""
