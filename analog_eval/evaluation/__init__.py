"""Monte-Carlo sweeps over the noise level: how much of a model's score survives."""

from __future__ import annotations

from analog_eval.evaluation.inputs import DEFAULT_LEVELS
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.sweep import noise_sweep

__all__ = ["DEFAULT_LEVELS", "SweepReport", "noise_sweep"]
