"""What importing costs, and that every public name is documented and its example runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

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
