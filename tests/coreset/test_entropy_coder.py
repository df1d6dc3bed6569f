"""The entropy coder of bits: interleaved rANS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset.quantizers import rans
from coreset.quantizers.rans import BitDecoder, BitEncoder, n_lanes


@given(st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4095)), max_size=20), max_size=6))
def test_bits_come_back_whatever_their_probabilities(batches):
    encoder = BitEncoder()
    arrays = [np.array(batch, dtype=np.int64).reshape(-1, 2) for batch in batches]
    for batch in arrays:
        encoder.put(batch[:, 0], batch[:, 1])
    decoder = BitDecoder(encoder.finish(), sum(map(len, arrays)))
    for batch in arrays:
        np.testing.assert_array_equal(decoder.get(batch[:, 1]), batch[:, 0])
    decoder.close()


@pytest.mark.parametrize("share", [1, 2000, 4095])
def test_bits_of_many_lanes_come_back(rng, share):
    # Where ones are sure there are no words to begin lanes with, and zeros take their place.
    batches = [rng.integers(max(1, share - 5), min(4095, share + 5) + 1, n) for n in (3000, 1, 20_000, 7, 500, 300)]
    encoder = BitEncoder()
    bits = [(rng.random(len(ones)) * 4096 < ones).astype(np.uint8) for ones in batches]
    for found, ones in zip(bits, batches, strict=True):
        encoder.put(found, ones)
    n_bits = sum(map(len, batches))
    assert n_lanes(12, n_bits, n_bits) > n_lanes(12, n_bits, 200) == 1
    decoder = BitDecoder(encoder.finish(), n_bits)
    for found, ones in zip(bits, batches, strict=True):
        np.testing.assert_array_equal(decoder.get(ones), found)
    decoder.close()


@pytest.mark.parametrize("n_bits", [500, 30_000, 120_000])  # 1, 14 and 50 lanes in the end
def test_lanes_in_turn_and_side_by_side_are_the_same_coder(rng, monkeypatch, n_bits):
    ones = rng.integers(1, 4096, n_bits)
    bits = (rng.random(n_bits) * 4096 < ones).astype(np.uint8)
    ends = np.sort(rng.integers(0, n_bits, 9))
    batches = list(zip(np.split(bits, ends), np.split(ones, ends), strict=True))
    streams = []
    for few in (0, 1000):
        monkeypatch.setattr(rans, "_FEW_LANES", few)
        encoder = BitEncoder()
        for found, chances in batches:
            encoder.put(found, chances)
        streams.append(encoder.finish())
    assert streams[0] == streams[1]
    for few in (0, 1000):
        monkeypatch.setattr(rans, "_FEW_LANES", few)
        decoder = BitDecoder(streams[0], n_bits)
        for found, chances in batches:
            np.testing.assert_array_equal(decoder.get(chances), found)
        decoder.close()
        with pytest.raises(ValueError, match="end early"):
            BitDecoder(streams[0][:-20], n_bits).get(ones)


def test_one_bit_by_hand():
    # A one of probability 1/4 from the state 65536: 65536 // 1024 << 12 = 262144, plus 65536 % 1024 = 0, plus start 0.
    # Beyond its low 16 bits, which are zero, that is 4: two digits after the leading one, and these are 00.
    encoder = BitEncoder()
    encoder.put(np.array([1]), np.array([1024]))
    assert encoder.finish() == bytes([0b00100000, 0, 0])
    # A zero of probability 3/4: 65536 // 3072 = 21, rest 1024, and it begins after the ones.
    encoder = BitEncoder()
    encoder.put(np.array([0]), np.array([1024]))
    assert encoder.finish() == b"\0" + ((21 << 12) + 1024 + 1024 - 65536).to_bytes(2, "little")


def test_length_is_the_information_and_the_states(rng):
    ones = rng.integers(1, 4096, 50_000)
    bits = rng.random(50_000) * 4096 < ones
    information = -np.log2(np.where(bits, ones, 4096 - ones) / 4096).sum() / 8
    encoder = BitEncoder()
    for start in range(0, 50_000, 500):
        encoder.put(bits[start : start + 500], ones[start : start + 500])
    # A state of at least 2**16 in 4096 parts loses at most log2(1 + 1/16) bits a bit, and far less on average; 24
    # states take half a byte each, on average, for how long they are.
    assert information < len(encoder.finish()) < information * 1.002 + 24


def test_changed_streams_are_noticed(rng):
    ones = rng.integers(1000, 3000, 500)
    encoder = BitEncoder()
    encoder.put(rng.integers(0, 2, 500), ones)
    data = encoder.finish()
    for bad in (data[:-2], data + b"\1\0", data[:3], data[:-1], b"", bytes(4) + data[4:]):
        with pytest.raises(ValueError, match="point block"):
            _decoded(bad, ones)


def _decoded(data, ones):
    decoder = BitDecoder(data, len(ones))
    bits = decoder.get(ones)
    decoder.close()
    return bits
