from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import imputation_eval

MODULES = sorted(m.name for m in pkgutil.walk_packages(imputation_eval.__path__, "imputation_eval."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_function_has_an_example():
    finder = doctest.DocTestFinder(recurse=False)
    exempt = {"ImputationError", "NdsResult", "Ranking"}  # shown by the functions that return or raise them
    for name in set(imputation_eval.__all__) - exempt:
        assert any(test.examples for test in finder.find(getattr(imputation_eval, name), name)), name


def test_public_names_are_sorted_and_exist():
    assert imputation_eval.__all__ == sorted(imputation_eval.__all__)
    assert all(hasattr(imputation_eval, name) for name in imputation_eval.__all__)


def test_import_stays_light():
    code = "import sys, imputation_eval; print([m for m in ('ray', 'torch', 'matplotlib', 'ot') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
