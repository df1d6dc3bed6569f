"""What every codec has, and the registry by which stored messages find theirs."""

from __future__ import annotations

import dataclasses
import numbers
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]


class Quantizer(ABC):
    """A codec. Its public attributes are its whole configuration; it holds no state.

    A subclass is a frozen dataclass with an `id` for people and a `wire_id` for messages, registered by
    `register_quantizer`. Both ids are for ever: stored messages carry them.
    """

    id: ClassVar[str]
    wire_id: ClassVar[int]

    @abstractmethod
    def encode(self, points: NDArray[np.float64]) -> bytes:
        """Bytes from finite points of shape (n, d).

        Raises
        ------
        ValueError
            When a value is not finite or lies outside what the codec can express.
        """

    @abstractmethod
    def decode(self, data: bytes, shape: Shape) -> NDArray[np.float64]:
        """Points of the given shape from bytes that may be hostile.

        Raises
        ------
        ValueError
            When the bytes are not what `encode` writes for this shape.
        """

    def encode_and_decode(self, points: NDArray[np.float64]) -> tuple[bytes, NDArray[np.float64]]:
        """What `encode` writes and what `decode` makes of it, for codecs that know that without reading their bytes."""
        data = self.encode(points)
        return data, self.decode(data, (points.shape[0], points.shape[1]))

    @abstractmethod
    def encoded_size(self, points: NDArray[np.float64]) -> int:
        """Exactly ``len(encode(points))``, without encoding."""

    @abstractmethod
    def max_encoded_size(self, shape: Shape) -> int:
        """Upper bound of `encoded_size` over points of this shape."""

    def arrangement(self, points: NDArray[np.float64]) -> NDArray[np.intp] | None:
        """An order in which the points are likely to take fewer bytes; None where the order makes no difference."""
        return None

    @property
    def arrangement_key(self) -> Hashable:
        """Quantizers with equal keys arrange points alike, so that these are arranged once for all of them."""
        return type(self), self.config_bytes()

    @abstractmethod
    def config_bytes(self) -> bytes:
        """The configuration in two bytes."""

    @property
    def precision(self) -> int:
        """Binary digits that a value keeps, roughly; a message's weights get half as many."""
        return 8

    @classmethod
    @abstractmethod
    def from_config_bytes(cls, data: bytes) -> Quantizer:
        """Inverse of `config_bytes`, for bytes that may be hostile.

        Raises
        ------
        ValueError
            When the bytes are no configuration.
        """

    @property
    def nominal_bits(self) -> int | None:
        """Bits that each value takes by definition, before an entropy coder, and tables of levels and the like aside.

        None for codecs that give values as many bits as the data need.
        """
        return None

    def get_config(self) -> dict[str, Any]:
        """The configuration with its `id`, from which `get_quantizer` makes an equal codec."""
        return {"id": self.id, **dataclasses.asdict(self)}  # type: ignore[call-overload]


_REGISTRY: dict[str, type[Quantizer]] = {}


def register_quantizer(cls: type[Quantizer]) -> type[Quantizer]:
    """Make a codec known to `get_quantizer` and to the message decoder; usable as a class decorator.

    Parameters
    ----------
    cls : type
        Subclass of `Quantizer` with an `id` and a `wire_id` (0 to 255) that no other codec has.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    ValueError
        When the `id` or `wire_id` is taken, or `wire_id` is no byte.
    TypeError
        When `cls` is no subclass of `Quantizer`.
    """
    if not (isinstance(cls, type) and issubclass(cls, Quantizer)):
        raise TypeError(f"cls={cls!r} must be a subclass of Quantizer")
    if not 0 <= cls.wire_id <= 255:
        raise ValueError(f"wire_id={cls.wire_id} of {cls.__name__} must be in 0..255")
    for other in _REGISTRY.values():
        if other.__qualname__ != cls.__qualname__ and (other.id == cls.id or other.wire_id == cls.wire_id):
            raise ValueError(f"{cls.__name__} has the id or wire_id of {other.__name__}")
    _REGISTRY[cls.id] = cls
    return cls


def get_quantizer(config: dict[str, Any]) -> Quantizer:
    """Codec from its configuration.

    Parameters
    ----------
    config : dict
        As `Quantizer.get_config` returns it.

    Returns
    -------
    Quantizer

    Raises
    ------
    ValueError
        When no codec of that `id` is registered.
    TypeError
        When `config` is no dict, or lacks a parameter or has one that the codec does not take.

    Examples
    --------
    >>> from coreset import get_quantizer
    >>> get_quantizer({"id": "uniform", "bits": 4})
    UniformQuantizer(bits=4, scope='column')
    """
    if not isinstance(config, dict):
        raise TypeError(f"config={config!r} must be a dict")
    arguments = dict(config)
    name = arguments.pop("id", None)
    if not isinstance(name, str) or name not in _REGISTRY:
        raise ValueError(f"config has id={name!r}, known are {sorted(_REGISTRY)}")
    return _REGISTRY[name](**arguments)


def quantizer_from_wire(wire_id: int, config: bytes) -> Quantizer:
    """Codec from what a message says of it.

    Raises
    ------
    ValueError
        When the codec is unknown or its configuration is not valid.
    """
    for cls in _REGISTRY.values():
        if cls.wire_id == wire_id:
            return cls.from_config_bytes(config)
    raise ValueError(f"the message uses quantizer {wire_id}, which is unknown here")


def check_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return finite float64 points of two dimensions, in C order.

    Raises
    ------
    ValueError
        When the shape is another, or a value is NaN or infinite.
    """
    checked = np.ascontiguousarray(points, dtype=np.float64)
    if checked.ndim != 2 or 0 in checked.shape:
        raise ValueError(f"points has shape {checked.shape}, expected (n, d) with at least one of each")
    if not np.isfinite(checked).all():
        raise ValueError("points contains NaN or infinity")
    return checked


def check_span(points: NDArray[np.float64]) -> None:
    """Check that differences of values, and sums of a few, are in a double's range.

    Raises
    ------
    ValueError
        When they are not.
    """
    low, high = float(points.min()), float(points.max())
    if max(-low, high) > np.finfo(np.float64).max / 4:
        raise ValueError(f"points spans {low:g} to {high:g}, too wide for levels in a double's range")


def check_quantizer(name: str, value: object) -> Quantizer:
    """Return `value` if it is a codec.

    Raises
    ------
    TypeError
        Otherwise.
    """
    if not isinstance(value, Quantizer):
        raise TypeError(f"{name}={value!r} is no Quantizer")
    return value


def check_bits(name: str, value: object, low: int, high: int) -> int:
    """Return an integer parameter as Python's own, since powers of two overflow NumPy's narrow ones.

    Raises
    ------
    TypeError
        When it is no integer.
    ValueError
        When it is not in ``low..high``.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if not low <= int(value) <= high:
        raise ValueError(f"{name}={value} must be in {low}..{high}")
    return int(value)
