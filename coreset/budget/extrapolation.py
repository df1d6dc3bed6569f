"""What squared errors of coresets of some rows tell of coresets of other numbers of rows of the same law."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class HeldOutRows:
    """Errors of rows that coresets were built without: the mean of r rows is off by 1 / r of their variance.

    Parameters
    ----------
    n_rows : int
        That coresets were built of.
    """

    n_rows: int

    def removed(self, error: float, n_points: int) -> float:
        """Squared error of a coreset of so many points, had it been built of endless rows."""
        return error / (1 + n_points / self.n_rows)

    def restored(self, error: float, n_points: int, n_rows: int) -> float:
        """Inverse of `removed`, for another number of rows."""
        return error * (1 + n_points / n_rows)


@dataclasses.dataclass(frozen=True)
class OwnRows:
    """Errors of the rows that coresets were built of: a row that is a point itself has none.

    Parameters
    ----------
    n_rows : int
        That coresets were built of.
    """

    n_rows: int

    def removed(self, error: float, n_points: int) -> float:
        """Squared error of a coreset of so many points, had it been built of endless rows."""
        return error / max(1 - n_points / self.n_rows, 1 / self.n_rows)

    def restored(self, error: float, n_points: int, n_rows: int) -> float:
        """Inverse of `removed`, for another number of rows."""
        return error * max(1 - n_points / n_rows, 0.0)


Extrapolation = HeldOutRows | OwnRows
