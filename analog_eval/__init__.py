"""Tell whether a trained model survives analog in-memory hardware, where weights are never exactly what was written.

`noise_sweep` measures a fitted model's score on noisy copies of its weights; `compare` does so for several models and
tells which differences are certain; `layer_sensitivity` tells which layer costs most; `inject_noise` lends a model such
weights for the length of a ``with`` block.  `drift_sweep` tells what is left of a score a while after the weights were
programmed into devices such as `PCM`, with exact inputs and outputs or through a `Periphery`, and `compare_drift` which
of several models keeps more; `sensitivity` tells how much of each nonideality, alone, a model bears.  All take
scikit-learn models, torch modules, and anything else through `ArrayModel`.  A model trained on a weighted summary is a
model like any other: nothing but ``(X, y, sample_weight)`` counts.

With torch there are batch normalizations by other scales than the standard deviation, `L1BatchNorm1d`,
`TopKBatchNorm1d` and the same for images, and `convert_batchnorm`, `fold_batchnorm` and `recalibrate_batchnorm`; and
`harden`, which trains a module so that it holds up under weight noise.

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

from importlib import import_module
from importlib.metadata import version
from typing import Any

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
    compare_drift,
    drift_sweep,
    layer_sensitivity,
    noise_sweep,
    sensitivity,
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

__version__ = version("coreset-eval")

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
    "compare_drift",
    "drift_sweep",
    "inject_noise",
    "layer_sensitivity",
    "noise_sweep",
    "plot_sweeps",
    "sensitivity",
]

# Defined on torch classes, with the room where they are: not in __all__, so that "import *" needs no torch.
_TORCH_NAMES = {
    "L1BatchNorm1d": "normalization",
    "L1BatchNorm2d": "normalization",
    "TopKBatchNorm1d": "normalization",
    "TopKBatchNorm2d": "normalization",
    "convert_batchnorm": "normalization",
    "fold_batchnorm": "normalization",
    "harden": "training",
    "recalibrate_batchnorm": "normalization",
}


def __getattr__(name: str) -> Any:
    if name not in _TORCH_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        room = import_module(f"analog_eval.{_TORCH_NAMES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"{name} needs torch: pip install 'coreset-eval[torch]'") from error
    return getattr(room, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_TORCH_NAMES])
