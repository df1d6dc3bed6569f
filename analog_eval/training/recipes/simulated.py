"""Noises of the sweeps as recipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from analog_eval.noise import WeightNoise
from analog_eval.training.recipes.base import Recipe

__all__ = ["Simulated"]


@final
@dataclass(frozen=True)
class Simulated(Recipe):
    """Any noise of the sweeps, at one level: train with what is measured.

    Parameters
    ----------
    noise : WeightNoise
        Such as ``DeviceNoise(PCM())`` or ``QuantizationNoise()``.
    level : float or str
        In the unit of `noise`; for a device the time since programming, in seconds or such as ``"1d"``.

    Raises
    ------
    TypeError
        If `noise` is no noise model.
    ValueError
        If `level` means nothing to `noise`.

    Notes
    -----
    Random numbers are NumPy's, drawn on the host; every step is one new device.

    Examples
    --------
    >>> from analog_eval import QuantizationNoise
    >>> Simulated(QuantizationNoise(), 2)(torch.tensor([-1.0, 0.1, 0.8]))
    tensor([-1.,  0.,  1.])
    """

    noise: WeightNoise
    level: float | str

    def __post_init__(self) -> None:
        if not isinstance(self.noise, WeightNoise):
            raise TypeError(f"noise must be a noise model such as GaussianNoise('std'), got {self.noise!r}")
        self.noise.check_level(self.level)

    def perturb(
        self, weights: torch.Tensor, clean: torch.Tensor, output_axis: int | None, generator: torch.Generator
    ) -> torch.Tensor:
        """Return what the noise makes of `weights`."""
        seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
        noise, level = self.noise.along(output_axis), self.noise.check_level(self.level)
        values, measured = _on_host(weights), _on_host(clean)
        units = noise.draw(values.shape, np.random.default_rng(int(seed)))
        noisy = noise.perturb(values, level, units, noise.measure(measured))
        return torch.from_numpy(np.ascontiguousarray(noisy)).to(clean.device, clean.dtype)


def _on_host(weights: torch.Tensor) -> Any:
    plain = weights if weights.dtype in (torch.float32, torch.float64) else weights.float()
    return plain.cpu().numpy()
