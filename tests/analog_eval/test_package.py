"""The package as a whole: every public name has an example, and modules have what they say they export."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import analog_eval

# All of them, down into the rooms that are packages themselves.
MODULES = ["analog_eval", *(m.name for m in pkgutil.walk_packages(analog_eval.__path__, "analog_eval."))]


def test_public_names_have_examples():
    for name in set(analog_eval.__all__) - {"WeightNoise"}:
        assert ">>>" in (inspect.getdoc(getattr(analog_eval, name)) or ""), name


def test_modules_say_what_they_export():
    pytest.importorskip("torch")
    for name in MODULES:
        module = importlib.import_module(name)
        assert all(hasattr(module, public) for public in module.__all__), name
