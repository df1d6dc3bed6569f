"""Codes relative to rough centres: groups, runs, distances, and what the context quantizer makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset import ContextQuantizer, Coreset, decode, encode, encoded_size
from coreset.quantizers import context
from coreset.quantizers.centers import Centers
from coreset.quantizers.grouping import best_step, rough_groups
from coreset.quantizers.runs import pack_runs, renumbered, unpack_runs

GROUPED = 5  # flags of a block of codes relative to centres
every_codec = pytest.mark.parametrize(
    "codec", [ContextQuantizer(b, scope) for b in (5, 6, 8) for scope in ("column", "table")], ids=repr
)


@pytest.fixture
def clusters(rng):
    """Twenty narrow clusters of twenty points, one after the other."""
    return np.repeat(rng.normal(0, 20, (20, 12)), 20, axis=0) + rng.normal(size=(400, 12))


def without_centers(monkeypatch, codec, points):
    with monkeypatch.context() as patch:
        patch.setattr(context.Centers, "fit", lambda codes, bits: None)
        return codec.encode_and_decode(points)


# --- groups ---


def test_clusters_are_found_whatever_the_order_of_points(rng, clusters):
    truth = np.repeat(np.arange(20), 20)
    order = rng.permutation(400)
    for groups, expected in ((rough_groups(clusters), truth), (rough_groups(clusters[order]), truth[order])):
        np.testing.assert_array_equal(renumbered(groups), renumbered(expected))


def test_clusters_are_found_in_a_sample(rng):
    truth = rng.integers(0, 5, 5000)
    groups = rough_groups(100.0 * np.eye(5)[truth] + rng.normal(size=(5000, 5)))
    # Of many points a cluster is worth more than one group; none is of two clusters.
    assert len(np.unique(groups)) == len(np.unique(5 * groups + truth)) >= 5


@pytest.mark.parametrize(
    "points",
    [np.zeros((50, 30)), np.arange(3.0)[:, None], np.random.default_rng(0).normal(size=(400, 50))],
    ids=["equal", "few", "one cluster"],
)
def test_no_groups_where_there_are_none(points):
    assert rough_groups(points) is None


def test_groups_do_not_depend_on_units(clusters):
    expected = rough_groups(clusters)
    for scale in (2.0**-1060, 2.0**1010):
        np.testing.assert_array_equal(rough_groups(clusters * scale), expected)


def test_the_best_step_by_hand():
    # 12 / (r - 1) for r = 4 and 13; single points count as two.
    np.testing.assert_allclose(best_step(np.array([4, 13, 1])), [2, 1, math.sqrt(12)])


# --- runs ---


def test_runs_by_hand():
    # Lengths 3, 1 and 2 are 11, 1 and 10: one, no and one digit after the first, which are 1 and 0.
    data = pack_runs(np.array([0, 0, 0, 1, 2, 2]), 3)
    assert data == bytes([3, 0, 0, 0, 1, 0b10100000, 0b10000000])
    # A fourth run is of a known group, so that all are named, in two bits each: 0, 1, 2, 0.
    data = pack_runs(np.array([0, 1, 2, 0]), 3)
    assert data == bytes([4, 0, 0, 0, 0, 0b00011000])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_runs_come_back(numbers):
    groups = renumbered(np.array(numbers))
    data = pack_runs(groups, int(groups.max()) + 1)
    found, rest = unpack_runs(data + b"rest", len(groups), int(groups.max()) + 1)
    np.testing.assert_array_equal(found, groups)
    assert rest == b"rest"
    for end in range(len(data)):
        with pytest.raises(ValueError, match=r"header"):
            unpack_runs(data[:end], len(groups), int(groups.max()) + 1)


@pytest.mark.parametrize(
    "data",
    [
        bytes([2, 0, 0, 0, 0]),  # fewer runs than groups
        bytes([7, 0, 0, 0, 0]),  # more than points
        bytes([3, 0, 0, 0, 6]),  # lengths of up to 63 digits
        bytes([3, 0, 0, 0, 1, 0b11100000, 0b11100000]),  # nine points
        bytes([4, 0, 0, 0, 1, 0b11000000, 0, 0b11000000]),  # a fourth group
    ],
)
def test_runs_that_do_not_fit_are_refused(data):
    with pytest.raises(ValueError, match="the point block's header has"):
        unpack_runs(data, 6, 3)


# --- codes relative to centres ---


def test_distances_by_hand():
    # Codes 0100.... and 1100.... have their middles at 72 and 200.
    centers = Centers(np.array([[4, 12]], dtype=np.uint8), np.array([0, 0, 1, 1]), 4, 6, -2)
    codes = np.array([[70, 73, 199, 255]], dtype=np.uint8)
    assert centers.distances(codes, 8).tolist() == [[0, 3, 1, 57]]
    assert centers.codes_at(centers.distances(codes, 8), 8).tolist() == codes.tolist()


def test_distances_of_all_widths_wrap():
    centers = Centers(np.array([[12]], dtype=np.uint8), np.zeros(256, dtype=np.intp), 4, 8, -128)
    codes = np.arange(256, dtype=np.uint8)[None]
    assert centers.distances(codes, 8)[0, 0] == (0 - 200 + 128) % 256
    np.testing.assert_array_equal(centers.codes_at(centers.distances(codes, 8), 8), codes)


def test_centers_come_back(rng):
    codes = np.repeat(rng.integers(10, 240, (6, 8)), 40, axis=1) + rng.integers(-3, 4, (6, 320))
    codes = codes.astype(np.uint8)
    centers = Centers.fit(codes, 8)
    assert len(centers.codes.T) == 8
    assert centers.width < 5
    read, rest = Centers.from_bytes(centers.to_bytes(8) + b"rest", codes.shape, 8)
    assert rest == b"rest"
    np.testing.assert_array_equal(read.codes_at(centers.distances(codes, 8), 8), codes)


# --- the context quantizer ---


@every_codec
def test_clusters_take_fewer_bytes_and_have_the_same_values(monkeypatch, codec, clusters):
    data, decoded = codec.encode_and_decode(clusters)
    plain, values = without_centers(monkeypatch, codec, clusters)
    assert data[0] == GROUPED
    assert len(data) == codec.encoded_size(clusters) < 0.85 * len(plain) < codec.max_encoded_size(clusters.shape)
    np.testing.assert_array_equal(decoded, values)
    np.testing.assert_array_equal(codec.decode(data, clusters.shape), decoded)
    # What was decoded is written as it was.
    assert codec.encode(decoded) == data


def test_distances_take_their_information(rng):
    # Steps of one between 0 and 255: three bits a distance, and sixteen centres of at most eight. Half of the centres
    # round up, so that there are nine distances.
    points = np.repeat(rng.integers(0, 32, (16, 20)) * 8.0, 100, axis=0) + rng.integers(0, 8, (1600, 20))
    assert (points.min(), points.max()) == (0, 255)
    assert len(ContextQuantizer(8, "table").encode(points)) < 1.05 * (32_000 * 3 / 8 + 16 * 20)


def test_images_and_single_clusters_do_without(rng):
    for points in (rng.normal(size=(300, 40)), rng.normal(size=(300, 2)), np.full((300, 40), 2.0)):
        assert ContextQuantizer(6).encode(points)[0] != GROUPED


@every_codec
def test_corrupt_blocks_are_refused_or_decode(rng, codec, clusters):
    data = codec.encode(clusters)
    for bad in (data[:-1], data + b"\0", data[: len(data) // 2]):
        with pytest.raises(ValueError, match=r"point block"):
            codec.decode(bad, clusters.shape)
    for _ in range(40):
        changed = bytearray(data)
        changed[rng.integers(min(len(data), 150))] = rng.integers(256)
        try:
            decoded = codec.decode(bytes(changed), clusters.shape)
        except ValueError:
            continue
        assert np.isfinite(decoded).all()


def test_few_bits_know_no_centers(clusters):
    data = ContextQuantizer(6).encode(clusters)
    with pytest.raises(ValueError, match="header is not one of a context quantizer"):
        ContextQuantizer(4).decode(data, clusters.shape)


def test_messages_send_points_group_by_group(rng, clusters):
    truth = np.repeat(np.arange(20), 20)
    order = rng.permutation(400)
    codec = ContextQuantizer(6, "table")
    for labels in (None, truth[order] % 2, rng.integers(0, 2, 400)):
        coreset = Coreset(clusters[order], np.ones(400), labels=labels)
        message = encode(coreset, codec)
        assert len(message) == encoded_size(coreset, codec)
        nearest = np.square(decode(message).points[:, None] - clusters[::20]).sum(axis=2).argmin(axis=1)
        assert np.count_nonzero(np.diff(nearest)) <= (39 if labels is not None else 19)
