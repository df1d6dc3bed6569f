"""Distances between samples and errors of cells: one call shape, each with its direction."""

from imputation_eval.metrics.cells import accuracy, mae, rmse
from imputation_eval.metrics.classifier import classifier_auc
from imputation_eval.metrics.divergence import knn_kl
from imputation_eval.metrics.energy import energy_distance, sliced_energy
from imputation_eval.metrics.kernel import mmd
from imputation_eval.metrics.marginal import (
    correlation_difference,
    marginal_distance,
    marginal_ks,
    marginal_total_variation,
    marginal_wasserstein,
)
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.registry import KNOWN_METRICS, compare_samples
from imputation_eval.metrics.transport import sinkhorn_divergence, sliced_wasserstein, wasserstein

__all__ = [
    "KNOWN_METRICS",
    "Metric",
    "accuracy",
    "classifier_auc",
    "compare_samples",
    "correlation_difference",
    "energy_distance",
    "knn_kl",
    "mae",
    "marginal_distance",
    "marginal_ks",
    "marginal_total_variation",
    "marginal_wasserstein",
    "mmd",
    "rmse",
    "sinkhorn_divergence",
    "sliced_energy",
    "sliced_wasserstein",
    "wasserstein",
]
