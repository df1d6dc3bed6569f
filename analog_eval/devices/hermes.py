"""The phase-change memory of the HERMES chip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from analog_eval.devices.power_law import PowerLawDevice, polynomial, safe_log

__all__ = ["Hermes"]


@dataclass(frozen=True)
class _Branches:
    """A formula in u: ``a ln u + b``, kept from `low` to `high`, below `split`, and a polynomial from there on."""

    split: float
    log: tuple[float, float]
    low: float
    high: float
    polynomial: tuple[float, ...]

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        logarithmic = np.clip(self.log[0] * safe_log(u) + self.log[1], self.low, self.high)
        return np.where(u < self.split, logarithmic, polynomial(self.polynomial, u))


@dataclass(frozen=True)
class _Fit:
    """What was fitted for one way of programming."""

    g_max: float
    t0: float
    programming: tuple[float, ...]
    exponent_sd: _Branches
    read: _Branches


_EXPONENT_MEAN = _Branches(0.0945, (-0.0387, -0.0182), 0.0720, 0.13, (0.0736, -0.0126, -0.0436))
_FITS = {
    1: _Fit(
        10.35,
        200.0,
        (0.15781817, 2.32443916, -2.16310839, 0.68841818),
        _Branches(0.3039, (-0.0120, -0.0023), 0.0124, 0.04, (0.0104, 0.0116, -0.0165)),
        _Branches(0.1591, (-0.0078, 0.0038), 0.0179, 0.04, (0.0088, 0.0768, -0.1352, 0.0664)),
    ),
    2: _Fit(
        20.7,
        300.0,
        (0.16603222, 4.71806468, -8.48101252, 4.68961419),
        _Branches(0.3055, (-0.0117, -0.0057), 0.0091, 0.04, (0.0073, 0.0093, -0.0118)),
        _Branches(0.16, (-0.0117, -0.0069), 0.015, 0.04, (0.0123, 0.0211, -0.0280, 0.0069)),
    ),
}


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Hermes(PowerLawDevice):
    r"""Phase-change memory of the IBM HERMES Project Chip.

    In the formulas of `PowerLawDevice` :math:`\sigma_{prog}` is a cubic in :math:`u = g_T / g_{max}`, scaled with
    `g_max`; :math:`\mu_\nu`, :math:`\sigma_\nu` and :math:`Q` are clipped lines in ln u for small u and polynomials
    above.

    Parameters
    ----------
    n_unit : {1, 2}, default=2
        Devices that make one conductance together: two are programmed more exactly and drift more alike.  A weight
        takes two such conductances.
    g_max : float, optional
        Conductance of the greatest absolute weight of a tensor, in uS, at most the default: 10.35 with one device, 20.7
        with two.
    g_min, significances
        See `Device`.
    t0 : float, optional
        Time of the reading that the drift is measured against, in s; default: 200 with one device, 300 with two.
    t_read : float, default=512e-9
        Duration of a reading, in s.
    programming_scale, drift_scale, read_scale
        See `PowerLawDevice`.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Constants from aihwkit's public source (``HermesNoiseModel``), which names Le Gallo et al., Nature Electronics 2023,
    and for two devices Vasilopoulos et al., IEEE TED 2023.  The two devices of a conductance drift as one there.

    Examples
    --------
    >>> Hermes().g_max, Hermes().t0, Hermes(n_unit=1).g_max, Hermes(n_unit=1).t0
    (20.7, 300.0, 10.35, 200.0)
    """

    n_unit: int = 2
    g_max: float = field(default=float("nan"))
    t0: float = field(default=float("nan"))
    t_read: float = 512e-9

    def __post_init__(self) -> None:
        if self.n_unit not in tuple(_FITS):
            raise ValueError(f"n_unit={self.n_unit!r} is neither 1 nor 2")
        for name in ("g_max", "t0"):
            if isinstance(getattr(self, name), float) and np.isnan(getattr(self, name)):
                object.__setattr__(self, name, getattr(self._fit, name))
        super().__post_init__()
        if self.g_max > self._fit.g_max:
            raise ValueError(
                f"g_max={self.g_max} is more than was measured, {self._fit.g_max} uS (n_unit={self.n_unit})"
            )

    @property
    def _fit(self) -> _Fit:
        return _FITS[self.n_unit]

    def programming_sd(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of the programming noise, in uS, for targets in uS."""
        return polynomial(self._fit.programming, target / self.g_max) * (self.g_max / self._fit.g_max)

    def drift_exponent(self, target: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the drift exponent, for targets in uS."""
        u = target / self.g_max
        return _EXPONENT_MEAN(u), self._fit.exponent_sd(u)

    def read_share(self, programmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor Q of the read noise, for programmed conductances in uS."""
        return self._fit.read(programmed / self.g_max)
