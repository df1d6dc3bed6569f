"""Spending a byte budget: how much for each node, and of that how many points, in how many bits each."""

from .allocation import allocate_budget
from .estimator import BudgetedCoreset
from .plan import BudgetPlan, default_quantizers, least_message_bytes, plan_budget, search

__all__ = [
    "BudgetPlan",
    "BudgetedCoreset",
    "allocate_budget",
    "default_quantizers",
    "least_message_bytes",
    "plan_budget",
    "search",
]
