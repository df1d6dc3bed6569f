"""An entropy coder for bits whose probabilities are known to both sides: interleaved rANS.

Its states run side by side in one array, so that a step codes as many bits as there are states. It stands here because
the packages for it take symbols from fixed models one call each, or fix no format for messages that are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bits import packed_size, ragged_digits, ragged_numbers

_PRECISION = 12  # bits of a probability
_LOW = 1 << 16  # a state stays within [_LOW, _LOW << 16), so that one word of 16 bits renormalises it
_BITS_A_LANE = 2048  # a lane costs half a byte and saves a step of some five microseconds a bit
_BYTES_A_LANE = 64  # that it should be spread over; so the last eighth of the bits gives off the words to begin with
_MOST_LANES = 8192
_MOST_STEPS = 1 << 15  # of a lane, however few bytes there are, so that none can keep a decoder busy for long
_FEW = 4096  # bits that one lane codes, without a word on how many there are
_FEW_LANES = 16  # of which Python's own integers are faster than arrays; the bytes are the same
_Words = NDArray[np.uint32]


def n_lanes(most: int, n_bits: int, following: int) -> int:
    """States side by side, at most so many, where of `n_bits` in all `following` are left to decode."""
    return max(1, min(most, 8 * most * following // max(1, n_bits)))


class BitEncoder:
    """Collects bits with their probabilities, then writes them.

    A fresh state would waste the 16 bits that every state holds, so the encoder begins with one, and as it goes on
    (from the last bit to the first) words that it has written become states.

    References
    ----------
    Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
    arithmetic coding", arXiv 1311.2540; Giesen, "Interleaved entropy coders", arXiv 1402.3392. Lanes from words are
    ours.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = BitEncoder()
    >>> encoder.put(np.array([1, 1, 0]), np.array([4000, 4000, 4000]))
    >>> decoder = BitDecoder(encoder.finish(), 3)
    >>> decoder.get(np.array([4000, 4000, 4000])).tolist()
    [1, 1, 0]
    >>> decoder.close()
    """

    def __init__(self) -> None:
        self._pending: list[tuple[NDArray[np.uint8], NDArray[np.uint16]]] = []

    def put(self, bits: NDArray[np.integer], ones: NDArray[np.integer]) -> None:
        """Code `bits`, each of which is 1 with probability ``ones / 4096``, where ``0 < ones < 4096``."""
        self._pending.append((bits.astype(np.uint8), ones.astype(np.uint16)))

    def finish(self) -> bytes:
        """The number of states, their lengths in four bits each, their digits beyond 16, then words of two bytes."""
        states = np.full(1, _LOW, dtype=np.uint32)
        stack = np.zeros(1024, dtype=np.uint16)  # grows downwards, so that the word written last is read first
        top, following = len(stack), 0
        counts, starts = self._events()
        n_bits = len(counts)
        most = _best_lanes(counts)
        # What is decoded first is encoded last.
        for bits, _ in reversed(self._pending):
            batch = slice(n_bits - following - len(bits), n_bits - following)
            following += len(bits)
            n_new = n_lanes(most, n_bits, following) - len(states)
            if n_new > 0:
                seeds = np.zeros(n_new, dtype=np.uint32)
                found = stack[top : top + n_new]
                seeds[: len(found)] = found
                top += len(found)
                states = np.concatenate([states, seeds | np.uint32(_LOW)])
            states, words = _encoded(states, counts[batch], starts[batch])
            if len(words) > top:
                grown = np.zeros(2 * len(stack) + len(words), dtype=np.uint16)
                grown[len(grown) - (len(stack) - top) :] = stack[top:]
                top, stack = len(grown) - (len(stack) - top), grown
            top -= len(words)
            stack[top : top + len(words)] = words
        self._pending = []
        words = np.concatenate([(states & np.uint32(0xFFFF)).astype("<u2"), stack[top:].astype("<u2")])
        head = most.to_bytes(2, "little") if n_bits >= _FEW else b""
        return head + _packed_heads(states >> np.uint32(16)) + words.tobytes()

    def _events(self) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Of all bits, how many of 4096 slots are theirs, and the first of these."""
        if not self._pending:
            return np.zeros(0, np.uint16), np.zeros(0, np.uint16)
        bits, ones = (np.concatenate(parts) for parts in zip(*self._pending, strict=True))
        taken = bits.astype(bool)
        return np.where(taken, ones, np.uint16(1 << _PRECISION) - ones), np.where(taken, np.uint16(0), ones)


def _best_lanes(counts: NDArray[np.uint16]) -> int:
    """How many states are worth what they cost for events of so many slots each."""
    n_bits = len(counts)
    if n_bits < _FEW:
        return 1
    costs = -np.log2(np.arange(1, (1 << _PRECISION) + 1) / (1 << _PRECISION))  # of an event of such a count, in bits
    n_bytes = costs[counts - 1].sum() / 8
    return max(_least_lanes(n_bits), min(_MOST_LANES, n_bits // _BITS_A_LANE, int(n_bytes) // _BYTES_A_LANE))


def _least_lanes(n_bits: int) -> int:
    return max(1, min(_MOST_LANES, n_bits // _MOST_STEPS))


def _encoded(
    states: _Words, counts: NDArray[np.uint16], starts: NDArray[np.uint16]
) -> tuple[_Words, NDArray[np.uint16]]:
    """States after a batch of bits, and the words that they gave off, in the order in which they are read."""
    n_lanes = len(states)
    if n_lanes <= _FEW_LANES:
        return _encoded_in_turn(states, counts, starts)
    # A padded lane codes a certain event, which leaves its state as it is.
    slots, firsts = _padded(counts, n_lanes, 1 << _PRECISION), _padded(starts, n_lanes, 0)
    limits = (slots << np.uint32(32 - _PRECISION)) - np.uint32(1)  # that of a certain event wraps to the largest
    full = np.empty(slots.shape, dtype=bool)
    words = np.empty(slots.shape, dtype=np.uint16)
    shift, precision = np.uint32(16), np.uint32(_PRECISION)
    quotient = np.empty_like(states)
    rest = np.empty_like(states)
    for step in range(len(slots) - 1, -1, -1):
        over = np.greater(states, limits[step], out=full[step])
        words[step] = states  # the low half
        np.right_shift(states, shift, out=states, where=over)
        np.divmod(states, slots[step], out=(quotient, rest))
        np.left_shift(quotient, precision, out=states)
        states += rest
        states += firsts[step]
    return states, words[full]


def _encoded_in_turn(
    states: _Words, counts: NDArray[np.uint16], starts: NDArray[np.uint16]
) -> tuple[_Words, NDArray[np.uint16]]:
    """Like `_encoded`, one bit after the other."""
    lanes, words = states.tolist(), []
    lane = len(counts) % len(lanes)
    for count, start in zip(counts[::-1].tolist(), starts[::-1].tolist(), strict=True):
        lane = (lane or len(lanes)) - 1
        state = lanes[lane]
        if state >> (32 - _PRECISION) >= count:
            words.append(state & 0xFFFF)
            state >>= 16
        quotient, rest = divmod(state, count)
        lanes[lane] = (quotient << _PRECISION) + rest + start
    return np.array(lanes, dtype=np.uint32), np.array(words[::-1], dtype=np.uint16)


class BitDecoder:
    """Inverse of `BitEncoder` for bytes that may be hostile.

    Parameters
    ----------
    data : bytes
    n_bits : int
        How many were put into the encoder.

    Raises
    ------
    ValueError
        When the bytes hold no states.
    """

    def __init__(self, data: bytes, n_bits: int) -> None:
        lanes = 1
        if n_bits >= _FEW:
            lanes, data = int.from_bytes(data[:2], "little"), data[2:]
            least = _least_lanes(n_bits)
            if not least <= lanes <= _MOST_LANES:
                raise ValueError(
                    f"the point block says that {lanes} states coded it, there should be {least} to {_MOST_LANES}"
                )
        self._most = lanes
        heads, rest = _unpacked_heads(data, lanes)
        if len(rest) < 2 * lanes or len(rest) % 2:
            raise ValueError(f"the point block has {len(rest)} bytes of words, {lanes} states alone take {2 * lanes}")
        words = np.frombuffer(rest, "<u2").astype(np.uint32)
        self._n_bits = self._following = n_bits
        self._states = (heads << np.uint32(16)) | words[:lanes]
        self._words = words  # states that are dropped go where those that were read lay
        self._position = lanes

    def get(self, ones: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The next bits.

        Raises
        ------
        ValueError
            When the bytes end before.
        """
        self._drop_lanes()
        self._following -= len(ones)
        if len(self._states) <= _FEW_LANES:
            return self._get_in_turn(ones)
        # In padded lanes 4096 of 4096 events are a one, which leaves the state as it is.
        padded = _padded(ones, len(self._states), 1 << _PRECISION)
        bits = np.empty(padded.shape, dtype=bool)
        complements = np.uint32(1 << _PRECISION) - padded
        mask, shift, precision = np.uint32((1 << _PRECISION) - 1), np.uint32(16), np.uint32(_PRECISION)
        states, low, words, none = self._states, np.uint32(_LOW), self._words, np.uint32(0)
        slots = np.empty_like(states)
        for step, row in enumerate(padded):
            np.bitwise_and(states, mask, out=slots)
            states >>= precision
            one = np.less(slots, row, out=bits[step])
            # A one: row * quotient + slot; a zero: (4096 - row) * quotient + slot - row.
            states *= np.where(one, row, complements[step])
            states += slots
            states -= np.where(one, none, row)
            short = (states < low).nonzero()[0]
            if len(short):
                end = self._position + len(short)
                if end > len(words):
                    raise ValueError("the point block's bytes are corrupt: its codes end early")
                states[short] = (states[short] << shift) | words[self._position : end]
                self._position = end
        return bits.ravel()[: len(ones)].view(np.uint8)

    def _get_in_turn(self, ones: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The next bits, one after the other."""
        lanes, bits, lane = self._states.tolist(), bytearray(), 0
        position, n_words, mask = self._position, len(self._words), (1 << _PRECISION) - 1
        upcoming = self._words[position : position + len(ones)].tolist()
        taken = 0
        for count in ones.tolist():
            quotient, slot = lanes[lane] >> _PRECISION, lanes[lane] & mask
            one = slot < count
            state = count * quotient + slot if one else (mask + 1 - count) * quotient + slot - count
            if state < _LOW:
                if position + taken == n_words:
                    raise ValueError("the point block's bytes are corrupt: its codes end early")
                state = state << 16 | upcoming[taken]
                taken += 1
            bits.append(one)
            lanes[lane] = state
            lane = lane + 1 if lane + 1 < len(lanes) else 0
        self._position += taken
        self._states[:] = lanes
        return np.frombuffer(bits, dtype=np.uint8)

    def _drop_lanes(self) -> None:
        lanes = n_lanes(self._most, self._n_bits, self._following)
        dropped = self._states[lanes:]
        if not len(dropped):
            return
        if (dropped >> np.uint32(16) != 1).any():
            raise ValueError("the point block's bytes are corrupt: a state does not end where it should")
        if self._position < len(dropped):
            raise ValueError("the point block's bytes are corrupt: its states hold more than was written")
        self._position -= len(dropped)
        self._words[self._position : self._position + len(dropped)] = dropped & np.uint32(0xFFFF)
        self._states = self._states[:lanes].copy()

    def close(self) -> None:
        """Check that all bytes were used and that the states are those that the encoder began with.

        Raises
        ------
        ValueError
            When they are not: the bytes were changed.
        """
        # Where an encoder had no words for states, it took zeros, which nobody reads.
        if self._words[self._position :].any() or (self._states != _LOW).any():
            raise ValueError("the point block's bytes are corrupt: its codes do not end where they should")


def _packed_heads(heads: _Words) -> bytes:
    """Numbers of 1 to 65535: how many digits follow the leading one, in four bits each, then these digits."""
    lengths = (np.frexp(heads.astype(np.float64))[1] - 1).astype(np.uint64)
    digits = [
        ragged_digits(lengths, np.full(len(heads), 4, np.uint64)),
        ragged_digits(heads.astype(np.uint64), lengths),
    ]
    return np.packbits(np.concatenate(digits)).tobytes()


def _unpacked_heads(data: bytes, lanes: int) -> tuple[_Words, bytes]:
    """Inverse of `_packed_heads`, with the bytes that follow."""
    raw = np.frombuffer(data, np.uint8, min(len(data), packed_size(lanes, 4 + 15)))
    digits = np.unpackbits(raw)
    if len(digits) < 4 * lanes:
        raise ValueError(f"the point block has {len(data)} bytes of codes, too few for {lanes} states")
    lengths = ragged_numbers(digits[: 4 * lanes], np.full(lanes, 4, np.uint64))
    end = 4 * lanes + int(lengths.sum())
    if len(digits) < end:
        raise ValueError(f"the point block has {len(data)} bytes of codes, too few for {lanes} states")
    heads = ragged_numbers(digits[4 * lanes : end], lengths) | (np.uint64(1) << lengths)
    return heads.astype(np.uint32), data[packed_size(end, 1) :]


def _padded(values: NDArray[np.integer], lanes: int, fill: int) -> _Words:
    """Values in rows of one step each."""
    n_steps = -(-len(values) // lanes)
    padded = np.full(n_steps * lanes, fill, dtype=np.uint32)
    padded[: len(values)] = values
    return padded.reshape(n_steps, lanes)
