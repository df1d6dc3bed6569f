"""What to train on, in batches, and what to validate with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from analog_eval.adapters import as_array
from analog_eval.adapters.modules import unchanged_rng
from analog_eval.training.rows import Batch, Rows, check_rows

__all__ = ["ArrayBatches", "LoaderBatches", "epoch_seeds", "training_data"]


def epoch_seeds(seed: int, epoch: int) -> list[int]:
    """Return seeds of the order, of the noise and of the module's own random numbers; epoch 0 is before training."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(3, np.uint64)
    return [int(value >> np.uint64(1)) for value in state]


class ArrayBatches:
    """Batches of rows in memory, in a new order in every epoch; as equal in size as they can be.

    Parameters
    ----------
    rows : Rows
        What to train on.
    batch_size : int
        Most rows of a batch.
    """

    def __init__(self, rows: Rows, batch_size: int) -> None:
        self._rows, self._n_batches = rows, -(-len(rows) // batch_size)
        self.mean_weight = 1.0 if rows.weights is None else float(rows.weights.mean())

    def epoch(self, seed: int) -> Iterator[Batch]:
        """Yield every row once, in an order that `seed` decides."""
        order = torch.randperm(len(self._rows), generator=torch.Generator().manual_seed(seed))
        for rows in order.tensor_split(self._n_batches):
            yield self._rows[rows].batch

    def digest(self) -> str:
        """Return a fingerprint of the contents."""
        return self._rows.digest()


class LoaderBatches:
    """Batches of a ``DataLoader``, or anything that can be iterated anew in every epoch.

    Parameters
    ----------
    module : torch.nn.Module
        Which computes with them.
    loader : iterable of (X, y) or (X, y, sample_weight)
        If its batches have weights it is gone through once before training, for the mean weight.
    seed : int
        From which the random numbers of that pass derive; a loader that leaves out rows has another mean in every pass.

    Raises
    ------
    TypeError
        If it can be iterated only once, or a batch is of another kind.
    ValueError
        If there are no batches.
    """

    def __init__(self, module: nn.Module, loader: Iterable[Any], seed: int) -> None:
        if isinstance(loader, Iterator):
            raise TypeError(f"X must be iterable anew in every epoch, as a DataLoader is, got {type(loader).__name__}")
        self._module, self._loader = module, loader
        self._n_parts: int | None = None
        self.mean_weight = self._mean_weight(epoch_seeds(seed, 0)[2])

    def epoch(self, seed: int) -> Iterator[Batch]:
        """Yield the batches of the loader; `seed` is of its own generators, others shuffle by torch's global one."""
        with _seeded(self._loader, seed):
            for batch in self._loader:
                self._check_parts(batch)
                if len(batch) == 3 and not as_array(batch[2]).any():
                    continue
                yield check_rows(self._module, *batch, what="batch ").batch

    def digest(self) -> str:
        """Say that the contents are not known."""
        return "a loader"

    def _check_parts(self, batch: Any) -> None:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            kind = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
            raise TypeError(f"X: a batch must be (X, y) or (X, y, sample_weight), got {kind}")
        if len(batch) != (self._n_parts or len(batch)):
            raise ValueError(f"X: a batch has {len(batch)} parts, but the first one had {self._n_parts}")
        self._n_parts = len(batch)

    def _mean_weight(self, seed: int) -> float:
        total, count = 0.0, 0
        device = next((p.device for p in self._module.parameters()), torch.device("cpu"))
        with unchanged_rng(device):
            torch.manual_seed(seed)
            for rows, _, weights in self.epoch(seed):
                if weights is None:
                    return 1.0
                total, count = total + float(weights.sum()), count + len(rows)
        if self._n_parts is None:
            raise ValueError("X holds no batches: it is empty, or drop_last leaves none")
        if count == 0:
            raise ValueError("X holds no batches with weights above 0")
        return total / count


@contextmanager
def _seeded(loader: Any, seed: int) -> Iterator[None]:
    """Seed a loader's own generators for the length of a ``with`` block; afterwards they are where they were."""
    before = [(generator, generator.get_state()) for generator in _generators(loader)]
    try:
        for number, (generator, _) in enumerate(before):
            generator.manual_seed(seed ^ number)
        yield
    finally:
        for generator, state in before:
            generator.set_state(state)


def _generators(loader: Any) -> list[torch.Generator]:
    """Return torch's generators that a loader, its samplers and its data set hold, each once."""
    by_batch = getattr(loader, "batch_sampler", None)
    samplers = (getattr(loader, "sampler", None), by_batch, getattr(by_batch, "sampler", None))
    holders = (loader, *samplers, getattr(loader, "dataset", None))
    held = [value for holder in holders for value in getattr(holder, "__dict__", {}).values()]
    return list({id(value): value for value in held if isinstance(value, torch.Generator)}.values())


def training_data(
    module: nn.Module, X: Any, y: Any, sample_weight: Any, validation: Any, batch_size: int, seed: int
) -> tuple[ArrayBatches | LoaderBatches, Rows | None]:
    """Return what to train on and what to validate with, from the arguments of `analog_eval.training.harden`."""
    held_out = _given_rows(module, validation)
    if y is not None:
        if isinstance(X, DataLoader):
            raise TypeError("X is a DataLoader, whose batches are (X, y) or (X, y, sample_weight): leave y out")
        rows = check_rows(module, X, y, sample_weight)
        if held_out is None and validation is not None:
            rows, held_out = _split(rows, validation, seed)
        return ArrayBatches(rows, batch_size), held_out
    if hasattr(X, "shape") or not isinstance(X, Iterable):
        raise TypeError(f"y is missing; without it X must be batches, as of a DataLoader, got {type(X).__name__}")
    if sample_weight is not None:
        raise ValueError("sample_weight was given, but y was not; a loader's batches are (X, y, sample_weight)")
    if held_out is None and validation is not None:
        raise ValueError(f"validation={validation!r}: no share of a loader can be held out; give (X, y)")
    return LoaderBatches(module, X, seed), held_out


def _given_rows(module: nn.Module, validation: Any) -> Rows | None:
    if validation is None or (isinstance(validation, int | float | np.number) and not isinstance(validation, bool)):
        return None
    if not isinstance(validation, tuple | list):
        raise TypeError(f"validation must be a share of the rows, or (X, y), got {type(validation).__name__}")
    if len(validation) not in (2, 3):
        raise ValueError(f"validation must be (X, y) or (X, y, sample_weight), got {len(validation)} parts")
    return check_rows(module, *validation, what="validation ")


def _split(rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Return rows to train on and rows to validate with."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"validation={share} must be > 0 and < 1, the share of the rows held out; None: none of them")
    n_held = round(share * len(rows))
    n_left = len(rows) - n_held
    if not (n_held and n_left):
        raise ValueError(f"validation={share} of {len(rows)} rows: {n_held} to validate with, {n_left} to train on")
    # A stream of its own: epochs have one number more.
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
    return rows[order[n_held:]], rows[order[:n_held]]
