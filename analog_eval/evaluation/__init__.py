"""Monte-Carlo sweeps over the noise level: how much of a score survives, in which model, and which layer costs it."""

from __future__ import annotations

from analog_eval.evaluation.comparison import compare
from analog_eval.evaluation.comparison_report import Comparison
from analog_eval.evaluation.crossing import Crossing
from analog_eval.evaluation.inputs import DEFAULT_LEVELS
from analog_eval.evaluation.layers import layer_sensitivity
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.sweep import noise_sweep

__all__ = [
    "DEFAULT_LEVELS",
    "Comparison",
    "Crossing",
    "SweepReport",
    "compare",
    "layer_sensitivity",
    "noise_sweep",
]
