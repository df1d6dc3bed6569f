"""Devices as a noise of the weights, whose level is the time since programming."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from analog_eval.adapters import check_output_axis
from analog_eval.devices import PCM, TIME_LABEL, Device, Programmed, Time
from analog_eval.noise import WeightNoise

__all__ = ["Compensation", "DeviceNoise"]

Compensation: TypeAlias = Literal["global", "column"] | None


@dataclass(frozen=True)
class DeviceNoise(WeightNoise):
    r"""What devices make of the weights: the level is the time since programming, in seconds or such as ``"1d"``.

    A draw is one programming of every tensor; at each time it is read with the same random numbers.

    Parameters
    ----------
    device : Device, default=PCM()
        What keeps the weights.
    compensation : {"global", "column"} or None, default="global"
        What the digital part does about drift.  ``global``: it multiplies what comes out of a tensor by one factor, the
        mean absolute weight just after programming over that at the time of reading; ``column``: by one factor an
        output, from the weights of this output; None: nothing.
    output_axis : int, optional
        Axis along which the outputs of a tensor of two or more dimensions lie, which ``column`` needs; functions that
        take a model find it out by themselves.

    Raises
    ------
    TypeError
        If `device` is no device, or `output_axis` no int.
    ValueError
        If `compensation` is unknown.

    Notes
    -----
    The mean absolute weight is what a chip reads out when it is given the unit vectors one after the other (global
    drift compensation, as in aihwkit's public source): just after programming without read noise, later with the noise
    of this very reading.  A factor per output is the same with the mean taken per output.  A tensor of one dimension
    has one output.  Converters have no part in this readout: read through noisy ones, small weights seem greater, and
    less is made up for after a long time.

    No time is clean, 0 neither: programming and reading are noisy.

    Examples
    --------
    >>> import numpy as np
    >>> from analog_eval import DeviceNoise, PCM
    >>> weights = np.linspace(-1.0, 1.0, 1000)
    >>> plain = DeviceNoise(PCM(), compensation=None)(weights, 86400.0, random_state=0)
    >>> compensated = DeviceNoise(PCM())(weights, 86400.0, random_state=0)
    >>> bool(abs(plain).mean() < 0.8 * abs(weights).mean() < abs(compensated).mean())
    True
    """

    device: Device = PCM()  # noqa: RUF009 (frozen: sharing it is safe)
    compensation: Compensation = "global"
    output_axis: int | None = field(default=None, repr=False)

    clean_level = float("nan")

    def __post_init__(self) -> None:
        if not isinstance(self.device, Device):
            raise TypeError(f"device must be a device such as PCM(), got {self.device!r}")
        if self.compensation is not None and self.compensation not in get_args(get_args(Compensation)[0]):
            raise ValueError(f"compensation={self.compensation!r} is not one of 'global', 'column', None")
        check_output_axis(self.output_axis)

    def check_level(self, level: Time) -> float:
        """Return a time, such as ``"1d"``, in seconds, or raise if the device knows nothing of it."""
        return self.device.check_time(level, "level")

    def along(self, output_axis: int | None) -> WeightNoise:
        """Return the noise of a tensor whose outputs lie along an axis."""
        return self if output_axis is None else replace(self, output_axis=output_axis)

    def measure(self, weights: NDArray[Any]) -> tuple[int, ...]:
        """Return the axes over which the means of the compensation go."""
        axes = tuple(range(weights.ndim))
        if self.compensation != "column" or weights.ndim < 2:
            return axes
        if self.output_axis is None:
            raise ValueError(
                f"compensation='column' needs to know along which axis of a tensor of shape {weights.shape} its "
                "outputs lie: give output_axis to DeviceNoise, or to ArrayModel"
            )
        if not -weights.ndim <= self.output_axis < weights.ndim:
            raise ValueError(f"output_axis={self.output_axis} is no axis of a tensor of shape {weights.shape}")
        return tuple(axis for axis in axes if axis != self.output_axis % weights.ndim)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> _Programming:
        """Return a programming that is still to be done."""
        return _Programming(rng.integers(0, 2**32, size=4).tolist())

    def perturb(
        self, weights: NDArray[Any], level: float, units: _Programming, measured: tuple[int, ...]
    ) -> NDArray[Any]:
        """Return the weights that are read, after compensation."""
        read, factors = self.read(weights, level, units, measured)
        if self.compensation is not None:
            read *= factors
        return read

    def read(
        self, weights: NDArray[Any], level: float, units: _Programming, measured: tuple[int, ...]
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the weights that are read, and the factors of the compensation, which broadcast to them."""
        # The dots keep an array where the weight is a single number.
        read = self.device.read(units.of(weights, self.device), level)[0, ...]
        if self.compensation is None:
            return read, np.ones((1,) * read.ndim)
        return read, _ratio(units.readout(weights, self.device, measured), _readout(read, measured))

    def level_label(self) -> str:
        """Say what a level is, for axes and reports."""
        return TIME_LABEL


class _Programming:
    """One programming of one tensor, done when the tensor is seen first and kept for all times.

    Parameters
    ----------
    entropy : list of int
        Source of its random numbers.
    """

    def __init__(self, entropy: list[int]) -> None:
        self._entropy = entropy
        self._weights: NDArray[Any] | None = None
        self._programmed: Programmed | None = None
        self._readouts: dict[tuple[int, ...], NDArray[np.float64]] = {}

    def of(self, weights: NDArray[Any], device: Device) -> Programmed:
        """Return `weights` as they were programmed."""
        # In a sum of noises the weights may change from level to level; their random numbers do not.
        if self._programmed is None or weights is not self._weights:
            self._programmed = device.program(weights, np.random.default_rng(self._entropy))
            self._weights = weights
            self._readouts.clear()
        return self._programmed

    def readout(self, weights: NDArray[Any], device: Device, axes: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the means of the absolute weights just after programming."""
        programmed = self.of(weights, device)
        if axes not in self._readouts:
            self._readouts[axes] = _readout(device.read(programmed, device.first_time, noise=False)[0], axes)
        return self._readouts[axes]


def _readout(weights: NDArray[Any], axes: tuple[int, ...]) -> NDArray[np.float64]:
    if weights.size == 0:
        return np.zeros((1,) * weights.ndim)
    return np.asarray(np.abs(weights).mean(axis=axes, keepdims=True, dtype=np.float64))


def _ratio(before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factors; where nothing is read there is nothing to make up for."""
    return np.divide(before, now, out=np.ones_like(now), where=now > 0.0)
