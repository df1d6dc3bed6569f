"""Nets with batch normalizations, for tests."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn


SHAPES = {"rows": (7, 3), "sequences": (4, 3, 5), "images": (4, 3, 2, 3)}


def inputs(shape, seed=0, dtype=torch.float64):
    return (3.0 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 5.0).to(
        dtype
    )


def randomized(module, seed=0):
    """Give parameters and running statistics values that a mix-up would show."""
    generator = torch.Generator().manual_seed(seed)
    for name, values in (*module.named_parameters(), *module.named_buffers()):
        if values.ndim == 1:
            low, high = (0.5, 2.0) if "var" in name or "scale" in name or "weight" in name else (-1.0, 1.0)
            nn.init.uniform_(values, low, high, generator=generator)
    return module


def images_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, 3),
    )
