"""What counts as an imputer; the ready-made set; hot-deck."""

from imputation_eval.imputers.adapters import impute
from imputation_eval.imputers.chained import ChainedImputer
from imputation_eval.imputers.contract import ImputationError, name_imputers
from imputation_eval.imputers.ready_made import default_imputers
from imputation_eval.imputers.simple import HotDeckImputer, MeanImputer
from imputation_eval.imputers.table import TableImputer

__all__ = [
    "ChainedImputer",
    "HotDeckImputer",
    "ImputationError",
    "MeanImputer",
    "TableImputer",
    "default_imputers",
    "impute",
    "name_imputers",
]
