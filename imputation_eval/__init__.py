"""Find out which imputation algorithm fills the holes of a table best, and how sure that is."""

from importlib.metadata import version

from imputation_eval.dissimilarity import NdsResult, nds
from imputation_eval.encoding import TableEncoder
from imputation_eval.imputers import (
    ChainedImputer,
    HotDeckImputer,
    ImputationError,
    MeanImputer,
    TableImputer,
    default_imputers,
    impute,
)
from imputation_eval.masking import ampute
from imputation_eval.metrics import (
    accuracy,
    classifier_auc,
    compare_samples,
    correlation_difference,
    energy_distance,
    knn_kl,
    mae,
    marginal_ks,
    marginal_total_variation,
    marginal_wasserstein,
    mmd,
    rmse,
    sinkhorn_divergence,
    sliced_energy,
    sliced_wasserstein,
    wasserstein,
)
from imputation_eval.ranking import Ranking, rank_imputers, score_imputations
from imputation_eval.truthless import IScoreResult, energy_iscore

__version__ = version("coreset-eval")

__all__ = [
    "ChainedImputer",
    "HotDeckImputer",
    "IScoreResult",
    "ImputationError",
    "MeanImputer",
    "NdsResult",
    "Ranking",
    "TableEncoder",
    "TableImputer",
    "accuracy",
    "ampute",
    "classifier_auc",
    "compare_samples",
    "correlation_difference",
    "default_imputers",
    "energy_distance",
    "energy_iscore",
    "impute",
    "knn_kl",
    "mae",
    "marginal_ks",
    "marginal_total_variation",
    "marginal_wasserstein",
    "mmd",
    "nds",
    "rank_imputers",
    "rmse",
    "score_imputations",
    "sinkhorn_divergence",
    "sliced_energy",
    "sliced_wasserstein",
    "wasserstein",
]
