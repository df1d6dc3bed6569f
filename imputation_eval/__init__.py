"""Find out which imputation algorithm fills the holes of a table best, and how sure that is."""

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
from imputation_eval.metrics import energy_distance, rmse, wasserstein
from imputation_eval.ranking import Ranking, rank_imputers, score_imputations
from imputation_eval.truthless import IScoreResult, energy_iscore

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
    "ampute",
    "default_imputers",
    "energy_distance",
    "energy_iscore",
    "impute",
    "nds",
    "rank_imputers",
    "rmse",
    "score_imputations",
    "wasserstein",
]
