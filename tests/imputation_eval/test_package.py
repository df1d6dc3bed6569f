from __future__ import annotations

import doctest

import imputation_eval


def test_every_public_function_has_an_example():
    finder = doctest.DocTestFinder(recurse=False)
    exempt = {
        "IScoreResult",
        "ImputationError",
        "NdsResult",
        "Ranking",
    }  # shown by the functions that return or raise them
    for name in set(imputation_eval.__all__) - exempt:
        assert any(test.examples for test in finder.find(getattr(imputation_eval, name), name)), name
