"""The error of a plan: how far rows lie from the nearest decoded point."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ..construction import Rows, with_target_column
from ..nearest import Floats, nearest, squared_distances_to
from ..points import Coreset
from ..sampling import stratified_draw
from ..targets import CLASS
from ..wire import columns_sent
from .energy import EnergyYardstick
from .extrapolation import Extrapolation, HeldOutRows, OwnRows

# Rows that errors are measured on, and the least number of rows of which some are held out for that.
_MEASURED_ROWS = 1024
_LEAST_HELD_OUT = 200
_HELD_OUT_SHARE = 0.25
_TRAINING_ROWS = 4096
_LEAST_ADDED = 0.05
# Rows that energy distances are measured on, fewer in wide tables.
_LEAST_ENERGY_ROWS, _MOST_ENERGY_ROWS, _MOST_ENERGY_VALUES = 1024, 4096, 1 << 21


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """Rows without a target, whose weighted root mean squared distance to the nearest point is the error.

    Parameters
    ----------
    X : ndarray of shape (r, d)
    weights : ndarray of shape (r,)
    held_out : bool
        Whether coresets to be measured are built without these rows.
    """

    X: Floats
    weights: NDArray[np.float64]
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
        points = coreset.points if columns is None else columns
        return float(self.weights @ nearest(self.X, points)[1] / self.weights.sum())

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
    """Rows to measure errors on that coresets are built without; none of a small table.

    Parameters
    ----------
    rows : Rows
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of intp, ascending
    """
    if len(rows) < _LEAST_HELD_OUT:
        return np.empty(0, dtype=np.intp)
    return np.sort(rng.permutation(len(rows))[: min(_MEASURED_ROWS, int(_HELD_OUT_SHARE * len(rows)))])


def held_out_yardstick(rows: Rows, chosen: NDArray[np.intp]) -> Yardstick:
    """Rows that coresets are built without."""
    return Yardstick(rows.X[chosen], rows.weights[chosen], held_out=True)


def training_yardstick(rows: Rows, rng: np.random.Generator) -> Yardstick:
    """Rows drawn by weight, which coresets are built of as well."""
    drawn = stratified_draw(rows.weights, min(len(rows), _TRAINING_ROWS), rng)
    return Yardstick(rows.X[drawn], np.ones(len(drawn)), held_out=False)


def energy_yardstick(rows: Rows, whole: Rows, rng: np.random.Generator) -> EnergyYardstick:
    """Rows with a target, which are there to train on, or some of them.

    Parameters
    ----------
    rows : Rows
    whole : Rows
        With the scale with which a numeric target counts.
    rng : numpy.random.Generator

    Returns
    -------
    EnergyYardstick
    """
    chosen = None
    most = max(_LEAST_ENERGY_ROWS, min(_MOST_ENERGY_ROWS, _MOST_ENERGY_VALUES // rows.X.shape[1]))
    if len(rows) > most:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[drawn_by_class(rows, most, rng)] = True
    labels = np.asarray(rows.labels)
    if rows.target_type == CLASS:
        return EnergyYardstick(rows.X, rows.weights, labels, chosen)
    return EnergyYardstick(with_target_column(rows.X, labels, whole), rows.weights, None, chosen, whole)


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
