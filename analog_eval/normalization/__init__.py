"""Batch normalizations for analog hardware: by L1 norm or greatest deviations, converted, folded and recalibrated.

Needs torch.  `analog_eval` itself hands these names out when they are asked for, and imports torch only then.

Examples
--------
A summary of the data is points, labels and weights, and that is all that training needs; here every third row with
weight 3 stands for one.

>>> import numpy as np
>>> import torch
>>> from sklearn.datasets import load_digits
>>> from analog_eval import noise_sweep
>>> X, y = load_digits(return_X_y=True)
>>> X = (X / 16).astype(np.float32)
>>> points, labels, weights = (torch.from_numpy(a) for a in (X[::3], y[::3], np.full(599, 3.0, np.float32)))
>>> _ = torch.manual_seed(0)
>>> net = torch.nn.Sequential(
...     torch.nn.Linear(64, 32), L1BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
... )
>>> optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
>>> for _ in range(50):
...     optimizer.zero_grad()
...     losses = torch.nn.functional.cross_entropy(net(points), labels, reduction="none")
...     (weights @ losses / weights.sum()).backward()
...     optimizer.step()
>>> report = noise_sweep(net, X[1::3], y[1::3], levels=(0.1, 0.4), n_draws=5, random_state=0)
>>> bool(report.clean > 0.9)
True

The same net without normalization layers, as it would be written to a device:

>>> folded = fold_batchnorm(net)
>>> [type(layer).__name__ for layer in folded]
['Linear', 'Folded', 'ReLU', 'Linear']
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
