"""What is done to the weights in every mini-batch."""

from __future__ import annotations

from analog_eval.training.recipes.base import Recipe
from analog_eval.training.recipes.channels import Per, peaks, reduced_axes
from analog_eval.training.recipes.checks import check_number, check_per, refuse_noise
from analog_eval.training.recipes.dropping import DropConnect
from analog_eval.training.recipes.normal import AddNormal, Multiplicative
from analog_eval.training.recipes.programming import ProgrammingNoise
from analog_eval.training.recipes.simulated import Simulated

__all__ = [
    "AddNormal",
    "DropConnect",
    "Multiplicative",
    "Per",
    "ProgrammingNoise",
    "Recipe",
    "Simulated",
    "check_number",
    "check_per",
    "peaks",
    "reduced_axes",
    "refuse_noise",
]
