"""What importing costs, what versions are promised, and that every public name is documented and its example runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PACKAGES = ("coreset", "imputation_eval", "analog_eval")
HEAVY = ("ray", "torch", "matplotlib", "ot")
NEED_TORCH = ("analog_eval.adapters.modules", "analog_eval.normalization", "analog_eval.training")
MODULES = [
    *PACKAGES,
    *(
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    ),
]


@pytest.mark.parametrize("package", PACKAGES)
def test_import_loads_nothing_heavy(package):
    script = f"import sys, {package}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_exists_and_is_documented(package):
    module = importlib.import_module(package)
    # As the linter sorts them: names in capitals come first.
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for name in module.__all__:
        documented = inspect.getdoc(getattr(module, name))
        assert documented, f"{package}.{name} has no docstring"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    if name.startswith(NEED_TORCH):
        pytest.importorskip("torch")
    mpl.use("Agg")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    plt.close("all")


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_versions_agree():
    written = _project()["version"]
    assert {importlib.import_module(package).__version__ for package in PACKAGES} == {written}
    assert f"\nversion: {written}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_lowest_versions_are_those_that_the_project_allows():
    project = _project()
    extras = project["optional-dependencies"]
    allowed = [*project["dependencies"], *extras["ray"], *extras["plots"], *extras["parquet"]]
    constraints = (ROOT / "tests/lowest.txt").read_text(encoding="utf-8")
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)$", constraints, flags=re.MULTILINE))
    lowest = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in allowed)
    assert tested.keys() == lowest.keys()
    assert all(Version(tested[name]) == Version(lowest[name]) for name in lowest)
