"""The noise of programming a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from analog_eval.devices import PCM
from analog_eval.devices.power_law import PowerLawDevice
from analog_eval.training.recipes.base import Recipe, normal
from analog_eval.training.recipes.checks import check_number

__all__ = ["ProgrammingNoise"]


@final
@dataclass(frozen=True)
class ProgrammingNoise(Recipe):
    r"""Programming noise that depends on the conductance, :math:`\tilde W = W + \eta\, \sigma(u) \max|W| / g\, z`.

    Here :math:`u = |W| / \max|W|` is the conductance over the greatest one, :math:`\sigma(u)` the device's programming
    noise in uS, for `PCM` the polynomial 0.26348 + 1.9650 u - 1.1731 u^2, and :math:`g = g_{max} - g_{min}`, in uS.

    Parameters
    ----------
    device : device with a drift law, default=PCM()
        `PCM`, `Hermes`, `StateIndependent` or `TabulatedDevice`.
    level : float, default=1.0
        :math:`\eta` >= 0: how many times the noise of the device.

    Raises
    ------
    TypeError
        If `device` has no formula of its programming noise.
    ValueError
        If `level` is out of range.

    Notes
    -----
    One random number a weight, as in the polynomial modifier of aihwkit's public source: of the two devices that keep a
    weight the one whose target is 0 is taken to be exact.  The whole device, its drift and read noise too, is
    ``Simulated(DeviceNoise(PCM()), 86400.0)``.

    Examples
    --------
    >>> weights = torch.ones(100_000)
    >>> round(25 * float(ProgrammingNoise()(weights, random_state=0).std()), 2)  # uS: .26348 + 1.9650 - 1.1731
    1.06
    """

    device: PowerLawDevice = PCM()  # noqa: RUF009 (frozen: sharing it is safe)
    level: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.device, PowerLawDevice):
            raise TypeError(f"device must be PCM(), Hermes(), StateIndependent() or a table, got {self.device!r}")
        check_number(self.level, "level")

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return ``weights + level * sigma * z``."""
        return weights + normal(clean, generator).mul_(self.level * self.sigma(clean))

    def sigma(self, clean: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the device's noise, in the unit of the weights and of their shape."""
        peak = float(clean.abs().max()) if clean.numel() else 0.0
        if peak == 0.0:
            return torch.zeros_like(clean)
        device, span = self.device, self.device.g_max - self.device.g_min
        # The formula is NumPy's: weights of a GPU go to the host and back.
        target = clean.abs().double().div_(peak).mul_(span).add_(device.g_min).cpu().numpy()
        sd = device.programming_sd(target) * (device.programming_scale * peak / span)
        return torch.from_numpy(np.ascontiguousarray(sd)).to(clean.device, clean.dtype)
