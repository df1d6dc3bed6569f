"""Torch modules.

A sweep never touches the module: it works on a private copy in eval mode, whose tensors are overwritten before every
prediction.  So dropout is off and normalizations use their running statistics, whatever mode the module is in.  Random
numbers that a module draws all the same start from the same state of the global generator in every draw, which is left
as it was.

*Rows.*  They are run in batches that bound the memory.  Where the module's answers for two rows change with two others
beside them, as with attention across rows or a normalization by the batch, all rows are run at once.

*Tensors and roles.*  Parameters of normalizations are gains and shifts, their running mean and variance statistics.  Of
all other parameters those with "bias" in their name are biases, those of two or more dimensions kernels (embeddings
too), the rest gains.  Tied weights count once, under their first name.  Integer buffers (``num_batches_tracked``) and
buffers that are no running statistic (masks, tables) are never noisy.  A running variance that noise would turn
negative is set to 0, where the normalization's own ``eps`` keeps the outputs finite.

*Products.*  Where a kernel is to be multiplied elsewhere (`analog_eval.adapters.analog`), linear layers and
convolutions in one and two dimensions do so, tied weights at every use.  Recurrent layers and other uses of weights
stay as they are, and so does attention where torch computes it in one piece.

How outputs become predictions is told in `analog_eval.adapters.modules.readings`.

Examples
--------
*Models trained on summaries.*  A summary is points, labels and weights, and that is all that training needs: the loss
is the weighted mean over the points.  The sweep then scores the model on test rows like any other.  Here every third
row stands for three:

>>> import torch
>>> from sklearn.datasets import load_digits
>>> from analog_eval import noise_sweep
>>> X, y = load_digits(return_X_y=True)
>>> points, labels = torch.tensor(X[::3] / 16, dtype=torch.float32), torch.tensor(y[::3])
>>> weights = torch.full((len(points),), 3.0)
>>> _ = torch.manual_seed(0)
>>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
>>> optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
>>> for _ in range(60):
...     optimizer.zero_grad()
...     losses = torch.nn.functional.cross_entropy(model(points), labels, reduction="none")
...     (weights @ losses / weights.sum()).backward()
...     optimizer.step()
>>> report = noise_sweep(model, X[1::3] / 16, y[1::3], levels=(0.1, 0.4), random_state=0)
>>> bool(report.clean > 0.9)
True
>>> bool(report.table.loc[0.1, "mean"] > report.table.loc[0.4, "mean"])
True
"""

from __future__ import annotations

from analog_eval.adapters.modules.adapter import ModuleAdapter, ModulePredictor
from analog_eval.adapters.modules.products import AnalogProducts, RowProduct
from analog_eval.adapters.modules.stand_in import unchanged_rng
from analog_eval.adapters.modules.tensors import check_module, is_plain, module_rows

__all__ = [
    "AnalogProducts",
    "ModuleAdapter",
    "ModulePredictor",
    "RowProduct",
    "check_module",
    "is_plain",
    "module_rows",
    "unchanged_rng",
]
