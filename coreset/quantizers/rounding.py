"""The rounding quantizer: sign, exponent and some significant bits of each double."""

from __future__ import annotations

import dataclasses
import math
import struct
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from .base import Quantizer, Shape, check_bits, check_points, register_quantizer
from .bits import pack_bits, packed_size, unpack_bits


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
        object.__setattr__(self, "significant_bits", check_bits("significant_bits", self.significant_bits, 0, 52))
        if self.layout not in self._LAYOUTS:
            raise ValueError(f"layout={self.layout!r} must be one of {self._LAYOUTS}")

    @property
    def precision(self) -> int:
        """See `Quantizer.precision`."""
        return self.significant_bits

    def config_bytes(self) -> bytes:
        """Significant bits, then 0 for packed and 1 for paper."""
        return bytes([self.significant_bits, self._LAYOUTS.index(self.layout)])

    @classmethod
    def from_config_bytes(cls, data: bytes) -> RoundingQuantizer:
        """Inverse of `config_bytes`."""
        if data[1] > 1:
            raise ValueError(f"layout {data[1]} of the rounding quantizer is unknown")
        return cls(data[0], cls._LAYOUTS[data[1]])  # type: ignore[arg-type]

    @property
    def nominal_bits(self) -> int:
        """Bits of a value in the published framework, which are those of the layout "paper"."""
        return 12 + self.significant_bits

    def encode(self, points: NDArray[np.float64]) -> bytes:
        """See `Quantizer.encode`."""
        bits = self._rounded(points)
        if self.layout == "paper":
            return pack_bits(bits >> np.uint64(52 - self.significant_bits), 12 + self.significant_bits)
        low, exponent_bits, sign_bits = self._range(bits)
        header = self._RANGE.pack(low, exponent_bits, sign_bits)
        if exponent_bits == 0:  # every value is zero
            return header
        # Exponents count from one below the lowest, so that zero, whose code is 0, has an exponent of its own.
        codes = bits & np.uint64(2**63 - 1)
        zeros = codes == 0
        codes >>= np.uint64(52 - self.significant_bits)
        codes -= self._base(low)
        if sign_bits:
            codes |= bits >> np.uint64(63) << np.uint64(exponent_bits + self.significant_bits)
        if zeros.any():
            codes[zeros] = 0
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
        values = codes & np.uint64((1 << width - sign_bits) - 1)
        zeros = values < np.uint64(1 << self.significant_bits)
        values += self._base(low)
        values <<= shift
        if sign_bits:
            codes >>= np.uint64(width - 1)
            codes <<= np.uint64(63)
            values |= codes
        values[zeros] = 0
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

    def _base(self, low: int) -> np.uint64:
        """What separates a code from its value's leading bits; below zero, and wrapped, for subnormal values."""
        return np.uint64(((low - 1) << self.significant_bits) % 2**64)

    @staticmethod
    def _range(bits: NDArray[np.uint64]) -> tuple[int, int, int]:
        """Lowest exponent, exponent bits and sign bits of the values that are not zero."""
        magnitudes = bits & np.uint64(2**63 - 1)
        high = int(magnitudes.max()) >> 52
        if not magnitudes.any():
            return 0, 0, 0
        low = int(magnitudes.min(where=magnitudes != 0, initial=np.uint64(2**63 - 1))) >> 52
        negative = int(bits.max()) > 2**63  # a sign beside a magnitude; that of -0.0 is not kept
        return low, math.ceil(math.log2(high - low + 2)), int(negative)
