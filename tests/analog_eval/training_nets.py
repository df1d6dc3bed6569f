"""Nets and what is compared of them, for tests of training."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


def sgd(rate, **options):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, **options)


def tensors(module):
    return {name: values.clone() for name, values in module.state_dict().items()}


def same(a, b):
    a, b = tensors(a), tensors(b)
    return a.keys() == b.keys() and all(torch.equal(values, b[name]) for name, values in a.items())


def close(a, b, **options):
    a, b = tensors(a), tensors(b)
    return all(torch.allclose(values, b[name], **options) for name, values in a.items())


def net(seed=0, *, norm=False, dtype=torch.float64):
    torch.manual_seed(seed)
    parts = [nn.Linear(5, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.ReLU(), nn.Linear(8, 3)]
    return nn.Sequential(*parts).to(dtype)
