"""What counts as an imputer; the ready-made set; hot-deck."""

from imputation_eval.imputers.contract import ImputationError, impute, name_imputers
from imputation_eval.imputers.ready_made import HotDeckImputer, MeanImputer, TableImputer, default_imputers

__all__ = [
    "HotDeckImputer",
    "ImputationError",
    "MeanImputer",
    "TableImputer",
    "default_imputers",
    "impute",
    "name_imputers",
]
