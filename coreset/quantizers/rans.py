"""An entropy coder for bits whose probabilities are known to both sides: interleaved rANS.

Its states run side by side in one array, so that a step codes as many bits as there are states. It stands here because
the packages for it take symbols from fixed models one call each, or fix no format for messages that are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PRECISION = 12  # bits of a probability
_LOW = 1 << 16  # a state stays within [_LOW, _LOW << 16), so that one word of 16 bits renormalises it
_STEPS = 16384  # a lane costs some two bytes and saves a step of some ten microseconds a bit


def n_lanes(n_bits: int) -> int:
    """States that are coded side by side for so many bits: more of them are faster, but each takes four bytes."""
    return max(1, min(4096, n_bits // _STEPS))


class BitEncoder:
    """Collects bits with their probabilities, then writes them.

    Parameters
    ----------
    lanes : int
        At least 1, as the decoder will have it.

    References
    ----------
    Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
    arithmetic coding", arXiv 1311.2540; Giesen, "Interleaved entropy coders", arXiv 1402.3392.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = BitEncoder(1)
    >>> encoder.put(np.array([1, 1, 0]), np.array([4000, 4000, 4000]))
    >>> decoder = BitDecoder(encoder.finish(), 1)
    >>> decoder.get(np.array([4000, 4000, 4000])).tolist()
    [1, 1, 0]
    >>> decoder.close()
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._pending: list[tuple[NDArray[np.uint8], NDArray[np.uint16]]] = []

    def put(self, bits: NDArray[np.integer], ones: NDArray[np.integer]) -> None:
        """Code `bits`, each of which is 1 with probability ``ones / 4096``, where ``0 < ones < 4096``."""
        self._pending.append((bits.astype(np.uint8), ones.astype(np.uint16)))

    def finish(self) -> bytes:
        """The final states in four bytes each, then words of two bytes."""
        states = np.full(self._lanes, _LOW, dtype=np.uint64)
        words: list[NDArray[np.uint64]] = []
        low, shift, precision = np.uint64(0xFFFF), np.uint64(16), np.uint64(PRECISION)
        # What is decoded first is encoded last.
        for bits, ones in reversed(self._pending):
            counts, starts = _intervals(bits.astype(bool), ones.astype(np.uint64))
            # A padded lane codes a certain event, which leaves its state as it is.
            counts = _padded(counts, self._lanes, 1 << PRECISION)
            starts = _padded(starts, self._lanes, 0)
            limits = counts << np.uint64(32 - PRECISION)
            for step in range(len(counts) - 1, -1, -1):
                full = states >= limits[step]
                if full.any():
                    words.append(states[full] & low)
                    states[full] >>= shift
                quotient, rest = np.divmod(states, counts[step])
                states = (quotient << precision) + rest + starts[step]
        stream = np.concatenate(words[::-1]) if words else np.zeros(0, dtype=np.uint64)
        return states.astype("<u4").tobytes() + stream.astype("<u2").tobytes()


class BitDecoder:
    """Inverse of `BitEncoder` for bytes that may be hostile.

    Parameters
    ----------
    data : bytes
    lanes : int
        As the encoder had it.

    Raises
    ------
    ValueError
        When the bytes hold no states.
    """

    def __init__(self, data: bytes, lanes: int) -> None:
        if len(data) < 4 * lanes or len(data) % 2:
            raise ValueError(f"the point block has {len(data)} bytes of codes, {lanes} states alone take {4 * lanes}")
        self._lanes = lanes
        self._states = np.frombuffer(data[: 4 * lanes], "<u4").astype(np.uint64)
        self._words = np.frombuffer(data[4 * lanes :], "<u2").astype(np.uint64)
        self._position = 0
        if (self._states < _LOW).any():
            raise ValueError("the point block's bytes are corrupt: a state of its coder is too small")

    def get(self, ones: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The next bits.

        Raises
        ------
        ValueError
            When the bytes end before.
        """
        # In padded lanes 4096 of 4096 events are a one, which leaves the state as it is.
        padded = _padded(ones.astype(np.uint64), self._lanes, 1 << PRECISION)
        bits = np.empty(padded.shape, dtype=bool)
        mask, shift, precision = np.uint64((1 << PRECISION) - 1), np.uint64(16), np.uint64(PRECISION)
        states, low = self._states, np.uint64(_LOW)
        complements = np.uint64(1 << PRECISION) - padded
        for step, row in enumerate(padded):
            slots = states & mask
            one = np.less(slots, row, out=bits[step])
            states = np.where(one, row, complements[step]) * (states >> precision) + slots
            states -= np.where(one, np.uint64(0), row)
            short = states < low
            n_short = int(np.count_nonzero(short))
            if n_short:
                end = self._position + n_short
                if end > len(self._words):
                    raise ValueError("the point block's bytes are corrupt: its codes end early")
                states[short] = (states[short] << shift) | self._words[self._position : end]
                self._position = end
        self._states = states
        return bits.ravel()[: len(ones)].astype(np.uint8)

    def close(self) -> None:
        """Check that all bytes were used and that the states are those that the encoder began with.

        Raises
        ------
        ValueError
            When they are not: the bytes were changed.
        """
        if self._position != len(self._words) or (self._states != _LOW).any():
            raise ValueError("the point block's bytes are corrupt: its codes do not end where they should")


def _intervals(bits: NDArray[np.bool_], ones: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Width and start of each bit's share of the 4096 events; the ones come first."""
    return np.where(bits, ones, np.uint64(1 << PRECISION) - ones), np.where(bits, np.uint64(0), ones)


def _padded(values: NDArray[np.uint64], lanes: int, fill: int) -> NDArray[np.uint64]:
    """Values in rows of one step each."""
    n_steps = -(-len(values) // lanes)
    padded = np.full(n_steps * lanes, fill, dtype=np.uint64)
    padded[: len(values)] = values
    return padded.reshape(n_steps, lanes)
