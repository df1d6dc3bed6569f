"""How good a summary is: its costs on centres, models trained on it, its size."""

from .accounts import Accounting, accounting
from .centers import center_sets, distortion, distortion_table
from .models import AccuracyLoss, accuracy_loss, normalized_cost
from .size import InformationSize, effective_sample_size, information_size

__all__ = [
    "Accounting",
    "AccuracyLoss",
    "InformationSize",
    "accounting",
    "accuracy_loss",
    "center_sets",
    "distortion",
    "distortion_table",
    "effective_sample_size",
    "information_size",
    "normalized_cost",
]
