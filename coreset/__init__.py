"""Small weighted summaries of distributed data, quantized to fit a byte budget.

Start with `BudgetedCoreset` for one table, `DistributedCoreset` for many shards, `RobustCoreset` for a number of points
instead of a number of bytes, `StreamingCoreset` for rows that come in parts.
"""

from importlib.metadata import version

from .budget import (
    BudgetedCoreset,
    BudgetPlan,
    allocate_budget,
    default_quantizers,
    plan_budget,
    published_quantizers,
)
from .construction import (
    DistributedSampling,
    FarthestFirstCoreset,
    LightweightCoreset,
    RobustCoreset,
    SensitivityCoreset,
    UniformCoreset,
)
from .evaluation import (
    Accounting,
    AccuracyLoss,
    FederatedAveraging,
    InformationSize,
    Traffic,
    accounting,
    accuracy_loss,
    center_sets,
    distortion,
    distortion_table,
    effective_sample_size,
    information_size,
    model_parameters,
    normalized_cost,
)
from .points import Coreset
from .quantizers import (
    ContextQuantizer,
    Quantizer,
    RoundingQuantizer,
    UniformQuantizer,
    get_quantizer,
    register_quantizer,
)
from .ray_driver import DistributedCoreset
from .streaming import StreamingCoreset
from .wire import decode, encode, encoded_size, inspect, max_encoded_size

__version__ = version("coreset-eval")

__all__ = [
    "Accounting",
    "AccuracyLoss",
    "BudgetPlan",
    "BudgetedCoreset",
    "ContextQuantizer",
    "Coreset",
    "DistributedCoreset",
    "DistributedSampling",
    "FarthestFirstCoreset",
    "FederatedAveraging",
    "InformationSize",
    "LightweightCoreset",
    "Quantizer",
    "RobustCoreset",
    "RoundingQuantizer",
    "SensitivityCoreset",
    "StreamingCoreset",
    "Traffic",
    "UniformCoreset",
    "UniformQuantizer",
    "accounting",
    "accuracy_loss",
    "allocate_budget",
    "center_sets",
    "decode",
    "default_quantizers",
    "distortion",
    "distortion_table",
    "effective_sample_size",
    "encode",
    "encoded_size",
    "get_quantizer",
    "information_size",
    "inspect",
    "max_encoded_size",
    "model_parameters",
    "normalized_cost",
    "plan_budget",
    "published_quantizers",
    "register_quantizer",
]
