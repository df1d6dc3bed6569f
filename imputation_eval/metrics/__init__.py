"""Distances between samples and errors of cells: one call shape, each with its direction."""

from imputation_eval.metrics.cells import rmse
from imputation_eval.metrics.energy import energy_distance
from imputation_eval.metrics.marginal import marginal_distance
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.registry import KNOWN_METRICS
from imputation_eval.metrics.transport import wasserstein

__all__ = ["KNOWN_METRICS", "Metric", "energy_distance", "marginal_distance", "rmse", "wasserstein"]
