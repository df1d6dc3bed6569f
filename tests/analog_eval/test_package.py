"""The package as a whole: its examples run, and every public name has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import analog_eval

# All of them, down into the rooms that are packages themselves.
MODULES = ["analog_eval", *(m.name for m in pkgutil.walk_packages(analog_eval.__path__, "analog_eval."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    pytest.importorskip("matplotlib").use("Agg")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    pytest.importorskip("matplotlib.pyplot").close("all")


def test_public_names_have_examples():
    for name in set(analog_eval.__all__) - {"WeightNoise"}:
        assert ">>>" in (inspect.getdoc(getattr(analog_eval, name)) or ""), name


def test_modules_say_what_they_export():
    for name in MODULES:
        module = importlib.import_module(name)
        assert all(hasattr(module, public) for public in module.__all__), name
