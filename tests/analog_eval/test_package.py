"""The package as a whole: what it exports, what it loads, and that its examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import analog_eval

MODULES = ["analog_eval", *(m.name for m in pkgutil.walk_packages(analog_eval.__path__, "analog_eval."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    pytest.importorskip("matplotlib.pyplot").close("all")


def test_public_names_are_documented_with_examples():
    for name in analog_eval.__all__:
        text = inspect.getdoc(getattr(analog_eval, name))
        assert text, name
        if name != "WeightNoise":
            assert ">>>" in text, name


def test_modules_say_what_they_export():
    for name in MODULES:
        module = importlib.import_module(name)
        assert all(hasattr(module, public) for public in module.__all__), name


def test_import_loads_nothing_heavy():
    code = (
        "import sys, analog_eval; "
        "print([m for m in ('ray', 'torch', 'matplotlib', 'ot', 'coreset', 'imputation_eval') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
