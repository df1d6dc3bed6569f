"""All that a module holds, as plain entries: what is kept of the best epoch and in a file."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["fingerprint", "plain", "put_state", "state_of", "text"]


def state_of(module: nn.Module) -> dict[str, Any]:
    """Return copies of the entries of ``state_dict``, also those that are no tensors, and of the buffers it omits."""
    state = dict(module.state_dict()) | {name: owner._buffers[key] for name, owner, key in _omitted(module)}
    return {name: _copied(value) for name, value in state.items()}


def put_state(module: nn.Module, state: dict[str, Any]) -> None:
    """Put into a module what `state_of` returned of one like it; raise whatever torch raises for any other."""
    omitted = {name: (owner, key) for name, owner, key in _omitted(module)}
    module.load_state_dict({name: value for name, value in state.items() if name not in omitted})
    for name, (owner, key) in omitted.items():
        own, value = owner._buffers[key], state[name]
        if own is not None and value is not None and own.shape == value.shape:
            with torch.no_grad():
                own.copy_(value)  # into its memory, which others may share
        else:
            device = next((values.device for values in module.parameters()), None)
            owner._buffers[key] = None if value is None else value.detach().clone().to(device)


def _omitted(module: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield name, owner and key of the buffers that are not persistent."""
    for path, owner in module.named_modules(remove_duplicate=False):
        for key in sorted(owner._non_persistent_buffers_set):
            yield f"{path}.{key}" if path else key, owner, key


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def plain(value: Any) -> Any:
    """Return nested values with NumPy's scalars as Python's, which can be read back without running code."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value


def text(value: Any) -> str:
    """Return what two runs can compare: an address tells nothing, no other run has it."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))


def fingerprint(value: Any) -> str:
    """Return what tells nested values apart: bytes of tensors, text of all else."""
    sha = hashlib.sha256()
    for part in _parts(value):
        sha.update(part)
    return sha.hexdigest()


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)}|".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    elif isinstance(value, dict):
        yield f"dict {len(value)}|".encode()
        for key, entry in value.items():
            yield f"{text(key)}|".encode()
            yield from _parts(entry)
    elif isinstance(value, list | tuple):
        yield f"{'list' if isinstance(value, list) else 'tuple'} {len(value)}|".encode()
        for entry in value:
            yield from _parts(entry)
    elif isinstance(value, set | frozenset):
        yield from _parts(sorted(map(text, value)))
    else:
        yield f"{text(value)}|".encode()
