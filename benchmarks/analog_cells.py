"""A cell of the weight-noise studies: one net, what it is trained on and how, and what weight noise leaves of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from analog_nets import DATA, Net, accuracy, train
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from torch import nn

from analog_eval import noise_sweep
from coreset import BudgetedCoreset, Coreset, UniformCoreset

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6)  # of the standard deviation of each kernel's weights
RATE = 0.05
OWN_RATES = (0.02, 0.1, 0.2)  # tried besides, for nets that barely train
ALL_ROWS, SUMMARY, SCATTER, SAMPLE = "all rows", "summary", "its scatter", "sample"
SCATTERED_ROWS = 4000  # rows that a scatter should have, in 2 to 16 copies
VALUE_BYTES = 4  # a pixel in float32: what shares of bytes are shares of
# What is swept: the noisy tensors, and the rows.
VIEWS = {"weights": ("weights", "test"), "state": ("state", "test"), "validation": ("weights", "validation")}


@dataclass(frozen=True)
class Effort:
    """How much is spent on a cell, the same for all of them.

    Every net takes the same number of ``steps``, on however many rows. A net whose validation accuracy stays below
    ``least`` gets a learning rate of its own.
    """

    steps: int = 400
    n_draws: int = 8
    least: float = 0.8


@dataclass(frozen=True)
class Cell:
    """A net and how it is trained; ``rate`` None: `RATE`, or a chosen one where nets barely train at that."""

    data: str
    net: Net
    rate: float | None = None
    source: str = ALL_ROWS
    share: float | None = None

    @property
    def name(self) -> str:
        """Unique and permanent."""
        rate = "" if self.rate is None else f" at {self.rate:g}"
        source = "" if self.share is None else f" on {self.source} of {self.share:.1%}"
        return f"{self.data} {self.net.name}{rate}{source}"


class Rows(NamedTuple):
    """Images, labels and, for summaries, weights."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None


def measure(cell: Cell, seed: int, views: Iterable[str], effort: Effort, device: str) -> dict[str, Any]:
    """Train the net and sweep it; the seed is that of split, summary, initial weights, batches and noise alike."""
    torch.set_num_threads(1)
    started = time.process_time()
    with threadpool_limits(1):
        row = _measured(cell, seed, views, effort, device)
    return row | {"cpu_s": round(time.process_time() - started, 2)}


def _measured(cell: Cell, seed: int, views: Iterable[str], effort: Effort, device: str) -> dict[str, Any]:
    parts = split(cell.data, seed)
    row = {"cell": cell.name, "data": cell.data, **vars(cell.net), "source": cell.source, "share": cell.share}
    row |= {"seed": seed, "sweeps": {}}
    rows, size = training_rows(cell, seed)
    if rows is None:
        return row | {"absent": "the budget is too small for a message"}
    model, rate, tried = _fitted(cell, rows, parts["validation"], seed, effort, device)
    row |= {"rate": rate, "tried": tried, **size, "n_parameters": sum(p.numel() for p in model.parameters())}
    if not all(torch.isfinite(p).all() for p in model.state_dict().values()):
        return row | {"absent": "diverged"}
    for view in views:
        targets, part = VIEWS[view]
        row["sweeps"][view] = _swept(model, parts[part], targets, seed, effort)
    return row


@functools.lru_cache(maxsize=4)
def split(data: str, seed: int) -> dict[str, Rows]:
    """Sixty-four percent of the rows to train on, sixteen to choose by, twenty to test."""
    X, y = DATA[data]()
    X, test_X, y, test_y = train_test_split(X, y, test_size=0.2, random_state=seed, stratify=y)
    X, other_X, y, other_y = train_test_split(X, y, test_size=0.2, random_state=seed, stratify=y)
    return {"training": Rows(X, y), "validation": Rows(other_X, other_y), "test": Rows(test_X, test_y)}


def training_rows(cell: Cell, seed: int) -> tuple[Rows | None, dict[str, int]]:
    """What a net is trained on, and the bytes and points that it takes; None where no message fits the budget."""
    rows = split(cell.data, seed)["training"]
    if cell.share is None:
        return rows, {"n_bytes": VALUE_BYTES * rows.X.size, "n_points": len(rows.X)}
    sent = _message(cell.data, cell.share, cell.source == SAMPLE, seed)
    if sent is None:
        return None, {}
    n_bytes, summary = sent
    size = {"n_bytes": n_bytes, "n_points": len(summary)}
    if cell.source == SCATTER:
        copies = int(np.clip(SCATTERED_ROWS / len(summary) // 2 * 2, 2, 16))
        summary = summary.scatter(copies, random_state=seed)
    # Copies: arrays of a coreset are read-only, which torch warns of.
    return Rows(summary.points.copy(), np.array(summary.labels), summary.weights.copy()), size


@functools.lru_cache(maxsize=4)
def _message(data: str, share: float, sampled: bool, seed: int) -> tuple[int, Coreset] | None:
    rows = split(data, seed)["training"]
    base = UniformCoreset() if sampled else None
    budgeted = BudgetedCoreset(int(share * VALUE_BYTES * rows.X.size), base=base, random_state=seed)
    try:
        budgeted.fit(rows.X, rows.y)
    except ValueError as error:
        if "is too small" not in str(error):
            raise
        return None
    return len(budgeted.message_), budgeted.coreset_


def _fitted(
    cell: Cell, rows: Rows, validation: Rows, seed: int, effort: Effort, device: str
) -> tuple[nn.Module, float, dict[str, float]]:
    """The net, its rate, and the validation accuracy of every rate that was tried."""

    def fit(rate: float) -> tuple[nn.Module, float]:
        batch_size = 64
        epochs = max(1, round(effort.steps / max(1, round(len(rows.X) / batch_size))))
        model = cell.net.build(rows.X.shape[1], seed=seed)
        options = {"learning_rate": rate, "epochs": epochs, "batch_size": batch_size, "seed": seed, "device": device}
        train(model, rows.X, rows.y, sample_weight=rows.weights, **options)
        return model, accuracy(model, validation.X, validation.y)

    rate = RATE if cell.rate is None else cell.rate
    models = {rate: fit(rate)}
    # A summary's net is compared with one architecture's on all rows, which has one rate: it gets no other.
    if cell.rate is None and cell.share is None and models[rate][1] < effort.least:
        models |= {other: fit(other) for other in OWN_RATES}
    best = max(models, key=lambda other: models[other][1])
    return models[best][0], best, {f"{other:g}": round(found[1], 4) for other, found in models.items()}


def _swept(model: nn.Module, rows: Rows, targets: str, seed: int, effort: Effort) -> dict[str, Any]:
    options = {"levels": LEVELS, "n_draws": effort.n_draws, "targets": targets, "random_state": seed, "progress": False}
    report = noise_sweep(model, rows.X, rows.y, **options)
    return {
        "clean": round(report.clean, 5),
        "means": report.table["mean"].round(5).tolist(),
        "draw_sds": report.table["draw_sd"].round(5).tolist(),
        "average_normalized": round(report.average_normalized, 5),
        "chance": round(report.chance, 5),
    }
