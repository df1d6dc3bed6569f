"""Weight noise: pure functions from an array of clean weights to an array of noisy ones.

A noise model knows nothing about models, layers or metrics.  It works in two steps, so that a sweep can draw the random
numbers once and reuse them at every level (common random numbers), and can look at the clean weights only once:

1. ``measure(weights)`` and ``draw(shape, rng)``: what depends on the clean weights alone, and on chance alone;
2. ``perturb(weights, level, units, measured)``: the noisy array at one level.

``a + b`` is both, one after the other; ``a.at(level)`` is `a` at a level of its own, whatever the sweep's level is.
"""

from __future__ import annotations

from analog_eval.noise.base import WeightNoise, check_weights
from analog_eval.noise.multiplicative import MultiplicativeNoise
from analog_eval.noise.quantization import QuantizationNoise
from analog_eval.noise.randomness import RandomState, check_random_state, generators, one_seed
from analog_eval.noise.scaled import GaussianNoise, Scale, UniformNoise
from analog_eval.noise.stuck import StuckDevices

__all__ = [
    "GaussianNoise",
    "MultiplicativeNoise",
    "QuantizationNoise",
    "RandomState",
    "Scale",
    "StuckDevices",
    "UniformNoise",
    "WeightNoise",
    "check_random_state",
    "check_weights",
    "generators",
    "one_seed",
]
