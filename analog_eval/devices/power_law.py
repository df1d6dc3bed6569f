"""Devices whose conductance falls as a power of time."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analog_eval.devices.base import Device, State, check_positive, check_scale

__all__ = ["PowerLawDevice", "polynomial", "safe_log"]


@dataclass(frozen=True, kw_only=True, repr=False)
class PowerLawDevice(Device):
    r"""Programming noise, drift by a power law, and 1/f noise; subclass it with the three formulas of a device.

    With independent standard normal :math:`\xi_1, \xi_2, \xi_3` of every device, :math:`t` seconds after programming:

    .. math::

        g_{prog} &= \max(0,\ g_T + \sigma_{prog}(g_T)\, \xi_1) \\
        g_{drift}(t) &= g_{prog} \left(\frac{t + t_0}{t_0}\right)^{-\nu}, \qquad
            \nu = |\mu_\nu(g_T) + \sigma_\nu(g_T)\, \xi_2| \\
        g_{read}(t) &= \max\left(0,\ g_{drift}(t) \left[1 + Q(g_{prog})\, \xi_3
            \sqrt{\ln \frac{t + t_0 + t_{read}}{2 t_{read}}}\right]\right)

    Parameters
    ----------
    t0 : float
        Time from programming to the reading that the drift is measured against, in s.  At t = 0 there is no drift, but
        the read noise of t0 seconds.
    t_read : float
        Duration of a reading, in s.
    programming_scale, drift_scale, read_scale : float, default=1.0
        Factors >= 0 of the programming noise, of the drift exponents and of the read noise; 0 switches one off.

    Notes
    -----
    Formulas as in aihwkit's public source.
    """

    t0: float
    t_read: float
    programming_scale: float = 1.0
    drift_scale: float = 1.0
    read_scale: float = 1.0

    n_normals: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.t_read, "t_read")
        check_positive(self.t0, "t0")
        if self.t0 < self.t_read:
            raise ValueError(f"t0={self.t0} must not be less than t_read={self.t_read}")
        for name in ("programming_scale", "drift_scale", "read_scale"):
            check_scale(getattr(self, name), name)

    @abstractmethod
    def programming_sd(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of the programming noise, in uS, for targets in uS, of the same shape."""

    @abstractmethod
    def drift_exponent(self, target: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the drift exponent (before the absolute value), for targets in uS."""

    @abstractmethod
    def read_share(self, programmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor Q of the read noise, for programmed conductances in uS, of the same shape."""

    @property
    def n_states(self) -> int:
        """Conductance (uS), drift exponent, and Q times the random number of the read noise."""
        return 3

    def _programmed(self, targets: NDArray[np.float64], normals: NDArray[np.float64]) -> State:
        programming, drift, read = (normals[:, i] for i in range(3))
        programming *= self.programming_sd(targets) * self.programming_scale
        programming += targets
        conductances = np.maximum(programming, 0.0, out=programming)
        mean, sd = self.drift_exponent(targets)
        drift *= sd
        drift += mean
        np.abs(drift, out=drift)
        drift *= self.drift_scale
        read *= self.read_share(conductances)
        read *= self.read_scale
        return conductances, drift, read

    def _drifted(self, state: State, seconds: float) -> NDArray[Any]:
        conductances, exponents, _ = state
        drifted = np.asarray(exponents * -float(np.log1p(seconds / self.t0)))
        np.exp(drifted, out=drifted)
        drifted *= conductances
        return drifted

    def _read(self, state: State, seconds: float) -> NDArray[Any]:
        t = seconds + self.t0
        factors = np.asarray(state[2] * float(np.sqrt(np.log((t + self.t_read) / (2.0 * self.t_read)))))
        factors += 1.0
        # The drifted conductance is not negative, so that the factor alone decides where reading ends at 0.
        np.maximum(factors, 0.0, out=factors)
        factors *= self._drifted(state, seconds)
        return factors


def polynomial(coefficients: tuple[float, ...], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of a polynomial whose coefficients are given from low to high."""
    value = np.full(u.shape, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= u
        value += coefficient
    return value


def safe_log(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm, of 1e-7 where less is given: the formulas are constant long before that."""
    return np.log(np.maximum(u, 1e-7))
