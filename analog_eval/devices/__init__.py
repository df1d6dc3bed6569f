"""Physical devices that keep weights as conductances: programming noise, drift and read noise.

A device knows nothing about models, layers or metrics.  ``program(weights, rng, n)`` draws all random numbers, once;
``drift(programmed, time)`` and ``read(programmed, time)`` then tell conductances and weights at any time.  Conductances
are in uS (1e-6 siemens), times in seconds since programming, or in words such as ``"1mo"``.
"""

from __future__ import annotations

from analog_eval.devices.base import Device, Programmed
from analog_eval.devices.hermes import Hermes
from analog_eval.devices.pcm import PCM
from analog_eval.devices.power_law import PowerLawDevice
from analog_eval.devices.reram import ReRAM
from analog_eval.devices.state_independent import StateIndependent
from analog_eval.devices.tabulated import TabulatedDevice
from analog_eval.devices.times import TIME_LABEL, Time, in_words, to_seconds

__all__ = [
    "PCM",
    "TIME_LABEL",
    "Device",
    "Hermes",
    "PowerLawDevice",
    "Programmed",
    "ReRAM",
    "StateIndependent",
    "TabulatedDevice",
    "Time",
    "in_words",
    "to_seconds",
]
