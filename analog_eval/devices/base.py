"""What a device is: conductances that are programmed, drift, and are read with noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_eval.devices.blocks import blocks
from analog_eval.devices.times import Time, to_seconds

__all__ = ["Device", "Programmed", "State", "check_number", "check_positive", "check_scale"]

State: TypeAlias = tuple[NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class Programmed:
    """One tensor of weights, programmed `n` times.  Made by `Device.program`; holds all random numbers there will be.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weights.
    dtype : dtype
        Type of the weights that are read.
    peak : float
        Greatest absolute weight, which the greatest conductance stands for; in the unit of the weights.
    state : tuple of ndarray, each of shape (n, n_devices, n_weights)
        What the device keeps of each programming; its meaning belongs to the device.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    peak: float
    state: State

    @property
    def n(self) -> int:
        """Number of programmings."""
        return len(self.state[0])


@dataclass(frozen=True, kw_only=True, repr=False)
class Device(ABC):
    r"""A kind of device, several of which keep one weight; subclass it to write your own.

    A weight is kept by pairs of devices.  Of a pair the first device has the conductance :math:`g^+ = g_{min} + \max(0,
    s W)` as its target, the second :math:`g^- = g_{min} + \max(0, -s W)`, with :math:`s = (g_{max} - g_{min}) / \max
    |W|`, one number a tensor; the weight that is read is :math:`(g^+ - g^-) / s`.  Several pairs share a weight: their
    differences are multiplied by their `significances` and added up, and a weight fills the pairs one after the other,
    in the order given, so that only great weights use the later ones.

    Parameters
    ----------
    g_max : float
        Conductance of the greatest absolute weight of a tensor, in uS.
    g_min : float, default=0.0
        Conductance of a weight of 0, in uS.
    significances : tuple of float, default=(1.0,)
        What the difference of each pair is multiplied by, > 0; one number a pair.

    Notes
    -----
    Random numbers are drawn once, in `program`, and used at every time, so that differences between times are not
    blurred by chance.  Every device of a pair has its own, so each drifts on its own.

    The conversions, to one pair and to several, are those of aihwkit's public source
    (``SinglePairConductanceConverter``, ``NPairConductanceConverter``).

    Examples
    --------
    >>> from analog_eval import PCM
    >>> PCM().targets([2.0, -0.5]).tolist()
    [[25.0, 0.0], [0.0, 6.25]]
    >>> PCM(significances=(1.0, 3.0)).targets([2.0, -0.5]).tolist()
    [[25.0, 0.0], [0.0, 25.0], [25.0, 0.0], [0.0, 0.0]]
    """

    g_max: float
    g_min: float = 0.0
    significances: tuple[float, ...] = (1.0,)

    #: Standard normal numbers a device and programming.
    n_normals: ClassVar[int]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and value.ndim == 0:  # a number, as NumPy often returns it
                object.__setattr__(self, field.name, value.item())
        check_positive(self.g_max, "g_max")
        check_number(self.g_min, "g_min")
        if not 0.0 <= self.g_min < self.g_max:
            raise ValueError(f"g_min={self.g_min} must be >= 0 and below g_max={self.g_max}")
        if not isinstance(self.significances, Iterable):
            raise TypeError(f"significances must be one number a pair of devices, got {self.significances!r}")
        object.__setattr__(self, "significances", tuple(self.significances))
        if not self.significances:
            raise ValueError("significances is empty; a weight needs at least one pair of devices")
        for value in self.significances:
            check_positive(value, "significances")

    def __repr__(self) -> str:
        """Return the name and the parameters that are not the usual ones."""
        values = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values)})"

    @property
    def n_devices(self) -> int:
        """Devices a weight: two a pair."""
        return 2 * len(self.significances)

    @property
    def first_time(self) -> float:
        """Earliest time, in seconds since programming, of which the device knows anything."""
        return 0.0

    def check_time(self, time: Time, name: str = "time") -> float:
        """Return a time in seconds; raise ``ValueError``, naming it `name`, if the device knows nothing of it."""
        return to_seconds(time, name)

    def targets(self, weights: ArrayLike) -> NDArray[np.float64]:
        """Return the conductances that are aimed at.

        Parameters
        ----------
        weights : array-like of any shape
            Weights of one tensor.

        Returns
        -------
        ndarray of shape ``(n_devices, *shape)``
            In uS; the positive and the negative device of each pair in turn.  For a tensor of zeros all are `g_min`.

        Raises
        ------
        TypeError
            If `weights` are not real numbers.
        ValueError
            If `weights` are not finite.
        """
        values = _check_weights(weights)
        return self._targets(values.reshape(-1), _peak(values)).reshape(self.n_devices, *values.shape)

    def program(self, weights: ArrayLike, rng: np.random.Generator, n: int = 1) -> Programmed:
        """Program the weights of one tensor into devices, `n` times.

        Parameters
        ----------
        weights : array-like of any shape
            Weights of one tensor.
        rng : Generator
            Source of all random numbers, those of later times included; it is advanced.
        n : int, default=1
            Number of programmings.

        Returns
        -------
        Programmed

        Raises
        ------
        TypeError
            If `weights` are not real numbers, `rng` is no Generator, or `n` is no int.
        ValueError
            If `weights` are not finite, or `n` is below 1.

        Notes
        -----
        float32 weights are kept in float32, all others in float64.  A programming takes `n_devices` times three numbers
        a weight; what is computed on the way is bounded, however large the tensor is.
        """
        values = _check_weights(weights)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise TypeError(f"n must be an int, got {n!r}")
        if n < 1:
            raise ValueError(f"n={n} must be >= 1")
        flat, peak = values.reshape(-1), _peak(values)
        dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        state = self._empty_state((int(n), self.n_devices, flat.size), np.result_type(dtype, np.float32))
        for draws, block in blocks(int(n), flat.size):
            targets = self._targets(flat[block], peak)
            normals = rng.standard_normal((draws.stop - draws.start, self.n_normals, *targets.shape))
            for whole, part in zip(state, self._programmed(targets, normals), strict=True):
                whole[draws, :, block] = part
        return Programmed(values.shape, dtype, peak, state)

    def drift(self, programmed: Programmed, time: Time) -> NDArray[Any]:
        """Return the conductances at a time, without the noise of reading them.

        Parameters
        ----------
        programmed : Programmed
            From `program` of this very device.
        time : float or str
            Seconds since programming, or such as ``"1mo"``; see `analog_eval.devices.to_seconds`.

        Returns
        -------
        ndarray of shape ``(n, n_devices, *shape)``
            In uS.

        Raises
        ------
        TypeError, ValueError
            If `time` is no time of which the device knows anything.
        """
        conductances = self._drifted(programmed.state, self.check_time(time))
        return conductances.reshape(programmed.n, self.n_devices, *programmed.shape)

    def read(self, programmed: Programmed, time: Time, *, noise: bool = True) -> NDArray[Any]:
        """Return the weights that are read at a time.

        Parameters
        ----------
        programmed : Programmed
            From `program` of this very device.
        time : float or str
            Seconds since programming, or such as ``"1mo"``; see `analog_eval.devices.to_seconds`.
        noise : bool, default=True
            Whether reading adds noise.

        Returns
        -------
        ndarray of shape ``(n, *shape)``
            In the unit of the weights; all zero if the weights were.

        Raises
        ------
        TypeError, ValueError
            If `time` is no time of which the device knows anything.
        """
        seconds = self.check_time(time)
        law = self._read if noise else self._drifted
        shape = programmed.n, int(np.prod(programmed.shape, dtype=np.int64))
        weights = np.empty(shape, programmed.dtype)
        unit = programmed.peak / (self.g_max - self.g_min)
        for draws, block in blocks(*shape):
            conductances = law(tuple(part[draws, :, block] for part in programmed.state), seconds)
            np.multiply(self._differences(conductances), unit, out=weights[draws, block], casting="same_kind")
        return weights.reshape(programmed.n, *programmed.shape)

    @abstractmethod
    def _programmed(self, targets: NDArray[np.float64], normals: NDArray[np.float64]) -> State:
        """Return the state of devices that were programmed to `targets`.

        `targets`, in uS, has shape (n_devices, n_weights), `normals` (n, n_normals, n_devices, n_weights), and every
        array of the state (n, n_devices, n_weights).
        """

    @abstractmethod
    def _drifted(self, state: State, seconds: float) -> NDArray[Any]:
        """Return the conductances, in uS, without read noise, of the shape of the arrays of `state`."""

    @abstractmethod
    def _read(self, state: State, seconds: float) -> NDArray[Any]:
        """Return the conductances, in uS, with read noise, of the shape of the arrays of `state`."""

    @property
    @abstractmethod
    def n_states(self) -> int:
        """Arrays that the state consists of."""

    def _empty_state(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> State:
        return tuple(np.empty(shape, dtype) for _ in range(self.n_states))

    def _targets(self, weights: NDArray[Any], peak: float) -> NDArray[np.float64]:
        # The quotient first: a scale of its own would overflow for tiny weights.
        signed = weights / peak if peak > 0.0 else np.zeros(weights.shape)
        left = np.abs(signed).astype(np.float64, copy=False) * sum(self.significances)
        targets = np.full((self.n_devices, weights.size), self.g_min)
        for i, factor in enumerate(self.significances):
            share = np.minimum(left / factor, 1.0)
            targets[2 * i] += np.where(signed > 0.0, share, 0.0) * (self.g_max - self.g_min)
            targets[2 * i + 1] += np.where(signed < 0.0, share, 0.0) * (self.g_max - self.g_min)
            left = np.maximum(left - factor, 0.0)
        return targets

    def _differences(self, conductances: NDArray[Any]) -> NDArray[Any]:
        pairs = conductances[:, 0::2] - conductances[:, 1::2]
        if len(self.significances) == 1:
            return np.asarray(pairs[:, 0])
        factors = np.array(self.significances, dtype=pairs.dtype)
        return np.einsum("p,npw->nw", factors / factors.sum(), pairs)


def check_positive(value: float, name: str) -> None:
    """Raise unless `value` is a finite number > 0."""
    check_number(value, name)
    if not 0.0 < value < np.inf:
        raise ValueError(f"{name}={value} must be finite and > 0")


def check_scale(value: float, name: str) -> None:
    """Raise unless `value` is a finite number >= 0."""
    check_number(value, name)
    if not 0.0 <= value < np.inf:
        raise ValueError(f"{name}={value} must be finite and >= 0")


def check_number(value: object, name: str) -> None:
    """Raise unless `value` is a real number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")


def _peak(values: NDArray[Any]) -> float:
    return float(np.abs(values.astype(np.float64, copy=False)).max(initial=0.0))


def _check_weights(weights: ArrayLike) -> NDArray[Any]:
    values = np.asarray(weights)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"weights must hold real numbers, got dtype {values.dtype}")
    if not np.isfinite(values).all():
        raise ValueError(f"weights holds {int((~np.isfinite(values)).sum())} NaN or infinite entries of {values.size}")
    return values
