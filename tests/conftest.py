"""Fixtures shared by the tests of all three packages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Derandomised so that a red run can be repeated; no deadline because shared machines stall.
settings.register_profile(
    "project", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.load_profile("project")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with the same seed in every test."""
    return np.random.default_rng(20260101)


class _Missing(MetaPathFinder):
    """Finds that a module is not there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Raise what Python raises for a module that is not installed."""
        if fullname == self.name:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a module be as if it were not installed, or not whole where it is a package's part."""

    def hidden(name: str) -> None:
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name.partition(".")[0]]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setattr(sys, "meta_path", [_Missing(name), *sys.meta_path])

    return hidden
