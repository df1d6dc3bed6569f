"""The uniform quantizer: levels at equal distances, a range a column or one for the table."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from .base import Shape, check_points, check_span, register_quantizer
from .bits import pack_bits, packed_size, unpack_bits
from .headers import narrowed
from .scoped import ScopedQuantizer


@dataclasses.dataclass(frozen=True)
class _Grid:
    """The first and last level of each column, and which columns have more than one."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    varying: NDArray[np.bool_]
    wide: bool  # parameters in float64 instead of float32


@register_quantizer
@final
@dataclasses.dataclass(frozen=True)
class UniformQuantizer(ScopedQuantizer):
    """Levels at equal distances between the smallest and the largest value.

    Both ends are levels, so binary columns come back exactly wherever float32 holds both values, and so do the zeros of
    images. A column that is constant over the points costs no bits a point.

    Parameters
    ----------
    bits : int
        1 to 32 bits a value. The error of a value is at most half a step, ``range / (2 ** bits - 1) / 2``, and a
        sixteenth of a step more where the ends are stored in float32.
    scope : {"column", "table"}, default="column"
        Whether each column has its own range (8 bytes a column, or 16 where float32 would shift levels) or one range
        serves all.

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

    id: ClassVar[str] = "uniform"
    wire_id: ClassVar[int] = 2
    MOST_BITS: ClassVar[int] = 32

    def encode(self, points: NDArray[np.float64]) -> bytes:
        """See `Quantizer.encode`."""
        checked = check_points(points)
        grid = self._grid(checked)
        span = np.where(grid.high > grid.low, grid.high - grid.low, 1.0)
        last = 2**self.bits - 1
        codes = np.rint((checked - grid.low) / span * last).clip(0, last).astype(np.uint64)
        stored = np.dtype("<f8" if grid.wide else "<f4")
        head = bytes([grid.wide]) + np.packbits(grid.varying).tobytes()
        if self.scope == "column":
            parameters = np.concatenate([grid.low, grid.high[grid.varying]])
            stream = codes[:, grid.varying].ravel()
        else:
            parameters = np.array([grid.low[0], grid.high[0]])
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
        # Weighing both ends, instead of adding steps to one, gives both back exactly.
        share = codes / (2**self.bits - 1)
        varied = share[n_constant:].reshape(n_points, n_varying)
        low, high = parameters[:n_features], parameters[n_features:]
        if self.scope == "table":
            first, last = parameters
            low, high = np.full(n_features, first), np.full(n_varying, last)
            low[~varying] = first * (1 - share[:n_constant]) + last * share[:n_constant]
        points = np.tile(low, (n_points, 1))
        points[:, varying] = low[varying] * (1 - varied) + high * varied
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
        check_span(points)
        low, high = points.min(axis=0), points.max(axis=0)
        varying = high > low
        if self.scope == "table":
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        narrow_low, narrow_high = narrowed(low), narrowed(high)
        if self._narrow_is_enough(low, narrow_low, high, narrow_high):
            return _Grid(narrow_low, narrow_high, varying, wide=False)
        return _Grid(low, high, varying, wide=True)

    def _narrow_is_enough(
        self,
        low: NDArray[np.float64],
        narrow_low: NDArray[np.float64],
        high: NDArray[np.float64],
        narrow_high: NDArray[np.float64],
    ) -> bool:
        """Whether float32 ends shift no level by more than a sixteenth of a step."""
        if not (np.isfinite(narrow_low).all() and np.isfinite(narrow_high).all()):
            return False
        step = (high - low) / (2**self.bits - 1)
        varies = step > 0
        # A constant column may shift like the others; among constants alone, a millionth of the largest is kept.
        tolerance = step.max() / 16 if varies.any() else np.abs(low).max() * 2.0**-20
        shift = np.maximum(np.abs(low - narrow_low), np.abs(high - narrow_high))
        return bool((shift <= np.where(varies, step / 16, tolerance)).all())
