"""The epochs: steps at noisy weights, validation, and what is kept of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from analog_eval._progress import ProgressLine
from analog_eval.adapters.modules import unchanged_rng
from analog_eval.training.batches import ArrayBatches, LoaderBatches, epoch_seeds
from analog_eval.training.converters import Converters
from analog_eval.training.kernels import Kernels
from analog_eval.training.plan import Plan
from analog_eval.training.remapping import Remapped
from analog_eval.training.rows import Batch, Rows
from analog_eval.training.states import plain, put_state, state_of, text

__all__ = ["Progress", "Trainer"]

# Rows of validation that go through at a time.
_VALIDATION_ROWS = 1024
# Rows, at least, that input ranges start from, where there are as many.
_FIRST_ROWS = 256


@dataclass(eq=False)
class Progress:
    """How far a run is: everything that a checkpoint holds besides module and optimizer."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    best_rank: tuple[float, ...] = ()
    best_scales: dict[str, float] = field(default_factory=dict)

    def note(
        self, record: dict[str, float], rank: tuple[float, ...], module: nn.Module, scales: dict[str, float]
    ) -> None:
        """Add an epoch, and keep its state if none was better; without ranks the last epoch counts."""
        self.history.append(record)
        if not rank or rank > self.best_rank:
            self.best_rank, self.best_epoch = rank, self.epoch
            self.best, self.best_scales = state_of(module), scales


class _Noises(NamedTuple):
    """Sources of random numbers; two, because how many the converters take depends on the weights."""

    weights: torch.Generator
    converters: torch.Generator


class Trainer:
    """Trains one module.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained; it is changed.
    digital : torch.nn.Module
        The model as it was given, of which distillation learns.
    batches : ArrayBatches or LoaderBatches
        What to train on.
    validation : Rows or None
        What to choose the best epoch by.
    plan : Plan
        How to train.
    seed : int
        From which all random numbers derive.
    """

    def __init__(
        self,
        module: nn.Module,
        digital: nn.Module,
        batches: ArrayBatches | LoaderBatches,
        validation: Rows | None,
        plan: Plan,
        seed: int,
    ) -> None:
        self.module, self._batches, self._validation = module, batches, validation
        self._plan, self._criterion, self._seed = plan, plan.criterion, seed
        self.kernels = Kernels(module)
        self._digital = None if plan.distillation is None else copy.deepcopy(digital).eval()
        # In a module that trains, what does not was told so, such as norms that keep their statistics.
        self._still = [part for part in module.modules() if module.training and not part.training]
        self._remapped = [part for part in module.modules() if isinstance(part, Remapped)]
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not trained:
            raise ValueError(f"model: no parameter of {type(module).__name__} requires a gradient")
        self.optimizer = plan.optimizer_for(trained)
        self.converters = self._converters()
        self._optimizers = [self.optimizer]
        ranges = [] if self.converters is None else list(self.converters.parameters())
        if ranges and plan.input_ranges is not None:
            # Of their own: what is set for weights, such as their decay, is not meant for them.
            self._optimizers.append(torch.optim.Adam(ranges, plan.input_ranges.learning_rate))
        self._rates = [[float(group["lr"]) for group in own.param_groups] for own in self._optimizers]

    def state(self) -> dict[str, Any]:
        """Return all that `put_state` needs to go on from here."""
        converters = {} if self.converters is None else state_of(self.converters)
        optimizers = [own.state_dict() for own in self._optimizers]
        return {"module": state_of(self.module), "converters": converters, "optimizers": optimizers}

    def put_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned; raise whatever comes if it does not fit."""
        put_state(self.module, state["module"])
        if self.converters is not None:
            put_state(self.converters, state["converters"])
        for own, values in zip(self._optimizers, state["optimizers"], strict=True):
            own.load_state_dict(values)

    def optimizer_settings(self) -> str:
        """Return the optimizer's kind and what it is set to."""
        groups = [group | {"params": len(group["params"])} for group in self.optimizer.param_groups]
        return f"{type(self.optimizer).__name__} {text(plain(groups))}"

    def _converters(self) -> Converters | None:
        plan = self._plan
        if plan.periphery is None:
            return None
        order, _, module = epoch_seeds(self._seed, 0)
        with unchanged_rng(self.kernels.device):
            torch.manual_seed(module)
            first = list(_first_rows(self._batches.epoch(order)))
            return Converters(plan.periphery, plan.input_ranges, self.kernels.all, self.module, first)

    def run(self, progress: Progress, after_epoch: Callable[[], None] = lambda: None, *, show: bool) -> None:
        """Train from where `progress` is to the end."""
        plan = self._plan
        with ProgressLine("hardening", plan.epochs - progress.epoch, enabled=show) as line:
            if progress.epoch == 0 and self._validation is not None and not progress.history:
                self._note(progress, {"train_loss": math.nan, "learning_rate": math.nan})
            while progress.epoch < plan.epochs and not self._has_stalled(progress):
                progress.epoch += 1
                rate, loss = self._set_rate(progress.epoch), self._epoch(progress.epoch)
                self._note(progress, {"train_loss": loss, "learning_rate": rate})
                after_epoch()
                line.step()

    def _has_stalled(self, progress: Progress) -> bool:
        patience = self._plan.patience
        return patience is not None and progress.epoch - progress.best_epoch >= patience

    def _note(self, progress: Progress, record: dict[str, float]) -> None:
        scores = self._validate()
        rank: tuple[float, ...] = ()
        if scores:
            # Losses of strong noise may overflow; a NaN would compare with nothing.
            loss = math.inf if math.isnan(scores["noisy_loss"]) else scores["noisy_loss"]
            rank = (scores.get("noisy_accuracy", -loss), -loss)
        scales = {} if self.converters is None else self.converters.scales()
        progress.note({"epoch": progress.epoch, **record, **scores}, rank, self.module, scales)

    def _set_rate(self, epoch: int) -> float:
        """Set the learning rate of an epoch and return the first group's; with a cosine the last one is near 0."""
        done = (epoch - 1) / self._plan.epochs
        factor = 0.5 * (1.0 + math.cos(math.pi * done)) if self._plan.schedule == "cosine" else 1.0
        for optimizer, rates in zip(self._optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        return self._rates[0][0] * factor

    def _epoch(self, epoch: int) -> float:
        """Train for one epoch and return the mean loss of its rows, at the noisy weights."""
        # From the epoch alone, so that a run that goes on from here draws what it would have drawn.
        order, noise, module = epoch_seeds(self._seed, epoch)
        noises = self._noises(noise)
        total, count = 0.0, 0.0
        self.module.train()
        for part in self._still:
            part.training = False
        with unchanged_rng(self.kernels.device):
            torch.manual_seed(module)  # of dropout, and of loaders that shuffle
            for number, batch in enumerate(self._batches.epoch(order), start=1):
                loss = self._step(batch, noises)
                if not math.isfinite(loss):
                    raise ValueError(
                        f"the loss is {loss} in batch {number} of epoch {epoch}; a lower learning_rate, less noise "
                        "or clipping may help"
                    )
                total, count = total + loss * len(batch[0]), count + len(batch[0])
        for part in self._remapped:
            part.rescale()
        return total / count if count else math.nan

    def _step(self, batch: Any, noises: _Noises) -> float:
        X, y, weights = (None if part is None else part.to(self.kernels.device) for part in batch)
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        taught = None
        if self._digital is not None:
            with torch.no_grad():
                taught = self._digital(X)
        with self._noisy(noises):
            outputs = self.module(X)
            losses = self._criterion.training_rows(outputs, y, taught, weighted=weights is not None)
            if weights is not None:
                # By the mean weight of all rows, not of the batch: so the gradient's expectation is that of all rows.
                losses = losses * (weights / self._batches.mean_weight).to(losses.dtype)
            loss = losses.mean()
            value = float(loss.detach())
            if math.isfinite(value):
                loss.backward()
        if math.isfinite(value):
            for optimizer in self._optimizers:
                optimizer.step()
            if self._plan.clip is not None:
                self.kernels.clip(self._plan.clip)
        return value

    def _noises(self, seed: int) -> _Noises:
        return _Noises(self.kernels.generator(seed), self.kernels.generator(seed ^ 1))

    @contextmanager
    def _noisy(self, noises: _Noises) -> Iterator[None]:
        """Make kernels noisy, and put them in crossbars, for the length of a ``with`` block."""
        around = nullcontext() if self.converters is None else self.converters.around(noises.converters)
        with around, self.kernels.noisy(self._plan.recipe, noises.weights):
            yield

    def _validate(self) -> dict[str, float]:
        """Return losses, and accuracies of classifiers, without noise and averaged over the same draws every time."""
        if self._validation is None:
            return {}
        plan, scores = self._plan, {}
        noises = self._noises(epoch_seeds(self._seed, 0)[1])
        self.module.eval()
        n_draws = 1 if plan.recipe is None and self.converters is None else plan.n_draws
        for name, n_looks in (("clean", 1), ("noisy", n_draws)):
            draws = []
            for _ in range(n_looks):
                with nullcontext() if name == "clean" else self._noisy(noises):
                    draws.append(self._look_at(self._validation))
            loss, accuracy = np.mean(draws, axis=0).tolist()
            scores[f"{name}_loss"] = loss
            if self._criterion.classifies:
                scores[f"{name}_accuracy"] = accuracy
        return scores

    def _look_at(self, rows: Rows) -> tuple[float, float]:
        """Return mean loss and accuracy on rows."""
        criterion, device = self._criterion, self.kernels.device
        losses, hits = [], []
        with torch.no_grad(), unchanged_rng(device):
            torch.manual_seed(0)
            for first in range(0, len(rows), _VALIDATION_ROWS):
                part = rows[slice(first, first + _VALIDATION_ROWS)]
                # Modules may write to their rows.
                outputs, y = self.module(part.X.to(device, copy=True)), part.y.to(device)
                losses.append(criterion.rows(outputs, y, weighted=rows.weights is not None).double().cpu())
                hits.append(criterion.hits(outputs, y).double().cpu() if criterion.classifies else losses[-1])
        weights = torch.ones(len(rows), dtype=torch.float64) if rows.weights is None else rows.weights
        shares = weights / weights.sum()
        return float(shares @ torch.cat(losses)), float(shares @ torch.cat(hits))


def _first_rows(batches: Iterable[Batch]) -> Iterator[torch.Tensor]:
    n_rows = 0
    for X, *_ in batches:
        yield X
        n_rows += len(X)
        if n_rows >= _FIRST_ROWS:
            break
