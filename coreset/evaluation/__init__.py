"""How good a summary is: its costs on centres, models trained on it, its size."""

from .accounts import Accounting, accounting
from .centers import center_sets, distortion, distortion_table
from .models import AccuracyLoss, accuracy_loss, normalized_cost
from .size import InformationSize, effective_sample_size, information_size
from .traffic import FederatedAveraging, Traffic, count_traffic, model_parameters

__all__ = [
    "Accounting",
    "AccuracyLoss",
    "FederatedAveraging",
    "InformationSize",
    "Traffic",
    "accounting",
    "accuracy_loss",
    "center_sets",
    "count_traffic",
    "distortion",
    "distortion_table",
    "effective_sample_size",
    "information_size",
    "model_parameters",
    "normalized_cost",
]
