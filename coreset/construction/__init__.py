"""Estimators that turn weighted rows into a `Coreset` of a given number of points."""

from .base import CoresetConstructor, share_points
from .robust import RobustCoreset
from .rows import RandomState, Rows, as_generator, check_count, check_rows
from .uniform import UniformCoreset

__all__ = [
    "CoresetConstructor",
    "RandomState",
    "RobustCoreset",
    "Rows",
    "UniformCoreset",
    "as_generator",
    "check_count",
    "check_rows",
    "share_points",
]
