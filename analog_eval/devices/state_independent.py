"""A device whose noise does not depend on its conductance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from analog_eval.devices.power_law import PowerLawDevice

__all__ = ["StateIndependent"]


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class StateIndependent(PowerLawDevice):
    r"""A device that is programmed and drifts alike at every conductance.

    In the formulas of `PowerLawDevice`: :math:`\sigma_{prog}` = 0.2 uS, :math:`\mu_\nu` = 0.1, :math:`\sigma_\nu` =
    0.05, and Q = 1 uS / g_max.

    Parameters
    ----------
    g_max : float, default=25.0
        Conductance of the greatest absolute weight of a tensor, in uS.
    g_min, significances
        See `Device`.
    t0 : float, default=20.0
        Time of the reading that the drift is measured against, in s.
    t_read : float, default=250e-9
        Duration of a reading, in s.
    programming_scale, drift_scale, read_scale
        See `PowerLawDevice`.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Constants from aihwkit's public source (``StateIndependentNoiseModel``).

    Examples
    --------
    >>> import numpy as np
    >>> StateIndependent().programming_sd(np.array([0.0, 25.0])).tolist()
    [0.2, 0.2]
    """

    g_max: float = 25.0
    t0: float = 20.0
    t_read: float = 250e-9

    def programming_sd(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of the programming noise, in uS, for targets in uS."""
        return np.full(target.shape, 0.2)

    def drift_exponent(self, target: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the drift exponent, for targets in uS."""
        return np.full(target.shape, 0.1), np.full(target.shape, 0.05)

    def read_share(self, programmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor Q of the read noise, for programmed conductances in uS."""
        return np.full(programmed.shape, 1.0 / self.g_max)
