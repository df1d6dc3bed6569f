"""Spending a byte budget: how many points, in how many bits each."""

from .estimator import BudgetedCoreset
from .plan import BudgetPlan, default_quantizers, least_message_bytes, plan_budget, search

__all__ = [
    "BudgetPlan",
    "BudgetedCoreset",
    "default_quantizers",
    "least_message_bytes",
    "plan_budget",
    "search",
]
