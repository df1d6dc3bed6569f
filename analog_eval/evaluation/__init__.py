"""Monte-Carlo sweeps over noise level or time: how much of a score survives, in which model, which layer costs it."""

from __future__ import annotations

from analog_eval.evaluation.comparison import compare
from analog_eval.evaluation.comparison_report import Comparison
from analog_eval.evaluation.crossing import Crossing
from analog_eval.evaluation.drift import DEFAULT_TIMES, drift_sweep
from analog_eval.evaluation.drift_comparison import compare_drift
from analog_eval.evaluation.drift_report import DriftReport, Variation
from analog_eval.evaluation.inputs import DEFAULT_LEVELS
from analog_eval.evaluation.layers import layer_sensitivity
from analog_eval.evaluation.nonidealities import sensitivity
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.sweep import noise_sweep

__all__ = [
    "DEFAULT_LEVELS",
    "DEFAULT_TIMES",
    "Comparison",
    "Crossing",
    "DriftReport",
    "SweepReport",
    "Variation",
    "compare",
    "compare_drift",
    "drift_sweep",
    "layer_sensitivity",
    "noise_sweep",
    "sensitivity",
]
