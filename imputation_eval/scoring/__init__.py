"""Imputers x masks x repeats: the long table of scores."""

from imputation_eval.scoring.choice import RANKING_METRICS, choose_metrics
from imputation_eval.scoring.comparison import ComparisonTrial
from imputation_eval.scoring.filling import GivenTables
from imputation_eval.scoring.forecast import ForecastTrial
from imputation_eval.scoring.run import Scores, score_imputers
from imputation_eval.scoring.trial import MIN_ROWS, RAW_COLUMNS, TRUTH, Example, Trial

__all__ = [
    "MIN_ROWS",
    "RANKING_METRICS",
    "RAW_COLUMNS",
    "TRUTH",
    "ComparisonTrial",
    "Example",
    "ForecastTrial",
    "GivenTables",
    "Scores",
    "Trial",
    "choose_metrics",
    "score_imputers",
]
