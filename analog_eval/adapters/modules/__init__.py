"""Torch modules.

A sweep never touches the module: it works on a private copy in eval mode, whose tensors are overwritten before every
prediction.  So dropout is off and normalizations use their running statistics, whatever mode the module is in.  Random
numbers that a module draws all the same start from the same state of the global generator in every draw, which is left
as it was.

*Tensors and roles.*  Parameters of normalizations are gains and shifts, their running mean and variance statistics.  Of
all other parameters those with "bias" in their name are biases, those of two or more dimensions kernels (embeddings
too), the rest gains.  Tied weights count once, under their first name.  Integer buffers (``num_batches_tracked``) and
buffers that are no running statistic (masks, tables) are never noisy.  A running variance that noise would turn
negative is set to 0, where the normalization's own ``eps`` keeps the outputs finite.

How outputs become predictions is told in `analog_eval.adapters.modules.readings`.
"""

from __future__ import annotations

from analog_eval.adapters.modules.adapter import ModuleAdapter, ModulePredictor
from analog_eval.adapters.modules.stand_in import unchanged_rng
from analog_eval.adapters.modules.tensors import module_rows

__all__ = ["ModuleAdapter", "ModulePredictor", "module_rows", "unchanged_rng"]
