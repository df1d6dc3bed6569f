"""A private copy of a torch module that answers with any tensors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from analog_eval.adapters.analog import AnalogKernel
from analog_eval.adapters.base import Arrays
from analog_eval.adapters.modules.products import AnalogProducts, RowProduct, by_analog_kernel
from analog_eval.adapters.modules.tensors import numpy_view

__all__ = ["StandIn", "unchanged_rng"]

# What the operations on one batch of rows may allocate in all; the batch is as large as this allows. On a CPU small
# convolutional nets are fastest at 16 to 64 MiB, and half as fast at 1 GiB.
_BATCH_BYTES = {"cpu": 2**26, "cuda": 2**30}
_ALL = 2**62


class StandIn:
    """A private copy of a module, in eval mode, that answers with given tensors.

    Parameters
    ----------
    module : torch.nn.Module
        The module; it is only read.
    names : sequence of sequences of str
        Names of every tensor that is replaced; several if it is tied.
    """

    def __init__(self, module: nn.Module, names: Sequence[Sequence[str]]) -> None:
        try:
            self._copy = copy.deepcopy(module)
        except Exception as error:
            raise TypeError(f"model: {type(module).__name__} cannot be copied: {error}") from error
        self._copy.eval().requires_grad_(False)
        places = dict(self._copy.named_parameters(remove_duplicate=False))
        buffers = dict(self._copy.named_buffers(remove_duplicate=False))
        self._tensors = [[(places | buffers)[name] for name in group] for group in names]
        replaced = {name for group in names for name in group}
        # Modules may write to their buffers; every prediction starts from the same ones.
        self._buffers = [(b, b.clone()) for name, b in buffers.items() if name not in replaced]
        self._loaded: list[Any] = [None] * len(names)
        self._device = next((t.device for t in (places | buffers).values()), torch.device("cpu"))
        self._habits: dict[tuple[Any, ...], _Habits] = {}

    def __call__(self, arrays: Arrays, rows: torch.Tensor) -> NDArray[Any]:
        """Return the outputs, of shape (n_rows,) or (n_rows, n_outputs), in float32 or float64."""
        with torch.no_grad():
            habits = self._habits_for(rows)
            self._load(arrays)
            with ExitStack() as around:
                if habits.draws:
                    around.enter_context(unchanged_rng(self._device))
                if any(isinstance(values, AnalogKernel) for values in arrays):
                    around.enter_context(AnalogProducts(self._products(arrays)))
                outputs = self._answer(rows, habits)
        if outputs.ndim not in (1, 2) or outputs.shape[0] != rows.shape[0]:
            raise ValueError(
                f"the model answers with shape {tuple(outputs.shape)} for X with {len(rows)} rows; it should be "
                "(n_rows,) or (n_rows, n_outputs)"
            )
        return numpy_view(outputs if outputs.itemsize >= 4 else outputs.float())

    def _load(self, arrays: Arrays) -> None:
        for i, values in enumerate(arrays):
            if values is not self._loaded[i]:
                for own in self._tensors[i]:
                    own.copy_(torch.from_numpy(values))
                self._loaded[i] = values
        for buffer, values in self._buffers:
            buffer.copy_(values)

    def _products(self, arrays: Arrays) -> dict[int, RowProduct]:
        pairs = zip(self._tensors, arrays, strict=True)
        return {id(own): by_analog_kernel(a) for tensors, a in pairs if isinstance(a, AnalogKernel) for own in tensors}

    def _answer(self, rows: torch.Tensor, habits: _Habits) -> torch.Tensor:
        if rows.shape[0] <= habits.n_rows:
            return self._forward(rows.to(self._device, copy=habits.writes))
        return torch.cat([self._forward(b.to(self._device, copy=habits.writes)) for b in rows.split(habits.n_rows)])

    def _forward(self, rows: torch.Tensor) -> torch.Tensor:
        outputs = self._copy(rows)
        if not isinstance(outputs, torch.Tensor):
            raise TypeError(
                f"the model answers with {type(outputs).__name__}, not a tensor; wrap it in a module that returns the "
                "tensor of scores"
            )
        return outputs

    def _habits_for(self, rows: torch.Tensor) -> _Habits:
        kind = (rows.dtype, *rows.shape[1:])
        if kind not in self._habits:
            self._habits[kind] = self._observed(rows)
        return self._habits[kind]

    def _observed(self, rows: torch.Tensor) -> _Habits:
        """Run the module on a few rows and note what it does to memory, rows and random numbers."""
        if any(isinstance(m, _BatchNorm) and m.running_mean is None for m in self._copy.modules()):
            # Such a normalization may refuse a few rows.
            seen = self._seen(rows)
            return _Habits(_ALL, seen.writes, seen.draws)
        # Four rows from first to last, then the middle two alone, so that rows before and after them are missed.
        four = rows[np.unique(np.linspace(0, len(rows) - 1, 4, dtype=int)).tolist()]
        middle = slice(1, 3) if len(four) == 4 else slice(None)
        more, few = self._seen(four), self._seen(four[middle])
        # What does not grow with the rows drops out of the difference.
        row_bytes = (more.n_bytes - few.n_bytes) // max(1, len(four) - len(four[middle]))
        n_rows = max(1, _BATCH_BYTES.get(self._device.type, _BATCH_BYTES["cpu"]) // max(1, row_bytes))
        other = few.outputs
        if more.draws and len(four) == 4:
            # As many rows draw the same numbers; now the middle two have themselves for neighbours.
            other = self._seen(four[[1, 1, 2, 2]]).outputs[middle]
        apart = _alike(other, more.outputs[middle])
        return _Habits(n_rows if apart else _ALL, more.writes, more.draws)

    def _seen(self, rows: torch.Tensor) -> _Seen:
        rows, states = rows.to(self._device, copy=True), _rng_states(self._device)
        version = rows._version
        with unchanged_rng(self._device), _AllocatedBytes() as counted:
            outputs = self._forward(rows)
            draws = any(not torch.equal(*pair) for pair in zip(states, _rng_states(self._device), strict=True))
        return _Seen(torch.atleast_1d(outputs), counted.total, rows._version != version, draws)


class _Seen(NamedTuple):
    """What one call of a module does."""

    outputs: torch.Tensor
    n_bytes: int
    writes: bool
    draws: bool


@dataclass(frozen=True)
class _Habits:
    """How a module treats rows of one kind.

    Parameters
    ----------
    n_rows : int
        How many at a time have memory; all if the answer for one depends on the others.
    writes : bool
        Whether it writes to them.
    draws : bool
        Whether it draws random numbers.
    """

    n_rows: int
    writes: bool
    draws: bool


class _AllocatedBytes(TorchDispatchMode):
    """Adds up the bytes of what all operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.total += tensor.numel() * tensor.element_size()
        return result


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether outputs are the same but for rounding; yes for shapes that are an error of their own."""
    if one.shape != other.shape or not one.numel():
        return True
    digits = torch.finfo(one.dtype).eps ** 0.5 if one.is_floating_point() else 0.0
    size = float(other.double().abs().nan_to_num().max())
    return torch.allclose(one.double(), other.double(), rtol=0.0, atol=digits * size, equal_nan=True)


def _rng_states(device: torch.device) -> list[torch.Tensor]:
    on_device = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_device]


def unchanged_rng(device: torch.device) -> AbstractContextManager[None]:
    """Put torch's random state, of the CPU and of `device`, back after a ``with`` block."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
