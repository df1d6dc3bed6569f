"""Modules of all kinds, for tests."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


class Tied(nn.Module):
    """An autoencoder with one kernel, used twice; the second name is another object on the same memory."""

    def __init__(self, *, same_object):
        super().__init__()
        self.down, self.up = nn.Linear(8, 8), nn.Linear(8, 8)
        self.up.weight = self.down.weight if same_object else nn.Parameter(self.down.weight.detach())

    def forward(self, x):
        return self.up(torch.tanh(self.down(x)))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 4)), nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(9, 3)
    )
