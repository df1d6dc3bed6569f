"""Every benchmark is run by the driver, has a quick form, and cannot overwrite full results with quick ones."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# Scripts that measure nothing, or that others start.
OTHERS = {"run", "plot", "scoreboard", "peers_worker", "vs_aihwkit_worker", "analog_nets"}


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import harness

    return harness


def scripts():
    """The benchmarks of the folder, whatever the driver says."""
    sources = {path.stem: path.read_text(encoding="utf-8") for path in BENCHMARKS.glob("*.py")}
    return {name: text for name, text in sources.items() if '__name__ == "__main__"' in text and name not in OTHERS}


def settings_of(text):
    """The names of a script's settings, and those that its quick form has a value of its own for."""
    tree = ast.parse(text)
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "SETTINGS"
    ]
    keys = [key.value for key in table.keys]
    quick = [key for key, call in zip(keys, table.values, strict=True) if _has_quick(call)]
    return keys, quick


def _has_quick(call):
    given = call.args[1] if len(call.args) > 1 else None
    return given is not None and not (isinstance(given, ast.Constant) and given.value is None)


def test_the_driver_runs_every_benchmark_once(harness):
    from run import BENCHMARKS as driven

    assert set(driven) == set(scripts())


@pytest.mark.parametrize("name", sorted(scripts()))
def test_every_benchmark_has_a_quick_form_and_writes_through_the_harness_alone(name):
    text = scripts()[name]
    assert settings_of(text)[1], f"{name}.py does the same in its quick form"
    assert "Run(__file__, __doc__, SETTINGS)" in text
    for way in ("json.dump(", "ArgumentParser", "RESULTS /", 'parent / "results"'):
        assert way not in text, f"{name}.py has {way}, which is the harness's"


def test_quick_values_stand_in_for_full_ones_unless_given(harness):
    settings = {
        "rows": harness.Setting(1000, 10),
        "names": harness.Setting(("a", "b"), ("a",)),
        "keep": harness.Setting(False),
    }

    def given(*arguments):
        return vars(harness.Run("x.py", "About.", settings, arguments).given) | {"out": None}

    assert given() == {"rows": 1000, "names": ("a", "b"), "keep": False, "quick": False, "out": None}
    assert given("--quick") == {"rows": 10, "names": ("a",), "keep": False, "quick": True, "out": None}
    assert given("--quick", "--rows", "7", "--keep") == {
        "rows": 7, "names": ("a",), "keep": True, "quick": True, "out": None,
    }  # fmt: skip
    assert given("--rows", "10", "--names", "b")["names"] == ["b"]


def test_results_go_where_they_belong(harness, tmp_path):
    settings = {"cases": harness.Setting(("a", "b"), ("a",)), "jobs": harness.Setting(1, None, free=True)}

    def folder(*arguments):
        return harness.Run("x.py", "About.", settings, arguments).path.parent

    assert folder() == folder("--cases", "a", "b") == folder("--jobs", "2") == harness.RESULTS == BENCHMARKS / "results"
    assert folder("--quick") == folder("--quick", "--cases", "b") == harness.QUICK_RESULTS
    assert not harness.QUICK_RESULTS.is_relative_to(BENCHMARKS)
    assert folder("--cases", "a") == folder("--cases", "b", "a") == harness.PARTS
    assert folder("--quick", "--out", str(tmp_path)) == folder("--out", str(tmp_path)) == tmp_path


@pytest.mark.parametrize("way", ["results", "results/below", "../benchmarks/results", "link"])
def test_a_quick_run_cannot_write_to_the_full_results(harness, way, tmp_path, capsys):
    target = tmp_path / "link" if way == "link" else BENCHMARKS / way
    if way == "link":
        target.symlink_to(BENCHMARKS / "results")
    with pytest.raises(SystemExit) as ended:
        harness.Run("x.py", "About.", {}, ["--quick", "--out", str(target)])
    assert ended.value.code == 2
    assert "--quick must not write to" in capsys.readouterr().err


def test_results_tell_how_they_came_about_and_are_json(harness, tmp_path):
    run = harness.Run("x.py", "About.", {}, ["--quick", "--out", str(tmp_path)])
    rows = [{"a": np.float64(1.5), "b": np.int64(2), "c": np.arange(2)}, {"a": float("nan")}, {"a": -np.inf}]
    run.save({"rows": rows, "machine": "another", "versions": {"peer": "7"}})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    stored = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert stored["rows"] == [{"a": 1.5, "b": 2, "c": [0, 1]}, {"a": None}, {"a": None}]
    assert stored["command"] == f"python benchmarks/x.py --quick --out {tmp_path}"
    assert stored["quick"] is True
    assert stored["machine"] == "another"
    assert (stored["versions"]["numpy"], stored["versions"]["peer"]) == (np.__version__, "7")
    assert len(stored["date"]) == 10
    assert run.stored() == {"rows": stored["rows"]}  # what is anew with every run is left out
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_what_cannot_be_measured_is_said_by_quick_runs_and_ends_full_ones(harness, tmp_path):
    harness.Run("x.py", "About.", {}, ["--quick", "--out", str(tmp_path)]).skip("no peer")
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["skipped"] == "no peer"
    with pytest.raises(SystemExit, match="no peer"):
        harness.Run("y.py", "About.", {}, ["--out", str(tmp_path)]).skip("no peer")
    assert not (tmp_path / "y.json").exists()


def test_the_driver_fails_when_a_benchmark_does_and_runs_the_others(harness, monkeypatch, tmp_path, capsys):
    import run

    started = []

    def ended(name, arguments):
        started.append((name, tuple(arguments)))
        return 3 if name == "speed" else 0

    monkeypatch.setattr(run, "run", ended)
    monkeypatch.setattr(run, "QUICK_RESULTS", tmp_path)
    (tmp_path / "speed.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--only", "speed", "rate"])
    with pytest.raises(SystemExit, match="failed: speed"):
        run.main()
    assert started == [(name, ("--quick",)) for name in ("speed", "rate", "plot", "scoreboard")]
    assert not (tmp_path / "speed.json").exists()  # no older run stands for the one that failed


def test_a_complete_quick_run_begins_with_an_empty_folder(harness, monkeypatch, tmp_path):
    import run

    monkeypatch.setattr(run, "run", lambda name, arguments: 0)
    monkeypatch.setattr(run, "QUICK_RESULTS", tmp_path)
    for only, left in ((["--only", "speed"], {"rate.json", "rate.png"}), ([], set())):
        for name in ("speed.json", "rate.json", "rate.png"):
            (tmp_path / name).touch()
        monkeypatch.setattr(sys, "argv", ["run.py", "--quick", *only])
        run.main()
        assert {path.name for path in tmp_path.iterdir()} == left


@pytest.mark.parametrize("stored", [{}, {"survivors": [], "equivalents": []}])
def test_survivors_are_run_again_only_where_there_are_any(harness, stored, monkeypatch, tmp_path, capsys):
    import mutation

    monkeypatch.setattr(mutation.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(mutation, "measure", lambda *arguments: pytest.fail("mutants were run"))
    monkeypatch.setattr(mutation, "version", lambda name: "3")
    (tmp_path / "mutation.json").write_text(json.dumps({"modules": {"coreset.wire": stored} if stored else {}}))
    monkeypatch.setattr(harness.Run, "finish", lambda self, content: self.save(content))
    arguments = ["--survivors", "--modules", "coreset.wire", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["mutation.py", *arguments])
    if stored:
        mutation.main()
        assert json.loads((tmp_path / "mutation.json").read_text())["modules"] == {"coreset.wire": stored}
    else:
        with pytest.raises(SystemExit):
            mutation.main()
        assert "has no results of coreset.wire" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_quick_runs_give_a_page_and_pictures_and_leave_the_full_results(harness, tmp_path):
    before = digest(BENCHMARKS / "results")
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent), "OMP_NUM_THREADS": "1"}
    for name in ("construction", "robustness", "targets"):
        command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--quick", "--out", str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
    from plot import draw
    from scoreboard import write

    draw(tmp_path)
    page = write(tmp_path).read_text(encoding="utf-8")
    assert digest(BENCHMARKS / "results") == before
    assert {path.name for path in tmp_path.glob("*.png")} == {"construction.png", "robustness.png"}
    lines = page.splitlines()
    (codecs,) = [line for line in lines if line.endswith("| construction |")]
    assert "not measured" not in codecs
    (speed,) = [line for line in lines if line.startswith("| RobustCoreset: distortion")]
    assert "not measured in the quick form" in speed
    assert any(line.startswith("| targets | `python benchmarks/targets.py --quick") for line in lines)
    assert "![robustness.png](robustness.png)" in lines


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
