"""The error of a plan: how far rows lie from the nearest decoded point."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..construction import Rows, with_target_column
from ..nearest import Floats, nearest, squared_distances_to
from ..points import Coreset
from ..quantizers import Quantizer
from ..sampling import stratified_draw
from ..targets import CLASS, NUMERIC
from ..wire import arranged, columns_sent
from .energy import EnergyYardstick
from .extrapolation import Extrapolation, HeldOutRows, OwnRows
from .forecasts import Task

# Rows that errors are measured on, and the least number of rows of which some are held out for that.
MEASURED_ROWS = 1024
LEAST_HELD_OUT = 200
_HELD_OUT_SHARE = 0.25
_TRAINING_ROWS = 4096
_LEAST_ADDED = 0.05
# Rows that energy distances are measured on, fewer in wide tables.
_LEAST_ENERGY_ROWS, _MOST_ENERGY_ROWS, _MOST_ENERGY_VALUES = 1024, 4096, 1 << 21


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """Rows whose weighted root mean squared distance to the nearest point of their class is the error.

    Parameters
    ----------
    X : ndarray of shape (r, d), or d + 1 with a numeric target
    weights : ndarray of shape (r,)
    classes : ndarray of shape (r,), optional
    whole : Rows
        All rows, of which a numeric target's origin and scale are taken.
    held_out : bool
        Whether coresets to be measured are built without these rows.
    """

    X: Floats
    weights: NDArray[np.float64]
    classes: NDArray[Any] | None
    whole: Rows
    held_out: bool

    def squared_error(self, coreset: Coreset, columns: NDArray[np.float64] | None = None) -> float:
        """Square of the error of a coreset, or of other values in the columns that it sends.

        Parameters
        ----------
        coreset : Coreset
        columns : ndarray, optional
            As a receiver decodes them.

        Returns
        -------
        float
        """
        points, labels = coreset.points, coreset.labels
        if columns is not None:
            points, labels = _received(coreset, columns)
        if self.whole.target_type == NUMERIC and labels is not None:
            points = with_target_column(points, labels, self.whole)
        total = self.weights.sum()
        if self.classes is None or labels is None:
            return float(self.weights @ nearest(self.X, points)[1] / total)
        squares = 0.0
        for label in np.unique(self.classes):
            own = np.flatnonzero(self.classes == label)
            squares += float(self.weights[own] @ nearest(self.X[own], points[labels == label])[1])
        return float(squares / total)

    def what_rounding_adds(self, coreset: Coreset, columns: NDArray[np.float64], excess: float) -> tuple[float, float]:
        """What a codec counts as adding to the squared error.

        That is the excess that was measured, but no less than a twentieth of the squared distance by which points are
        moved (ours): values rounded to middle ones stand closer to new rows now and then, which is no reason to send
        fewer digits when there is room. Where the points are all rows there is, and the whole distance counts.

        Parameters
        ----------
        coreset : Coreset
        columns : ndarray
            As a receiver decodes those of the coreset.
        excess : float
            Squared error of the decoded points less that of the points.

        Returns
        -------
        some, every : float
            Where the points stand for more rows, and where they are all rows.
        """
        moved = squared_distances_to(columns_sent(coreset), columns)
        mass = coreset.weights.sum()
        distance = float(coreset.weights @ moved / mass) if mass > 0 else 0.0
        return max(excess, _LEAST_ADDED * distance), distance

    def extrapolation(self, n_rows: int) -> Extrapolation:
        """What errors of coresets of so many rows tell of coresets of others."""
        return HeldOutRows(n_rows) if self.held_out else OwnRows(n_rows)

    @property
    def described(self) -> str:
        """What errors are, for people."""
        n_rows = len(self.X)
        if self.held_out:
            return f"root mean squared distances of {n_rows} held-out rows to the nearest decoded point"
        return (
            f"root mean squared distances of {n_rows} rows to the nearest decoded point; the points were made of the "
            "same rows, since none can be spared of so few"
        )


Measure = Yardstick | EnergyYardstick


def held_out_rows(rows: Rows, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows to measure errors on that coresets are built without, no class's last one; none of a small table.

    Parameters
    ----------
    rows : Rows
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of intp, ascending
    """
    if len(rows) < LEAST_HELD_OUT:
        return np.empty(0, dtype=np.intp)
    drawn = rng.permutation(len(rows))[: min(MEASURED_ROWS, int(_HELD_OUT_SHARE * len(rows)))]
    if rows.target_type == CLASS:
        codes = np.unique(np.asarray(rows.labels), return_inverse=True)[1]
        left = np.bincount(codes) - np.bincount(codes[drawn], minlength=codes.max() + 1)
        drawn = drawn[left[codes[drawn]] > 0]
    return np.sort(drawn)


def yardstick(whole: Rows, chosen: NDArray[np.intp], *, held_out: bool) -> Yardstick:
    """Some rows to measure distances by, of rows that have the scale with which a numeric target counts."""
    part = whole.take(chosen)
    X = part.X
    if whole.target_type == NUMERIC:
        X = with_target_column(X, np.asarray(part.labels), whole)
    return Yardstick(X, part.weights, part.labels if whole.target_type == CLASS else None, whole, held_out)


def training_yardstick(task: Task) -> Yardstick:
    """Rows drawn by weight to measure by, which coresets are built of as well."""
    weights = task.builder.rows.weights
    drawn = stratified_draw(weights, min(len(weights), _TRAINING_ROWS), task.rng)
    measure = yardstick(task.measured, drawn, held_out=False)
    return dataclasses.replace(measure, weights=np.ones(len(drawn)))


def energy_yardstick(rows: Rows, rng: np.random.Generator) -> EnergyYardstick | None:
    """Rows of classes, which are there to train on, or some of them; None when no class has two that differ."""
    if rows.target_type != CLASS:
        return None
    chosen = None
    most = max(_LEAST_ENERGY_ROWS, min(_MOST_ENERGY_ROWS, _MOST_ENERGY_VALUES // rows.X.shape[1]))
    if len(rows) > most:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[drawn_by_class(rows, most, rng)] = True
    energy = EnergyYardstick(rows.X, rows.weights, np.asarray(rows.labels), chosen)
    return energy if energy.usable else None


def drawn_by_class(rows: Rows, wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """About so many rows, of every class in proportion."""
    if wanted >= len(rows):
        return np.arange(len(rows))
    order = rng.permutation(len(rows))
    if rows.target_type != CLASS:
        return np.sort(order[:wanted])
    codes = np.unique(np.asarray(rows.labels), return_inverse=True)[1][order]
    by_class = order[np.argsort(codes, kind="stable")]
    starts = np.searchsorted(np.sort(codes), np.arange(codes.max() + 1))
    steps = ((np.arange(wanted) + rng.random()) * (len(rows) / wanted)).astype(np.intp)
    return np.sort(by_class[np.union1d(steps[steps < len(rows)], starts)])


def sent_and_received(coreset: Coreset, quantizer: Quantizer) -> tuple[Coreset, int, NDArray[np.float64]]:
    """A coreset in the order in which it is sent, bytes of its point block, and the columns that a receiver decodes.

    Parameters
    ----------
    coreset : Coreset
    quantizer : Quantizer

    Returns
    -------
    ordered : Coreset
    n_bytes : int
    columns : ndarray
    """
    ordered = arranged(coreset, quantizer)
    sent = columns_sent(ordered)
    block, received = quantizer.encode_and_decode(sent)
    return ordered, len(block), received


def _received(coreset: Coreset, columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Points and labels from columns as they travel."""
    if coreset.target_type != NUMERIC or coreset.labels is None:
        return columns, coreset.labels
    sent, largest = columns_sent(coreset)[:, -1], int(np.abs(coreset.labels).argmax())
    unit = sent[largest] / coreset.labels[largest] if coreset.labels[largest] else 1.0  # a power of two
    return columns[:, :-1], columns[:, -1] / unit
