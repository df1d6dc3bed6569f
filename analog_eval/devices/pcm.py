"""Phase-change memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from analog_eval.devices.power_law import PowerLawDevice, polynomial, safe_log

__all__ = ["PCM"]

# Standard deviation of programming, uS, by powers of g_T / g_max, low to high; fitted at g_max = 25 uS.
_PROGRAMMING = (0.26348, 1.9650, -1.1731)
_FITTED_AT = 25.0


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class PCM(PowerLawDevice):
    r"""Phase-change memory.

    With :math:`u = g_T / g_{max}` and :math:`u_{prog} = g_{prog} / g_{max}`, in the formulas of `PowerLawDevice`:

    - :math:`\sigma_{prog} = (0.26348 + 1.9650 u - 1.1731 u^2)\, g_{max} / 25` uS;
    - :math:`\mu_\nu` = -0.0155 ln u + 0.0244, from 0.049 to 0.1; :math:`\sigma_\nu` = -0.0125 ln u - 0.0059, from 0.008
      to 0.045;
    - :math:`Q = \min(0.2,\ 0.0088 / u_{prog}^{0.65})`.

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
    Constants from aihwkit's public source (``PCMLikeNoiseModel``), which names Nandakumar et al., ICECS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> device = PCM()
    >>> weights = np.array([0.5, -1.0])
    >>> programmed = device.program(weights, np.random.default_rng(0), n=1000)
    >>> programmed.n, device.read(programmed, "1d").shape
    (1000, (1000, 2))
    >>> bool(abs(device.read(programmed, "1y")[:, 1].mean()) < abs(device.read(programmed, "1d")[:, 1].mean()) < 1.0)
    True
    """

    g_max: float = 25.0
    t0: float = 20.0
    t_read: float = 250e-9

    def programming_sd(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of the programming noise, in uS, for targets in uS."""
        return polynomial(_PROGRAMMING, target / self.g_max) * (self.g_max / _FITTED_AT)

    def drift_exponent(self, target: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the drift exponent, for targets in uS."""
        log_u = safe_log(target / self.g_max)
        return np.clip(-0.0155 * log_u + 0.0244, 0.049, 0.1), np.clip(-0.0125 * log_u - 0.0059, 0.008, 0.045)

    def read_share(self, programmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor Q of the read noise, for programmed conductances in uS."""
        return np.minimum(0.0088 * np.exp(-0.65 * safe_log(programmed / self.g_max)), 0.2)
