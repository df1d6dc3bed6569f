"""Tell whether a trained model survives analog in-memory hardware, where weights are never exactly what was written.

`noise_sweep` measures a fitted model's score on noisy copies of its weights; `compare` does so for several models and
tells which differences are certain; `layer_sensitivity` tells which layer costs most; `inject_noise` lends a model such
weights for the length of a ``with`` block.  `drift_sweep` tells what is left of a score a while after the weights were
programmed into devices such as `PCM`.  All take scikit-learn models, and anything else through `ArrayModel`.

Examples
--------
>>> from sklearn.datasets import load_iris
>>> from sklearn.linear_model import LogisticRegression
>>> from analog_eval import noise_sweep
>>> X, y = load_iris(return_X_y=True)
>>> report = noise_sweep(LogisticRegression(max_iter=1000).fit(X, y), X, y, random_state=0)
>>> report.table.index.tolist()
[0.01, 0.05, 0.1, 0.2, 0.3, 0.4]
"""

from __future__ import annotations

from analog_eval.adapters import ArrayModel
from analog_eval.devices import PCM, Device, Hermes, ReRAM, StateIndependent, TabulatedDevice
from analog_eval.drifting import DeviceNoise
from analog_eval.evaluation import (
    Comparison,
    Crossing,
    DriftReport,
    SweepReport,
    Variation,
    compare,
    drift_sweep,
    layer_sensitivity,
    noise_sweep,
)
from analog_eval.injection import inject_noise
from analog_eval.noise import (
    GaussianNoise,
    MultiplicativeNoise,
    QuantizationNoise,
    StuckDevices,
    UniformNoise,
    WeightNoise,
)
from analog_eval.periphery import InputScale, Periphery
from analog_eval.plots import plot_sweeps

__all__ = [
    "PCM",
    "ArrayModel",
    "Comparison",
    "Crossing",
    "Device",
    "DeviceNoise",
    "DriftReport",
    "GaussianNoise",
    "Hermes",
    "InputScale",
    "MultiplicativeNoise",
    "Periphery",
    "QuantizationNoise",
    "ReRAM",
    "StateIndependent",
    "StuckDevices",
    "SweepReport",
    "TabulatedDevice",
    "UniformNoise",
    "Variation",
    "WeightNoise",
    "compare",
    "drift_sweep",
    "inject_noise",
    "layer_sensitivity",
    "noise_sweep",
    "plot_sweeps",
]
