"""Table of scores to ranks with confidence and ties: the Ranking that users see."""

from imputation_eval.ranking.elsewhere import score_imputations
from imputation_eval.ranking.rank import rank_imputers
from imputation_eval.ranking.result import Ranking

__all__ = ["Ranking", "rank_imputers", "score_imputations"]
