"""Settings of recipes, checked."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np

from analog_eval.noise import WeightNoise
from analog_eval.training.recipes.channels import Per

__all__ = ["check_number", "check_per", "refuse_noise"]


def check_number(value: Any, name: str, *, low: float = 0.0, below: float = math.inf) -> None:
    """Raise unless `value` is a number from `low` to under `below`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not low <= value < below:
        raise ValueError(f"{name}={value} must be >= {low:g} and {'finite' if below == math.inf else f'< {below:g}'}")


def check_per(per: Any) -> None:
    """Raise unless `per` is one of the two words."""
    if per not in get_args(Per):
        raise ValueError(f"per={per!r} is not one of {', '.join(map(repr, get_args(Per)))}")


def refuse_noise(value: Any, what: str = "") -> None:
    """Raise if `value` is a noise of the sweeps, which has no level to train at."""
    if isinstance(value, WeightNoise):
        raise TypeError(f"{what}{value!r} is a noise of the sweeps; Simulated(noise, level) makes a recipe of it")
