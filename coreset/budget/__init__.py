"""Spending a byte budget: how much for each node, and of that how many points, in how many bits each."""

from .allocation import allocate_budget
from .candidates import default_quantizers, published_quantizers
from .curves import error_curve
from .estimator import BudgetedCoreset
from .plan import PLANNERS, least_message_bytes, message_bytes_of_all, plan_budget, search
from .report import BudgetPlan

__all__ = [
    "PLANNERS",
    "BudgetPlan",
    "BudgetedCoreset",
    "allocate_budget",
    "default_quantizers",
    "error_curve",
    "least_message_bytes",
    "message_bytes_of_all",
    "plan_budget",
    "published_quantizers",
    "search",
]
