"""What a stream holds: a binary counter of summaries, pieces of a leaf, and what later rows are checked against."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..construction import Rows
from ..construction.checking import check_range, column_range
from ..labels import merge_labels
from ..points import Coreset
from ..targets import CLASS, too_few_points


@dataclasses.dataclass(frozen=True)
class Counter:
    """Binary counter of summaries: the one at level l stands for 2**l leaves.

    Parameters
    ----------
    buckets : tuple of Coreset or None
        At most one a level.
    made : tuple of int
        How many have come to each level so far; the next one there takes this number for its seed.
    """

    buckets: tuple[Coreset | None, ...] = ()
    made: tuple[int, ...] = ()

    def made_at(self, level: int) -> int:
        """How many have come to a level so far."""
        return self.made[level] if level < len(self.made) else 0

    def add(self, bucket: Coreset, level: int, reduce: Callable[[int, int, Coreset], Coreset]) -> Counter:
        """The counter with one summary more, after all carries."""
        room = [None] * (level + 1 - len(self.buckets))
        buckets, made = [*self.buckets, *room], [*self.made, *(0 for _ in room)]
        while True:
            made[level] += 1
            waiting = buckets[level]
            if waiting is None:
                buckets[level] = bucket
                return Counter(tuple(buckets), tuple(made))
            buckets[level] = None
            level += 1
            if level == len(buckets):
                buckets.append(None)
                made.append(0)
            bucket = reduce(level, made[level], Coreset.merge(waiting, bucket))


@dataclasses.dataclass(frozen=True)
class Seen:
    """What later rows are checked against.

    Parameters
    ----------
    n_rows : int
    mass : float
    low, high : ndarray of shape (d,)
    target_type : {"class", "numeric"} or None
        None without labels.
    classes : ndarray of shape (n_classes,) or None
        None unless the labels are classes.
    source_dtype : numpy.dtype
    """

    n_rows: int
    mass: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    target_type: str | None
    classes: NDArray[Any] | None
    source_dtype: np.dtype[Any]

    @classmethod
    def of(cls, rows: Rows) -> Seen:
        """What one batch shows."""
        with np.errstate(over="ignore"):
            mass = float(rows.weights.sum())
        classes = np.unique(np.asarray(rows.labels)) if rows.target_type == CLASS else None
        return cls(len(rows), mass, *column_range(rows.X), rows.target_type, classes, rows.source_dtype)

    def after(self, earlier: Seen | None, name: str, n_points: int) -> Seen:
        """Both together, when they go together; `name` is what these rows' labels are called in errors."""
        seen = self if earlier is None else self._added_to(earlier, name)
        if seen.classes is not None and len(seen.classes) > n_points:
            raise ValueError(too_few_points(n_points, seen.classes, "in y so far"))
        check_range(seen.low, seen.high, seen.mass, seen.n_rows)
        return seen

    def _added_to(self, earlier: Seen, name: str) -> Seen:
        if (self.target_type is None) != (earlier.target_type is None):
            now, before = ("no labels", "had some") if self.target_type is None else ("labels", "had none")
            raise ValueError(f"{name} brings {now}, but the rows before {before}")
        if self.target_type != earlier.target_type:
            raise ValueError(
                f"{name} brings a {self.target_type} target, but the rows before had a {earlier.target_type} one: "
                "set target_type of the base"
            )
        classes = merge_labels([earlier.classes, self.classes])
        return Seen(
            self.n_rows + earlier.n_rows,
            self.mass + earlier.mass,
            np.minimum(self.low, earlier.low),
            np.maximum(self.high, earlier.high),
            self.target_type,
            None if classes is None else np.unique(classes),
            np.result_type(self.source_dtype, earlier.source_dtype),
        )


def put_together(pieces: Sequence[Rows], copied: bool = False) -> Rows:
    """One table of several, numbered anew."""
    if len(pieces) == 1 and not copied:
        return dataclasses.replace(pieces[0], indices=None)
    return dataclasses.replace(
        pieces[0],
        X=np.concatenate([piece.X for piece in pieces]),
        weights=np.concatenate([piece.weights for piece in pieces]),
        labels=merge_labels([piece.labels for piece in pieces]),
        indices=None,
        source_dtype=np.result_type(*[piece.source_dtype for piece in pieces]),
    )


def count_rows(parts: Sequence[Rows] | Sequence[Coreset]) -> int:
    """Rows, or points, of all parts."""
    return sum(len(part) for part in parts)
