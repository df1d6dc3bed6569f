"""The context quantizer: few bits a value, squeezed by what the codes around a code tell of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from .base import Shape, check_points, check_span, register_quantizer
from .bits import pack_bits, packed_size, unpack_bits
from .centers import Centers
from .choices import Choices, decode_choices
from .column_levels import ColumnLevels
from .correction import Correction
from .grouping import rough_groups
from .limits import MOST_POINTS, check_time, is_worth_its_time
from .one_hot import as_one_hot
from .order import Order
from .runs import renumbered
from .scoped import ScopedQuantizer
from .stream import decode_codes, encode_codes, has_large_batches
from .stride import find_stride
from .table_levels import TableLevels
from .tour import nearest_neighbour_tour

# Of an image of so many pixels each way, neighbours tell where between its levels a value is.
_LEAST_SIDE = 8
Codes = NDArray[np.uint8]
Levels = ColumnLevels | TableLevels
# Flags of a block: codes through the entropy coder; values corrected by neighbours; codes relative to rough centres;
# columns of two values, of which at most one has the higher, written as choices.
_CODED, _CORRECTED, _GROUPED, _CHOSEN = 1, 2, 4, 8
_ONE_HOT = 2  # beside the scope in the configuration
_MOST_CORRECTED = 4  # bits, beyond which neighbours have little to add, and rough centres begin to pay
_PROMISING = 0.95  # of the bytes: codes relative to centres take a little more than their counts let expect
_FEW_BITS = 1 << 16  # of a table's codes, which are written with choices and without to see what is shorter
_MOST_ARRANGED = 2048  # points: a tour through them takes the square of that


@register_quantizer
@final
@dataclasses.dataclass(frozen=True)
class ContextQuantizer(ScopedQuantizer):
    """One to eight bits a value, squeezed by an adaptive model of the codes, with values corrected by their neighbours.

    Codes are written in batches of columns and points that do not need each other, each column at some points first and
    then at those halfway between. A code's bits are predicted from the codes of columns before it, at distances that
    suit an image where the columns repeat like one's rows, or else of those nearest and of those that correlated most;
    from the codes of the same column at points nearby, which messages put next to each other; and from how often the
    column had such codes. The decoder follows by itself: no more than the distance of an image's rows is sent. Columns
    of one code cost almost nothing, and those of few codes what these tell. Where all this does not pay, and beyond
    131072 points, codes are packed as they are.

    Neighbouring columns of two values, of which no point has the higher in more than one, are written as one: which it
    is. One-hot columns then take what their category takes.

    With five bits and more, where it pays, codes are written relative to those of rough centres, which come first. In
    clusters that are narrow and far from each other most bits only tell the clusters apart. Points that a message sends
    come group by group then, so that little needs to be said of who is near which centre. Values stay the same.

    The value of a code is its level, and with up to four bits, in tables of at least 2048 values, where it pays, a
    linear function of the codes around it besides. Then decoded points need not be encoded as they were, which
    holds otherwise.

    Parameters
    ----------
    bits : int
        1 to 8 bits a value, before they are squeezed. The first four of a code are predicted from the codes around it,
        the others from how often its column had such codes.
    scope : {"column", "table"}, default="column"
        Whether each column has its own levels between two ends (some three bytes a column), or the table has one list
        of them, where its values are. The latter suits images. Levels of a column stand at equal distances, or with two
        to five bits, in tables, closer near the low end, the high end or the middle, where long tails ask for it.

    one_hot : bool, default=False
        Whether neighbouring columns that are not negative and sum to one at every point, such as averages of one-hot
        columns, are rounded to one of them. Points then look like rows, and such columns take far fewer bytes. Which
        column that is follows from what the points before have missed of each, so that columns keep their sums, in
        which all points count the same.

    Raises
    ------
    ValueError, TypeError
        On parameters outside these ranges.

    Notes
    -----
    Columns do not get numbers of bits of their own. Where the error counts in the data's own units and columns differ
    in scale, ``scope="table"`` with 5 to 8 bits is reverse water-filling already, since columns that vary by less than
    a step cost nothing: on unscaled breast cancer and wine data it takes a quarter to a seventh of the bytes of
    ``scope="column"`` at the same squared error.

    Tried and left out: lists of levels for each column (Lloyd), of which long tails gain, but less than by four ways to
    space levels, which take two bits; dither from a seed, by which the squared error of 1 to 3 bits rises to between
    1.4 and 10 times as much while the codes take more bytes.

    Rough centres save 15 to 47 % of the bytes with 5 bits, and 9 to 35 % with 7, on 200 to 2000 points of blobs and
    Gaussian mixtures of 32 and 100 clusters in 10 to 50 columns; 1 to 17 % with 6 and 7 bits on unscaled image segments
    and breast cancer; nothing on images, where the codes around a code tell more. Encoding takes up to 2.9 times as
    long where they pay 2 % or more, and up to 3.7 times where they pay less or turn out not to; where they plainly
    pay nothing else is tried (``benchmarks/centers.py``). Levels fitted to what is left of values made bytes and errors
    jump with the number of points wherever centres begin to pay, by which planning went wrong.

    References
    ----------
    Mahoney, "Adaptive weighing of context models for lossless data compression", Florida Tech. CS-2005-16; Duda,
    "Asymmetric numeral systems", arXiv 1311.2540; Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory,
    1982; Juang and Gray, "Multiple stage vector quantization for speech coding", ICASSP 1982, for coding what a first
    stage leaves; arXiv 2603.08615 for coreset points relative to shared centres. The contexts, correcting by regression
    on codes, and how many centres of how many bits there are, are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import ContextQuantizer
    >>> points = np.repeat([[0.0, 5.0, 1.0], [4.0, 5.0, 3.0]], 200, axis=0)
    >>> codec = ContextQuantizer(bits=1)
    >>> data = codec.encode(points)
    >>> len(data) < 50, bool((codec.decode(data, points.shape) == points).all())     # 400 points
    (True, True)
    """

    one_hot: bool = False

    id: ClassVar[str] = "context"
    wire_id: ClassVar[int] = 3
    MOST_BITS: ClassVar[int] = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.one_hot, (bool, np.bool_)):
            raise TypeError(f"one_hot={self.one_hot!r} must be True or False")
        object.__setattr__(self, "one_hot", bool(self.one_hot))

    def __repr__(self) -> str:
        one_hot = ", one_hot=True" if self.one_hot else ""
        return f"{type(self).__name__}(bits={self.bits}, scope={self.scope!r}{one_hot})"

    def config_bytes(self) -> bytes:
        """Bits, then 0 for columns and 1 for the table, and 2 more where one-hot columns are rounded."""
        bits, scope = super().config_bytes()
        return bytes([bits, scope | _ONE_HOT * self.one_hot])

    @classmethod
    def from_config_bytes(cls, data: bytes) -> ContextQuantizer:
        """Inverse of `config_bytes`."""
        plain = super().from_config_bytes(bytes([data[0], data[1] & ~_ONE_HOT]))
        return dataclasses.replace(plain, one_hot=bool(data[1] & _ONE_HOT))

    def encode(self, points: NDArray[np.float64]) -> bytes:
        """See `Quantizer.encode`."""
        return self._encoded(points)[0]

    def encode_and_decode(self, points: NDArray[np.float64]) -> tuple[bytes, NDArray[np.float64]]:
        """See `Quantizer.encode_and_decode`."""
        data, written = self._encoded(points)
        # What is decoded knows levels by their bytes alone.
        levels = self._kind.from_bytes(written.levels.to_bytes(), len(written.codes), self.bits)[0]
        return data, dataclasses.replace(written, levels=levels).values(self.bits)

    def _encoded(self, points: NDArray[np.float64]) -> tuple[bytes, _Block]:
        """The bytes and what they say."""
        checked = check_points(points)
        check_span(checked)
        if self.one_hot:
            checked = as_one_hot(checked)
        levels, codes, stride = self._fitted(checked)
        head = levels.to_bytes(stride)
        active = np.flatnonzero(levels.active)
        packed = b"\0" + head + pack_bits(codes[active].ravel().astype(np.uint64), self.bits)
        block = _Block(levels, codes)
        if len(checked) > MOST_POINTS:
            return packed, block
        centers = Centers.fit(codes[active], self.bits) if self.bits > _MOST_CORRECTED else None
        if centers is not None and centers.surely_pay(codes[active], self.bits):
            grouped = self._grouped(centers, codes[active], head, len(packed))
            if grouped is not None:
                return grouped, block
        if not has_large_batches(Order.of(active, len(checked), stride), len(checked), self.bits):
            stride = 0  # a table's batches are large
        flags, stream, others = self._stream(checked, codes, active, stride)
        if stream is None:
            return packed, block
        coded = b"".join([bytes([flags]), stride.to_bytes(2, "little"), head, stream])
        if len(coded) >= len(packed):
            return packed, block
        if self.bits > _MOST_CORRECTED:
            grouped = None if centers is None else self._grouped(centers, codes[active], head, len(coded))
            return grouped or coded, block
        if not is_worth_its_time(len(codes), 0, len(stream)):
            return coded, block
        correction = block.fitted_correction(checked, others, self.bits, stride, len(coded))
        if correction is None:
            return coded, block
        corrected = b"".join([bytes([flags | _CORRECTED]), coded[1:3], correction.to_bytes(), coded[3:]])
        if len(corrected) >= len(packed):
            return packed, block
        return corrected, _Block(levels, codes, correction, others)

    def _stream(
        self, points: NDArray[np.float64], codes: Codes, active: NDArray[np.intp], stride: int
    ) -> tuple[int, bytes | None, NDArray[np.intp]]:
        """Flags, what is written of the codes or None where that takes too long, and columns that are no choices."""
        n_bits = len(active) * len(points) * self.bits
        choices = None if stride else Choices.find(codes[active], _of_two_values(points)[active])
        stream, chosen = None, None if choices is None else choices.encode(codes[active], self.bits)
        if choices is None or chosen is None or n_bits < _FEW_BITS or not choices.surely_pay:
            stream = encode_codes(codes, active, self.bits, stride)
            if not is_worth_its_time(len(active), n_bits, len(stream)):
                stream = None
        others = np.arange(len(codes))
        if choices is not None and chosen is not None and (stream is None or len(chosen) < len(stream)):
            return _CODED | _CHOSEN, chosen, np.delete(others, active[choices.chosen])
        return _CODED, stream, others

    def _grouped(self, centers: Centers, codes: Codes, head: bytes, most: int) -> bytes | None:
        """The block with codes relative to rough centres, or None where that takes no less than so many bytes."""
        distances = centers.distances(codes, self.bits)
        if centers.expected_size(distances) > _PROMISING * most:
            return None
        stream = encode_codes(distances, np.arange(len(codes)), centers.width, 0)
        stream = centers.to_bytes(self.bits) + stream
        if not is_worth_its_time(len(codes), distances.size * self.bits, len(stream)):
            return None
        grouped = b"".join([bytes([_CODED | _GROUPED, 0, 0]), head, stream])
        return grouped if len(grouped) < most else None

    def _fitted(self, points: NDArray[np.float64]) -> tuple[Levels, Codes, int]:
        """Levels, codes and how many columns on the next row of an image is, if it is one."""
        levels: Levels = self._kind.fit(points, self.bits)
        codes = levels.codes(points)
        stride = find_stride(codes)
        if stride and min(stride, len(codes) // stride) >= _LEAST_SIDE:
            return levels, codes, stride
        spaced = levels.spaced(points)
        return spaced, codes if spaced is levels else spaced.codes(points), stride

    def decode(self, data: bytes, shape: Shape) -> NDArray[np.float64]:
        """See `Quantizer.decode`."""
        n_points, n_features = shape
        if not data or data[0] not in self._known_flags:
            raise ValueError("the point block's header is not one of a context quantizer")
        flags, rest = data[0], data[1:]
        stride, coefficients = 0, b""
        if flags:
            n_coefficients = Correction.n_bytes(self.bits) if flags & _CORRECTED else 0
            if len(rest) < 2 + n_coefficients:
                raise ValueError(f"the point block has {len(data)} bytes, its header alone takes {3 + n_coefficients}")
            stride = int.from_bytes(rest[:2], "little")
            if stride and flags & (_GROUPED | _CHOSEN):
                raise ValueError("the point block's header has rows of an image, and centres or choices of a table")
            coefficients, rest = rest[2 : 2 + n_coefficients], rest[2 + n_coefficients :]
        levels, rest = self._kind.from_bytes(rest, n_features, self.bits)
        active = np.flatnonzero(levels.active)
        if flags:
            # Choices are fewer than the columns that they stand for, and are checked where they are read.
            walked = 0 if flags & _CHOSEN else len(active)
            check_time(n_points, n_features if flags & _CORRECTED else walked, walked * self.bits, len(rest))
        codes, others = np.zeros((n_features, n_points), dtype=np.uint8), np.arange(n_features)
        if flags & _GROUPED:
            codes[active] = _read_grouped(rest, (len(active), n_points), self.bits)
        elif flags & _CHOSEN:
            codes[active], chosen = decode_choices(rest, (len(active), n_points), self.bits)
            others = np.delete(others, active[chosen])
        elif flags:
            # An image's pixels have neighbours among columns that are not active, too.
            codes = decode_codes(rest, codes.shape, active, self.bits, stride)
        else:
            codes[active] = unpack_bits(rest, len(active) * n_points, self.bits).reshape(len(active), n_points)
        correction = Correction.from_bytes(coefficients, self.bits, stride) if flags & _CORRECTED else None
        return _Block(levels, codes, correction, others).values(self.bits)

    def encoded_size(self, points: NDArray[np.float64]) -> int:
        """See `Quantizer.encoded_size`; what an adaptive model makes of the codes shows only when they are encoded."""
        return len(self.encode(points))

    def arrangement(self, points: NDArray[np.float64]) -> NDArray[np.intp] | None:
        """A tour from neighbour to neighbour, for at most 2048 points, and points near a centre together.

        See `Quantizer.arrangement`.
        """
        if self.scope == "column":
            spans = points.max(axis=0) / 2 - points.min(axis=0) / 2
            points = (points / 2 - points.min(axis=0) / 2) / np.where(spans > 0, spans, 1.0)
        tour = nearest_neighbour_tour(points) if len(points) <= _MOST_ARRANGED else None
        groups = rough_groups(points) if self.bits > _MOST_CORRECTED and len(points) <= MOST_POINTS else None
        if groups is None:
            return tour
        order = np.arange(len(points)) if tour is None else tour
        return order[np.argsort(renumbered(groups[order]), kind="stable")]

    @property
    def arrangement_key(self) -> Hashable:
        """See `Quantizer.arrangement_key`."""
        return type(self), self.scope, self.bits > _MOST_CORRECTED

    def max_encoded_size(self, shape: Shape) -> int:
        """See `Quantizer.max_encoded_size`."""
        return 1 + self._kind.max_bytes(shape, self.bits) + packed_size(shape[0] * shape[1], self.bits)

    @property
    def _known_flags(self) -> tuple[int, ...]:
        if self.bits > _MOST_CORRECTED:
            return 0, _CODED, _CODED | _GROUPED, _CODED | _CHOSEN
        return 0, _CODED, _CODED | _CORRECTED, _CODED | _CHOSEN, _CODED | _CHOSEN | _CORRECTED

    @property
    def _kind(self) -> type[ColumnLevels] | type[TableLevels]:
        return ColumnLevels if self.scope == "column" else TableLevels


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """What a block says: levels and codes, and how values are corrected in columns that are no choices."""

    levels: Levels
    codes: Codes
    correction: Correction | None = None
    corrected: NDArray[np.intp] | None = None

    def values(self, bits: int) -> NDArray[np.float64]:
        """The points, of shape (n, d)."""
        values = self.levels.values(self.codes)
        if self.correction is not None:
            some = values[self.corrected]
            self.correction.add_to(some, self.codes[self.corrected], self.levels.scales[self.corrected], bits)
            values[self.corrected] = some
        if not np.isfinite(values).all():
            raise ValueError("the point block's levels overflow")
        return np.ascontiguousarray(values.T)

    def fitted_correction(
        self, points: NDArray[np.float64], columns: NDArray[np.intp], bits: int, stride: int, n_bytes: int
    ) -> Correction | None:
        """What to add to the values of some columns, where that pays in a block of so many bytes."""
        scales = np.where(self.levels.scales > 0, self.levels.scales, 1.0)
        values = self.levels.values(self.codes)

        def residuals(places: NDArray[np.intp]) -> NDArray[np.float64]:
            some = columns[places]
            missing: NDArray[np.float64] = (points[:, some].T - values[some]) / scales[some, None]
            return missing

        return Correction.fit(self.codes[columns], residuals, bits, stride, n_bytes)


def _of_two_values(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Columns of two values; others that have two codes are left to be corrected."""
    return ((points == points.min(axis=0)) | (points == points.max(axis=0))).all(axis=0)


def _read_grouped(data: bytes, shape: Shape, bits: int) -> Codes:
    """Codes of shape (d, n) from centres and distances to them."""
    centers, rest = Centers.from_bytes(data, shape, bits)
    return centers.codes_at(decode_codes(rest, shape, np.arange(shape[0]), centers.width, 0), bits)
