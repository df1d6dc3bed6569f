"""Estimators that turn weighted rows into a `Coreset` of a given number of points."""

from .base import CoresetConstructor, share_points
from .checking import check_rows
from .drcc import DistributedSampling, centers_and_draws, nested_costs, sampled_with_centers
from .farthest import FarthestFirstCoreset
from .lightweight import LightweightCoreset
from .robust import RobustCoreset
from .rows import Rows
from .sensitivity import SensitivityCoreset
from .targets import joint_rows, target_settings, with_scale, with_target_column
from .uniform import UniformCoreset

__all__ = [
    "CoresetConstructor",
    "DistributedSampling",
    "FarthestFirstCoreset",
    "LightweightCoreset",
    "RobustCoreset",
    "Rows",
    "SensitivityCoreset",
    "UniformCoreset",
    "centers_and_draws",
    "check_rows",
    "joint_rows",
    "nested_costs",
    "sampled_with_centers",
    "share_points",
    "target_settings",
    "with_scale",
    "with_target_column",
]
