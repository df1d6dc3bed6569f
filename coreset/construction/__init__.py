"""Estimators that turn weighted rows into a `Coreset` of a given number of points."""

from .base import CoresetConstructor, share_points
from .farthest import FarthestFirstCoreset
from .lightweight import LightweightCoreset
from .robust import RobustCoreset
from .rows import Rows, check_rows
from .sensitivity import SensitivityCoreset
from .targets import joint_rows, target_settings, with_scale, with_target_column
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
    "joint_rows",
    "share_points",
    "target_settings",
    "with_scale",
    "with_target_column",
]
