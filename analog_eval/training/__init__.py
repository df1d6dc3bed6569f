"""Hardware-aware training: copies of torch modules that hold up under noise of their weights.

Needs torch.  `analog_eval` itself hands out `harden` when it is asked for, and imports torch only then; the recipes of
noise and the other settings are here.

Examples
--------
>>> import torch
>>> from sklearn.datasets import load_digits
>>> X, y = load_digits(return_X_y=True)
>>> _ = torch.manual_seed(0)
>>> net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
>>> recipe = AddNormal(0.1) + DropConnect(0.02)
>>> result = harden(net, X / 16, y, recipe=recipe, clip=Clip(2.5), validation=0.2, epochs=5, random_state=0)
>>> bool(result.history["noisy_accuracy"].iloc[-1] > result.history["noisy_accuracy"].iloc[0])
True
"""

from __future__ import annotations

from analog_eval.training.clipping import Clip
from analog_eval.training.converters import InputRanges
from analog_eval.training.hardening import Hardened, harden
from analog_eval.training.losses import Distillation
from analog_eval.training.recipes import AddNormal, DropConnect, Multiplicative, ProgrammingNoise, Recipe, Simulated
from analog_eval.training.remapping import Remapped, remap_channels

__all__ = [
    "AddNormal",
    "Clip",
    "Distillation",
    "DropConnect",
    "Hardened",
    "InputRanges",
    "Multiplicative",
    "ProgrammingNoise",
    "Recipe",
    "Remapped",
    "Simulated",
    "harden",
    "remap_channels",
]
