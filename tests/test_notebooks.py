"""Notebooks in examples run from top to bottom, and what each cell shows can be shown."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def _code(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def _run(source, namespace):
    """Run a cell; return the value of its last line if that is an expression, as a notebook does."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace) if last else None


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    mpl.use("Agg")
    namespace = {}
    shown = []
    for cell in _code(path):
        value = _run("".join(cell["source"]), namespace)
        if value is not None:
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
    assert len(shown) >= 3
    assert len(plt.get_fignums()) >= 2
    plt.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(path):
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in _code(path))


def test_each_package_and_the_chain_of_all_have_one():
    assert {path.stem for path in NOTEBOOKS} == {"chain", "hardening", "imputation", "summaries"}
