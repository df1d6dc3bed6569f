"""Every metric by its name."""

from __future__ import annotations

from imputation_eval.dissimilarity import nds_score
from imputation_eval.metrics.cells import RMSE
from imputation_eval.metrics.energy import ENERGY
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.transport import WASSERSTEIN

KNOWN_METRICS = {metric.name: metric for metric in (Metric("nds", nds_score), ENERGY, WASSERSTEIN, RMSE)}
