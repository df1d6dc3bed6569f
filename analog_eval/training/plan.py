"""How to train, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from analog_eval.periphery import Periphery
from analog_eval.training.clipping import Clip
from analog_eval.training.converters import InputRanges
from analog_eval.training.losses import Criterion, Distillation, Loss
from analog_eval.training.recipes import Recipe, check_number, refuse_noise
from analog_eval.training.states import text

__all__ = ["OptimizerFactory", "Plan"]

OptimizerFactory: TypeAlias = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

_LEARNING_RATE = 1e-3


@dataclass(frozen=True, eq=False)
class Plan:
    """The arguments of `analog_eval.training.harden` that are no data; raises for those that make no sense."""

    recipe: Recipe | None
    clip: Clip | None
    periphery: Periphery | None
    input_ranges: InputRanges | None
    loss: Loss
    distillation: Distillation | None
    optimizer: OptimizerFactory | None
    learning_rate: float | None
    schedule: str
    epochs: int
    batch_size: int
    patience: int | None
    n_draws: int

    def __post_init__(self) -> None:
        kinds: dict[str, type] = {
            "recipe": Recipe,
            "clip": Clip,
            "periphery": Periphery,
            "input_ranges": InputRanges,
            "distillation": Distillation,
        }
        refuse_noise(self.recipe, "recipe=")
        for name, kind in kinds.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind.__name__} or None, got {value!r}")
        if self.input_ranges is not None:
            if self.periphery is None:
                raise ValueError("input_ranges needs a periphery, whose input scales they are; got periphery=None")
            if self.periphery.input_scale.value is not None:
                raise ValueError(
                    f"input_ranges and periphery both set the input scale: {self.periphery.input_scale!r}; give one"
                )
        for name in ("epochs", "batch_size", "n_draws", *(("patience",) if self.patience is not None else ())):
            _check_count(getattr(self, name), name)
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule={self.schedule!r} is not one of 'cosine', 'constant'")
        if self.optimizer is not None and not callable(self.optimizer):
            raise TypeError(f"optimizer must be a function from parameters to an optimizer, got {self.optimizer!r}")
        if self.optimizer is not None and self.learning_rate is not None:
            raise ValueError(f"learning_rate={self.learning_rate} is for the default optimizer; give it to yours")
        if self.learning_rate is not None:
            check_number(self.learning_rate, "learning_rate")
        Criterion(self.loss, self.distillation)

    @property
    def criterion(self) -> Criterion:
        """The loss with everything that belongs to it."""
        return Criterion(self.loss, self.distillation)

    def optimizer_for(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters."""
        if self.optimizer is None:
            return torch.optim.Adam(parameters, lr=_LEARNING_RATE if self.learning_rate is None else self.learning_rate)
        optimizer = self.optimizer(parameters)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"optimizer must return a torch optimizer, got {type(optimizer).__name__}")
        if isinstance(optimizer, torch.optim.LBFGS):
            raise TypeError(
                "optimizer: LBFGS looks at a loss several times a step, but here each batch is looked at once"
            )
        return optimizer

    def settings(self) -> dict[str, str]:
        """Return what another run must have in common with this one to go on from its checkpoint."""
        return {field.name: text(getattr(self, field.name)) for field in fields(self)}


def _check_count(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be >= 1")
