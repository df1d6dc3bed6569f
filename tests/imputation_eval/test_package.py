from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import imputation_eval

# The modules of subpackages; the examples of all others run together with those of the other packages.
NESTED = sorted(
    m.name for m in pkgutil.walk_packages(imputation_eval.__path__, "imputation_eval.") if m.name.count(".") > 1
)


@pytest.mark.parametrize("name", NESTED)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_function_has_an_example():
    finder = doctest.DocTestFinder(recurse=False)
    exempt = {"ImputationError", "NdsResult", "Ranking"}  # shown by the functions that return or raise them
    for name in set(imputation_eval.__all__) - exempt:
        assert any(test.examples for test in finder.find(getattr(imputation_eval, name), name)), name
