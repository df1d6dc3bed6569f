"""Batch normalizations for analog hardware: by L1 norm or greatest deviations, converted, folded and recalibrated.

Needs torch.  `analog_eval` itself hands these names out when they are asked for, and imports torch only then.

Examples
--------
>>> import torch
>>> from analog_eval import noise_sweep
>>> _ = torch.manual_seed(0)
>>> first, last = torch.nn.Linear(8, 16), torch.nn.Linear(16, 1)
>>> plain = torch.nn.Sequential(first, torch.nn.BatchNorm1d(16), torch.nn.ReLU(), last)
>>> X = torch.randn(200, 8)
>>> y = X[:, 0].double()
>>> net = convert_batchnorm(plain, "l1")
>>> optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
>>> for _ in range(100):
...     optimizer.zero_grad()
...     torch.nn.functional.mse_loss(net(X).ravel(), X[:, 0]).backward()
...     optimizer.step()
>>> bool(noise_sweep(net, X, y, levels=(0.1,), random_state=0).clean > 0.9)
True

The same function without normalization layers, as it would be written to a device:

>>> folded = fold_batchnorm(net)
>>> [type(layer).__name__ for layer in folded]
['Linear', 'Folded', 'ReLU', 'Linear']
>>> torch.allclose(folded(X), net.eval()(X), atol=1e-5)
True
"""

from __future__ import annotations

from analog_eval.normalization.conversion import convert_batchnorm
from analog_eval.normalization.folding import Folded, fold_batchnorm
from analog_eval.normalization.layers import L1BatchNorm1d, L1BatchNorm2d, TopKBatchNorm1d, TopKBatchNorm2d
from analog_eval.normalization.recalibration import recalibrate_batchnorm

__all__ = [
    "Folded",
    "L1BatchNorm1d",
    "L1BatchNorm2d",
    "TopKBatchNorm1d",
    "TopKBatchNorm2d",
    "convert_batchnorm",
    "fold_batchnorm",
    "recalibrate_batchnorm",
]
