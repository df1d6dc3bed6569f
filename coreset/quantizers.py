"""Codecs: points to bytes and back, with their exact size known before encoding."""

from __future__ import annotations

import dataclasses
import math
import numbers
import struct
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]

_CHUNK = 1 << 16  # codes unpacked at a time, so that bits held as bytes never outgrow the output


def packed_size(n_codes: int, width: int) -> int:
    """Bytes that `n_codes` codes of `width` bits take."""
    return (n_codes * width + 7) // 8


def pack_bits(codes: NDArray[np.uint64], width: int) -> bytes:
    """Write codes one after the other, each in `width` bits, most significant bit first.

    Parameters
    ----------
    codes : ndarray of shape (n,), uint64
        Each below ``2 ** width``.
    width : int
        0 to 64.

    Returns
    -------
    bytes
        ``packed_size(n, width)`` of them; the last byte is filled up with zeros.
    """
    chunks = []
    for start in range(0, len(codes) if width else 0, _CHUNK):  # a chunk ends on a byte, since 8 divides it
        octets = codes[start : start + _CHUNK].astype(">u8").view(np.uint8).reshape(-1, 8)
        bits = np.unpackbits(octets[:, -((width + 7) // 8) :], axis=1)[:, -width:]
        chunks.append(np.packbits(bits).tobytes())
    return b"".join(chunks)


def unpack_bits(data: bytes, n_codes: int, width: int) -> NDArray[np.uint64]:
    """Inverse of `pack_bits`.

    Raises
    ------
    ValueError
        When `data` has another length than `n_codes` codes take.
    """
    if len(data) != packed_size(n_codes, width):
        raise ValueError(f"{n_codes} codes of {width} bits take {packed_size(n_codes, width)} bytes, found {len(data)}")
    codes = np.zeros(n_codes, dtype=np.uint64)
    if width == 0:
        return codes
    raw = np.frombuffer(data, dtype=np.uint8)
    n_octets = (width + 7) // 8
    for start in range(0, n_codes, _CHUNK):
        length = min(_CHUNK, n_codes - start)
        bits = np.unpackbits(raw[start * width // 8 :], count=length * width).reshape(length, width)
        padded = np.zeros((length, 8 * n_octets), dtype=np.uint8)
        padded[:, -width:] = bits
        octets = np.zeros((length, 8), dtype=np.uint8)
        octets[:, -n_octets:] = np.packbits(padded, axis=1)
        codes[start : start + length] = octets.view(">u8")[:, 0]
    return codes


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

    @abstractmethod
    def encoded_size(self, points: NDArray[np.float64]) -> int:
        """Exactly ``len(encode(points))``, without encoding."""

    @abstractmethod
    def max_encoded_size(self, shape: Shape) -> int:
        """Least upper bound of `encoded_size` over points of this shape."""

    @abstractmethod
    def config_bytes(self) -> bytes:
        """The configuration in two bytes."""

    @classmethod
    @abstractmethod
    def from_config_bytes(cls, data: bytes) -> Quantizer:
        """Inverse of `config_bytes`, for bytes that may be hostile.

        Raises
        ------
        ValueError
            When the bytes are no configuration.
        """

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
    """
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

    Examples
    --------
    >>> from coreset import get_quantizer
    >>> get_quantizer({"id": "uniform", "bits": 4})
    UniformQuantizer(bits=4, scope='column')
    """
    arguments = dict(config)
    name = arguments.pop("id", None)
    if name not in _REGISTRY:
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


def _check_bits(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if not low <= int(value) <= high:
        raise ValueError(f"{name}={value} must be in {low}..{high}")


@register_quantizer
@final
@dataclasses.dataclass(frozen=True)
class RoundingQuantizer(Quantizer):
    """Keep the sign, the exponent and some significant bits of each double, rounded to nearest.

    The error of a row is at most ``2 ** -(significant_bits + 1)`` times its norm (subnormal values aside).

    Parameters
    ----------
    significant_bits : int
        0 to 52 bits after the leading one.
    layout : {"packed", "paper"}, default="packed"
        "paper" spends 1 + 11 + `significant_bits` bits a value, as in the published framework. "packed" spends only the
        exponent bits that the data's range needs, and a sign bit only where there are negative values; it writes -0.0
        as 0.0.

    Raises
    ------
    ValueError, TypeError
        On parameters outside these ranges.

    References
    ----------
    Lu, He, Wang, Liu, Mahdavi, Narayanan, Chan and Pasteris, "Joint Coreset Construction and Quantization for
    Distributed Machine Learning", IFIP Networking 2020 (arXiv 2204.06652).

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RoundingQuantizer
    >>> codec = RoundingQuantizer(significant_bits=2, layout="paper")
    >>> data = codec.encode(np.array([[1.0, 1.3, -100.0]]))
    >>> len(data), codec.decode(data, (1, 3)).tolist()     # 3 values of 14 bits
    (6, [[1.0, 1.25, -96.0]])
    """

    significant_bits: int
    layout: Literal["packed", "paper"] = "packed"

    id: ClassVar[str] = "rounding"
    wire_id: ClassVar[int] = 1
    _LAYOUTS: ClassVar[tuple[str, str]] = ("packed", "paper")
    _RANGE: ClassVar[struct.Struct] = struct.Struct("<HBB")  # lowest exponent, exponent bits, sign bits

    def __post_init__(self) -> None:
        _check_bits("significant_bits", self.significant_bits, 0, 52)
        if self.layout not in self._LAYOUTS:
            raise ValueError(f"layout={self.layout!r} must be one of {self._LAYOUTS}")

    def config_bytes(self) -> bytes:
        """Significant bits, then 0 for packed and 1 for paper."""
        return bytes([self.significant_bits, self._LAYOUTS.index(self.layout)])

    @classmethod
    def from_config_bytes(cls, data: bytes) -> RoundingQuantizer:
        """Inverse of `config_bytes`."""
        if data[1] > 1:
            raise ValueError(f"layout {data[1]} of the rounding quantizer is unknown")
        return cls(data[0], cls._LAYOUTS[data[1]])  # type: ignore[arg-type]

    def encode(self, points: NDArray[np.float64]) -> bytes:
        """See `Quantizer.encode`."""
        bits = self._rounded(points)
        if self.layout == "paper":
            return pack_bits(bits >> np.uint64(52 - self.significant_bits), 12 + self.significant_bits)
        low, exponent_bits, sign_bits = self._range(bits)
        header = self._RANGE.pack(low, exponent_bits, sign_bits)
        if exponent_bits == 0:  # every value is zero
            return header
        magnitude = bits & np.uint64(2**63 - 1)
        exponents = magnitude >> np.uint64(52)
        codes = np.where(magnitude == 0, np.uint64(0), exponents - np.uint64(low) + np.uint64(1))
        fraction = (magnitude & np.uint64(2**52 - 1)) >> np.uint64(52 - self.significant_bits)
        codes = (codes << np.uint64(self.significant_bits)) | fraction
        if sign_bits:
            signs = np.where(magnitude == 0, np.uint64(0), bits >> np.uint64(63))
            codes |= signs << np.uint64(exponent_bits + self.significant_bits)
        return header + pack_bits(codes, self.significant_bits + exponent_bits + sign_bits)

    def decode(self, data: bytes, shape: Shape) -> NDArray[np.float64]:
        """See `Quantizer.decode`."""
        n_values = shape[0] * shape[1]
        shift = np.uint64(52 - self.significant_bits)
        if self.layout == "paper":
            return (unpack_bits(data, n_values, 12 + self.significant_bits) << shift).view(np.float64).reshape(shape)
        if len(data) < self._RANGE.size:
            raise ValueError(f"the point block has {len(data)} bytes, its header alone takes {self._RANGE.size}")
        low, exponent_bits, sign_bits = self._RANGE.unpack_from(data)
        if exponent_bits > 11 or sign_bits > 1 or low > 2046:
            raise ValueError("the point block's header is not one of a rounding quantizer")
        body = data[self._RANGE.size :]
        if exponent_bits == 0:
            if body:
                raise ValueError(f"a block of zeros is followed by {len(body)} bytes")
            return np.zeros(shape)
        width = self.significant_bits + exponent_bits + sign_bits
        codes = unpack_bits(body, n_values, width)
        exponents = (codes >> np.uint64(self.significant_bits)) & np.uint64((1 << exponent_bits) - 1)
        values = (exponents + np.uint64(low) - np.uint64(1)) << np.uint64(52)
        values |= (codes & np.uint64((1 << self.significant_bits) - 1)) << shift
        if sign_bits:
            values |= (codes >> np.uint64(width - 1)) << np.uint64(63)
        values[exponents == 0] = 0
        return values.view(np.float64).reshape(shape)

    def encoded_size(self, points: NDArray[np.float64]) -> int:
        """See `Quantizer.encoded_size`."""
        bits = self._rounded(points)
        if self.layout == "paper":
            return packed_size(len(bits), 12 + self.significant_bits)
        _, exponent_bits, sign_bits = self._range(bits)
        width = self.significant_bits + exponent_bits + sign_bits if exponent_bits else 0
        return self._RANGE.size + packed_size(len(bits), width)

    def max_encoded_size(self, shape: Shape) -> int:
        """See `Quantizer.max_encoded_size`."""
        header = 0 if self.layout == "paper" else self._RANGE.size
        return header + packed_size(shape[0] * shape[1], 12 + self.significant_bits)

    def _rounded(self, points: NDArray[np.float64]) -> NDArray[np.uint64]:
        """Bit patterns of the values, rounded half to even; a carry moves into the exponent by itself."""
        bits = check_points(points).view(np.uint64).ravel()
        drop = 52 - self.significant_bits
        if drop:
            odd = (bits >> np.uint64(drop)) & np.uint64(1)
            bits = (bits + np.uint64((1 << (drop - 1)) - 1) + odd) >> np.uint64(drop) << np.uint64(drop)
        if not np.isfinite(bits.view(np.float64)).all():
            largest = float(np.abs(points).max())
            raise ValueError(
                f"points holds {largest:g}, which {self.significant_bits} significant bits round to infinity"
            )
        return bits

    @staticmethod
    def _range(bits: NDArray[np.uint64]) -> tuple[int, int, int]:
        """Lowest exponent, exponent bits and sign bits of the values that are not zero."""
        values = bits[(bits & np.uint64(2**63 - 1)) != 0]
        if len(values) == 0:
            return 0, 0, 0
        exponents = (values >> np.uint64(52)) & np.uint64(2047)
        low, high = int(exponents.min()), int(exponents.max())
        return low, math.ceil(math.log2(high - low + 2)), int((values >> np.uint64(63)).any())


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Where a uniform quantizer's levels lie: ``low + step * code`` for each column."""

    low: NDArray[np.float64]
    step: NDArray[np.float64]
    varying: NDArray[np.bool_]
    wide: bool  # parameters in float64 instead of float32


@register_quantizer
@final
@dataclasses.dataclass(frozen=True)
class UniformQuantizer(Quantizer):
    """Levels at equal distances between the smallest and the largest value.

    Both ends are levels, so binary columns and the zeros of images come back exactly. A column that is constant over
    the points costs no bits a point.

    Parameters
    ----------
    bits : int
        1 to 32 bits a value; the error of a value is at most ``range / (2 ** bits - 1) / 2``.
    scope : {"column", "table"}, default="column"
        Whether each column has its own range (8 or 16 bytes a column) or one range serves all.

    Raises
    ------
    ValueError, TypeError
        On parameters outside these ranges.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import UniformQuantizer
    >>> points = np.array([[0.0, 5.0], [1.1, 5.0], [3.0, 5.0]])
    >>> codec = UniformQuantizer(bits=2)
    >>> codec.decode(codec.encode(points), points.shape).tolist()
    [[0.0, 5.0], [1.0, 5.0], [3.0, 5.0]]
    """

    bits: int
    scope: Literal["column", "table"] = "column"

    id: ClassVar[str] = "uniform"
    wire_id: ClassVar[int] = 2
    _SCOPES: ClassVar[tuple[str, str]] = ("column", "table")

    def __post_init__(self) -> None:
        _check_bits("bits", self.bits, 1, 32)
        if self.scope not in self._SCOPES:
            raise ValueError(f"scope={self.scope!r} must be one of {self._SCOPES}")

    def config_bytes(self) -> bytes:
        """Bits, then 0 for columns and 1 for the table."""
        return bytes([self.bits, self._SCOPES.index(self.scope)])

    @classmethod
    def from_config_bytes(cls, data: bytes) -> UniformQuantizer:
        """Inverse of `config_bytes`."""
        if data[1] > 1:
            raise ValueError(f"scope {data[1]} of the uniform quantizer is unknown")
        return cls(data[0], cls._SCOPES[data[1]])  # type: ignore[arg-type]

    def encode(self, points: NDArray[np.float64]) -> bytes:
        """See `Quantizer.encode`."""
        checked = check_points(points)
        grid = self._grid(checked)
        step = np.where(grid.step > 0, grid.step, 1.0)
        codes = np.rint((checked - grid.low) / step).clip(0, 2**self.bits - 1).astype(np.uint64)
        stored = np.dtype("<f8" if grid.wide else "<f4")
        head = bytes([grid.wide]) + np.packbits(grid.varying).tobytes()
        if self.scope == "column":
            parameters = np.concatenate([grid.low, grid.step[grid.varying]])
            stream = codes[:, grid.varying].ravel()
        else:
            parameters = np.array([grid.low[0], grid.step[0]])
            stream = np.concatenate([codes[0, ~grid.varying], codes[:, grid.varying].ravel()])
        return head + parameters.astype(stored).tobytes() + pack_bits(stream, self.bits)

    def decode(self, data: bytes, shape: Shape) -> NDArray[np.float64]:
        """See `Quantizer.decode`."""
        n_points, n_features = shape
        mask_end = 1 + packed_size(n_features, 1)
        if len(data) < mask_end or data[0] > 1:
            raise ValueError("the point block's header is not one of a uniform quantizer")
        varying = np.unpackbits(np.frombuffer(data[1:mask_end], np.uint8), count=n_features).astype(bool)
        n_varying = int(varying.sum())
        stored = np.dtype("<f8" if data[0] else "<f4")
        n_parameters = n_features + n_varying if self.scope == "column" else 2
        end = mask_end + n_parameters * stored.itemsize
        if len(data) < end:
            raise ValueError(f"the point block has {len(data)} bytes, its header alone takes {end}")
        parameters = np.frombuffer(data[mask_end:end], stored).astype(np.float64)
        if not np.isfinite(parameters).all():
            raise ValueError("the point block's ranges contain NaN or infinity")
        n_constant = 0 if self.scope == "column" else n_features - n_varying
        codes = unpack_bits(data[end:], n_constant + n_points * n_varying, self.bits)
        low, step = parameters[:n_features], parameters[n_features:]
        if self.scope == "table":
            low, step = np.full(n_features, parameters[0]), parameters[1:]
            low[~varying] += step * codes[:n_constant]
        points = np.tile(low, (n_points, 1))
        points[:, varying] += step * codes[n_constant:].reshape(n_points, n_varying)
        return points

    def encoded_size(self, points: NDArray[np.float64]) -> int:
        """See `Quantizer.encoded_size`."""
        checked = check_points(points)
        grid = self._grid(checked)
        return self._size(checked.shape, int(grid.varying.sum()), 8 if grid.wide else 4)

    def max_encoded_size(self, shape: Shape) -> int:
        """See `Quantizer.max_encoded_size`."""
        return self._size(shape, shape[1], 8)

    def _size(self, shape: Shape, n_varying: int, parameter_bytes: int) -> int:
        n_points, n_features = shape
        head = 1 + packed_size(n_features, 1)
        if self.scope == "column":
            return head + (n_features + n_varying) * parameter_bytes + packed_size(n_points * n_varying, self.bits)
        n_codes = n_features - n_varying + n_points * n_varying
        return head + 2 * parameter_bytes + packed_size(n_codes, self.bits)

    def _grid(self, points: NDArray[np.float64]) -> _Grid:
        low, high = points.min(axis=0), points.max(axis=0)
        if max(-float(low.min()), float(high.max())) > np.finfo(np.float64).max / 4:
            raise ValueError(
                f"points spans {low.min():g} to {high.max():g}, too wide for levels within a double's range"
            )
        varying = high > low
        if self.scope == "table":
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        with np.errstate(over="ignore", under="ignore"):
            step = (high - low) / (2**self.bits - 1)
            # A range so small that its step underflows cannot be cut; its one level is the lower end.
            varying = varying & (step > 0)
            narrow_low, narrow_step = (
                low.astype(np.float32).astype(np.float64),
                step.astype(np.float32).astype(np.float64),
            )
        if self._narrow_is_enough(low, narrow_low, step, narrow_step):
            return _Grid(narrow_low, narrow_step, varying, wide=False)
        return _Grid(low, step, varying, wide=True)

    def _narrow_is_enough(
        self,
        low: NDArray[np.float64],
        narrow_low: NDArray[np.float64],
        step: NDArray[np.float64],
        narrow_step: NDArray[np.float64],
    ) -> bool:
        """Whether float32 parameters shift no level by more than a sixteenth of a step."""
        varies = step > 0
        if not (np.isfinite(narrow_low).all() and np.isfinite(narrow_step).all() and (narrow_step[varies] > 0).all()):
            return False
        tolerance = step.max() / 16 if varies.any() else np.abs(low).max() * 2.0**-20
        shift = np.abs(low - narrow_low)
        drift = np.abs(step - narrow_step) * (2**self.bits - 1)
        return bool((shift <= np.where(varies, step / 16, tolerance)).all() and (drift <= step / 16).all())
