"""Estimators that turn weighted rows into a `Coreset` of a given number of points."""

from .base import CoresetConstructor, share_points
from .farthest import FarthestFirstCoreset
from .lightweight import LightweightCoreset
from .robust import RobustCoreset
from .rows import Rows, check_rows
from .sensitivity import SensitivityCoreset
from .uniform import UniformCoreset

__all__ = [
    "CoresetConstructor",
    "FarthestFirstCoreset",
    "LightweightCoreset",
    "RobustCoreset",
    "Rows",
    "SensitivityCoreset",
    "UniformCoreset",
    "check_rows",
    "share_points",
]
