"""What the built wheel does where nothing but its own dependencies is installed: ``python -P installed.py FOLDER``.

Not collected by pytest, which is not installed there either. FOLDER has the wheel and the source distribution.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import distributions, version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import analog_eval
import coreset
import imputation_eval

PACKAGES = {"coreset", "imputation_eval", "analog_eval"}
EXTRAS = {"ray", "torch", "matplotlib", "pyarrow"}
MEGABYTE = 10**6


def check_files(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    (source,) = folder.glob("*.tar.gz")
    assert wheel.stat().st_size < MEGABYTE, wheel.stat()
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "coreset/py.typed"} <= inside
    assert not any(name.startswith(("tests", "benchmarks")) for name in inside)
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {source.name}: {source.stat().st_size:,} bytes")


def check_environment() -> None:
    installed = {distribution.name.lower() for distribution in distributions()}
    assert not installed & EXTRAS, installed & EXTRAS
    for package in (coreset, imputation_eval, analog_eval):
        assert "site-packages" in package.__file__, package.__file__
        assert package.__version__ == version("coreset-eval")


def check_work() -> None:
    X, y = load_iris(return_X_y=True)
    run = coreset.DistributedCoreset(1024, backend="local", progress=False, random_state=0)
    run.fit([X[::2], X[1::2]], [y[::2], y[1::2]])
    received = coreset.decode(b"".join(run.messages_))
    assert sum(map(len, run.messages_)) <= 1024
    assert np.isclose(received.weights.sum(), len(X), rtol=1e-3)
    model = received.train(LogisticRegression(max_iter=1000))
    assert model.score(X, y) > 0.9
    report = analog_eval.noise_sweep(model, X, y, levels=[0.1], n_draws=5, random_state=0)
    assert 0 < report.table["mean"].item() <= 1
    frame = imputation_eval.ampute(pd.DataFrame(X), mechanism="mcar", missing_rate=0.2, random_state=0)
    filled = {name: frame.fillna(value) for name, value in (("mean", frame.mean()), ("zero", 0.0))}
    ranking = imputation_eval.score_imputations(frame, filled, truth=pd.DataFrame(X), random_state=0)
    assert ranking.winner == "mean"


def check_command() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, summary, points = (f"{folder}/{name}" for name in ("rows.csv", "rows.cset", "points.csv"))
        load_iris(as_frame=True).frame.to_csv(table, index=False)
        for words in (
            ["build", table, "--label", "target", "--budget", "1KiB", "--out", summary],
            ["inspect", summary],
            ["decode", summary, "--out", points],
        ):
            subprocess.run([Path(sys.executable).with_name("coreset"), *words], check=True, stdout=subprocess.DEVNULL)
        assert {"weight", "label"} <= set(pd.read_csv(points).columns)


def check_missing_extras() -> None:
    X, y = load_iris(return_X_y=True)
    report = analog_eval.noise_sweep(LogisticRegression(max_iter=1000).fit(X, y), X, y, levels=[0.1], n_draws=2)
    works: dict[str, list[Callable[[], object]]] = {
        "ray": [lambda: coreset.DistributedCoreset(1024, backend="ray").fit([X, X])],
        "plots": [report.plot, lambda: coreset.plan_budget(X, 1024).plot()],
        "torch": [lambda: analog_eval.harden, lambda: analog_eval.fold_batchnorm],
        "parquet": [lambda: coreset.DistributedCoreset(1024, backend="local").fit(["rows.parquet"])],
    }
    for extra, attempts in works.items():
        for attempt in attempts:
            assert f"coreset-eval[{extra}]" in message_of(attempt)


def message_of(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ImportError as error:
        return str(error)
    return "no error"


if __name__ == "__main__":
    check_files(Path(sys.argv[1]))
    check_environment()
    check_work()
    check_command()
    check_missing_extras()
    print("the wheel works without extras, and names those that are missing")
