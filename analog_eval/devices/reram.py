"""Resistive memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from analog_eval.devices.base import Device, State, check_scale
from analog_eval.devices.power_law import polynomial
from analog_eval.devices.times import Time, in_words, to_seconds

__all__ = ["ReRAM"]

# Standard deviation, uS, by powers of g_T / g_max, low to high; fitted at g_max = 40 uS, seconds after programming.
_FITTED_AT = 40.0
_DEVIATION = {
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    86400.0: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * 86400.0: (0.782, 20.274, -43.507, 37.062, -11.934),
}


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class ReRAM(Device):
    r"""Resistive memory of Wan et al. 2022, at the three times of which there are measurements: 1 s, 1 d, 2 d.

    :math:`g(t) = \max(0,\ g_T + \sigma_t(u)\, \xi\, g_{max} / 40)`, with :math:`u = g_T / g_{max}`, :math:`\sigma_t` a
    polynomial of degree four, in uS, of its own for each time, and one standard normal :math:`\xi` a device.  There is
    no law of drift between the times, and no read noise beside.

    Parameters
    ----------
    g_max : float, default=40.0
        Conductance of the greatest absolute weight of a tensor, in uS.
    g_min, significances
        See `Device`.
    programming_scale : float, default=1.0
        Factor >= 0 of the deviations.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Constants from aihwkit's public source (``ReRamWan2022NoiseModel``), fitted there to figures of Wan et al., Nature
    2022.  That one device keeps its :math:`\xi` from time to time is our choice; at each time alone it changes nothing.

    Examples
    --------
    >>> import numpy as np
    >>> device = ReRAM()
    >>> programmed = device.program([1.0, -0.2], np.random.default_rng(0))
    >>> device.read(programmed, "1d").shape
    (1, 2)
    >>> device.read(programmed, "1mo")
    Traceback (most recent call last):
        ...
    ValueError: time='1mo' is none of the times that were measured: 1s, 1d, 2d
    """

    g_max: float = _FITTED_AT
    programming_scale: float = 1.0

    n_normals: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.programming_scale, "programming_scale")

    @property
    def first_time(self) -> float:
        """One second after programming."""
        return 1.0

    @property
    def n_states(self) -> int:
        """Target (uS) and random number."""
        return 2

    def check_time(self, time: Time, name: str = "time") -> float:
        """Return a time in seconds; raise ``ValueError``, naming it `name`, if it is none of the measured ones."""
        seconds = to_seconds(time, name)
        if seconds not in _DEVIATION:
            legal = ", ".join(map(in_words, _DEVIATION))
            raise ValueError(f"{name}={time!r} is none of the times that were measured: {legal}")
        return seconds

    def deviation(self, target: NDArray[np.float64], time: Time) -> NDArray[np.float64]:
        """Return the standard deviation at a time, in uS, for targets in uS, of the same shape."""
        scale = self.programming_scale * self.g_max / _FITTED_AT
        return polynomial(_DEVIATION[self.check_time(time)], target / self.g_max) * scale

    def _programmed(self, targets: NDArray[np.float64], normals: NDArray[np.float64]) -> State:
        return np.broadcast_to(targets, normals[:, 0].shape), normals[:, 0]

    def _drifted(self, state: State, seconds: float) -> NDArray[Any]:
        targets, normals = state
        return np.maximum(targets + self.deviation(targets, seconds) * normals, 0.0)

    def _read(self, state: State, seconds: float) -> NDArray[Any]:
        return self._drifted(state, seconds)
