"""One-hot columns: their averages rounded, and columns of which one is chosen written as that choice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coreset import BudgetedCoreset, ContextQuantizer, Coreset, RobustCoreset, decode, default_quantizers, encode
from coreset.quantizers import choices as module
from coreset.quantizers import get_quantizer, has_one_hot_columns, quantizer_from_wire
from coreset.quantizers.choices import Choices, decode_choices
from coreset.quantizers.masks import packed_masks
from coreset.quantizers.one_hot import as_one_hot, one_hot_groups

CHOSEN = 8  # the flag of a block that has choices


def one_hot(codes, n_values):
    return np.eye(n_values)[codes]


@pytest.fixture
def mixed(rng):
    """300 rows: two numbers, a category of 20 values, a number, categories of 3 and 2 values."""
    kinds = [one_hot(rng.integers(0, n, 300), n) for n in (20, 3, 2)]
    numbers = rng.normal(size=(300, 3))
    return np.column_stack([numbers[:, :2], kinds[0], numbers[:, 2], *kinds[1:]])


# --- choices ---


def test_runs_by_hand():
    rows = ["1000", "0110", "0001", "2222", "0120", "1111", "1010", "0101"]
    choices = Choices.find(np.array([list(row) for row in rows], dtype=np.uint8), np.ones(8, dtype=bool))
    # The first three columns are one choice at every point; a constant and one of three codes are none.
    assert choices.chosen.tolist() == [True, True, True, False, False, False, True, True]
    assert choices.starts.tolist() == [True, False, False, True, False]
    assert choices.always.tolist() == [True, True]
    assert choices.forms == [(1, 1), (2, 1)]


def test_choices_of_more_columns_than_a_code_can_tell_are_cut():
    choices = Choices.find(np.eye(600, dtype=np.uint8), np.ones(600, dtype=bool))
    assert np.diff(np.flatnonzero(choices.starts), append=600).tolist() == [255, 255, 90]
    assert choices.forms == [(8, 3)]


@given(st.data())
def test_codes_come_back(data):
    bits = data.draw(st.integers(1, 8))
    n_columns, n_points = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    codes = rng.integers(0, 1 << bits, (n_columns, n_points)).astype(np.uint8)
    pair = np.array([0, (1 << bits) - 1], dtype=np.uint8)
    for column in np.flatnonzero(rng.random(n_columns) < 0.7):
        codes[column] = pair[(rng.random(n_points) < rng.random()).astype(int)]
    choices = Choices.find(codes, np.ones(n_columns, dtype=bool))
    assume(choices is not None)
    found, chosen = decode_choices(choices.encode(codes, bits), codes.shape, bits)
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_array_equal(chosen, choices.chosen)


@pytest.mark.parametrize("scope", ["column", "table"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8])
def test_tables_with_one_hot_columns_take_fewer_bytes(monkeypatch, mixed, bits, scope):
    codec = ContextQuantizer(bits, scope)
    data, values = codec.encode_and_decode(mixed)
    assert data[0] & CHOSEN
    np.testing.assert_array_equal(codec.decode(data, mixed.shape), values)
    with monkeypatch.context() as patch:
        patch.setattr(module.Choices, "find", lambda codes, among: None)
        plain, others = codec.encode_and_decode(mixed)
    assert not plain[0] & CHOSEN
    categories = np.delete(np.arange(mixed.shape[1]), [0, 1, 22])
    if scope == "column":
        np.testing.assert_array_equal(values[:, categories], mixed[:, categories])
    if not (data[0] | plain[0]) & 2:  # nothing is corrected
        np.testing.assert_array_equal(values, others)
    # Beside the numbers, the information of three categories, and what it takes to learn 25 values from 300 points.
    numbers = len(codec.encode(mixed[:, [0, 1, 22]]))
    information = 300 * np.log2(20 * 3 * 2) / 8
    assert len(data) < numbers + 1.5 * information < len(plain)


def test_a_category_takes_little_more_than_its_information(rng):
    table = np.column_stack([one_hot(rng.integers(0, n, 2000), n) for n in (2, 4, 16, 50)])
    information = 2000 * (np.log2([2, 4, 16, 50])).sum() / 8
    data = ContextQuantizer(1).encode(table)
    assert information < len(data) < 1.06 * information
    np.testing.assert_array_equal(ContextQuantizer(1).decode(data, table.shape), table)


@pytest.mark.parametrize("shape", [(400, 50), (1000, 100), (5000, 40)])
def test_sparse_columns_never_take_more_bytes_for_choices(monkeypatch, rng, shape):
    table = (rng.random(shape) < 0.02).astype(float)
    data = ContextQuantizer(1).encode(table)
    monkeypatch.setattr(module.Choices, "find", lambda codes, among: None)
    assert len(data) <= len(ContextQuantizer(1).encode(table))


def test_corrected_blocks_have_choices_too(rng):
    hidden = rng.normal(size=(800, 1))
    table = np.column_stack([hidden + 0.2 * rng.normal(size=(800, 9)), one_hot(rng.integers(0, 9, 800), 9)])
    data, values = ContextQuantizer(2).encode_and_decode(table)
    assert data[0] == 1 | 2 | CHOSEN
    np.testing.assert_array_equal(ContextQuantizer(2).decode(data, table.shape), values)
    np.testing.assert_array_equal(values[:, 9:], table[:, 9:])


def test_images_have_none(rng):
    places = rng.uniform(2, 10, (60, 2, 1, 1))
    across, down = np.meshgrid(np.arange(12), np.arange(12))
    images = np.exp(-((across - places[:, 0]) ** 2 + (down - places[:, 1]) ** 2) / 6).reshape(60, -1)
    assert not ContextQuantizer(1).encode(images)[0] & CHOSEN


def test_corrupt_choices_are_named(mixed):
    codes = (mixed[:, 2:22].T > 0).astype(np.uint8)
    written = Choices.find(codes, np.ones(20, dtype=bool)).encode(codes, 1)
    for bad, message in (
        (b"", "cut off"),
        (b"\1\0" + written[2:], "between codes 1 and 0"),
        (b"\0\2" + written[2:], "between codes 0 and 2"),
        (written[:2] + packed_masks([np.zeros(20, dtype=bool), np.ones(0, dtype=bool)]), "choices of no columns"),
        (written[:-2], "corrupt|bytes of words"),
    ):
        with pytest.raises(ValueError, match=message):
            decode_choices(bad, codes.shape, 1)


def test_few_bytes_cannot_stand_for_many_codes():
    # A hundred thousand columns that are all chosen, each for itself, and hardly any codes.
    chosen = np.ones(100_000, dtype=bool)
    head = Choices(0, 1, chosen, chosen, ~chosen).to_bytes()
    with pytest.raises(ValueError, match="too few for"):
        decode_choices(head + bytes(64), (100_000, 1 << 10), 1)


def test_what_is_written_of_nearly_constant_choices_is_read_again():
    # A hundred thousand points in about as few bytes as a decoder takes.
    n_points = 1 << 17
    table = np.zeros((n_points, 16))
    for category in range(4):
        rng = np.random.default_rng(category)
        cuts = np.sort(rng.permutation(n_points)[:59])
        values = np.repeat(np.cumsum(rng.integers(1, 5, 60)) % 5, np.diff(np.concatenate([[0], cuts, [n_points]])))
        table[:, 4 * category : 4 * category + 4] = np.eye(5)[values][:, 1:]
    data = ContextQuantizer(1).encode(table)
    np.testing.assert_array_equal(ContextQuantizer(1).decode(data, table.shape), table)


def test_a_code_beyond_a_choice_is_corrupt():
    choices = Choices(0, 1, np.ones(3, dtype=bool), np.array([True, False, False]), np.array([True]))
    assert choices.codes_of([np.array([[0, 1, 2]], np.uint8)], 3).tolist() == np.eye(3, dtype=int).tolist()
    with pytest.raises(ValueError, match="none of its columns"):
        choices.codes_of([np.array([[0, 1, 3]], np.uint8)], 3)


# --- averages of one-hot columns ---


def test_groups_are_the_shortest_that_sum_to_one(rng):
    shares = rng.dirichlet(np.ones(4), 50)
    table = np.column_stack([rng.uniform(0, 1, 50), shares, shares[:, :2], rng.normal(size=50)])
    assert one_hot_groups(table) == [slice(1, 5)]
    assert one_hot_groups(table[:, :4]) == one_hot_groups(table + 1e-3) == []
    assert one_hot_groups(np.ones((5, 3))) == one_hot_groups(np.zeros((5, 3))) == []
    assert (
        one_hot_groups(np.array([[0.2, 0.5, 0.3], [0.2, 0.1, 0.7]]))
        == one_hot_groups(np.ones((1, 3)) / 3)
        == [slice(0, 3)]
    )
    assert one_hot_groups(one_hot(np.arange(900) % 300, 300)) == [slice(0, 300)]


def test_a_value_that_the_first_rows_lack_belongs_to_its_group():
    table = np.zeros((5000, 3))
    table[:, 0], table[4999] = 1, [0, 0, 1]
    assert one_hot_groups(table) == [slice(0, 3)]
    np.testing.assert_array_equal(as_one_hot(table), table)


@given(st.integers(1, 200), st.lists(st.integers(2, 9), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_rounded_columns_keep_their_sums(n_points, widths, seed):
    rng = np.random.default_rng(seed)
    shares = [rng.dirichlet(np.full(width, 0.4), n_points) for width in widths]
    table = np.column_stack([5 * rng.normal(size=(n_points, 2)), *shares])
    rounded = as_one_hot(table)
    np.testing.assert_array_equal(rounded[:, :2], table[:, :2])
    bounds = np.cumsum([2, *widths])
    for start, stop in itertools.pairwise(bounds):
        if slice(start, stop) in one_hot_groups(table):
            assert set(np.unique(rounded[:, start:stop])) <= {0.0, 1.0}
            assert (rounded[:, start:stop].sum(axis=1) == 1).all()
            # What a column misses is more than -1, since the largest of its group is positive when it is chosen, and
            # all of a group sum to nothing.
            missed = (table - rounded)[:, start:stop].sum(axis=0)
            assert missed.min() > -1
            assert missed.max() < stop - start


def test_rows_are_left_as_they_are(mixed):
    np.testing.assert_array_equal(as_one_hot(mixed), mixed)
    for bits in (1, 3, 6):
        codec = ContextQuantizer(bits, one_hot=True)
        assert codec.encode(mixed) == ContextQuantizer(bits).encode(mixed)
        once = codec.encode_and_decode(mixed)[1]
        np.testing.assert_array_equal(once[:, 2:22], mixed[:, 2:22])


def test_points_of_a_summary_become_like_rows(mixed):
    labels = np.arange(300) % 3
    summary = RobustCoreset(60, random_state=0).fit(mixed, labels).coreset_
    received = decode(encode(summary, ContextQuantizer(2, one_hot=True)))
    for group in (slice(2, 22), slice(23, 26), slice(26, 28)):
        assert set(np.unique(received.points[:, group])) == {0.0, 1.0}
        assert (received.points[:, group].sum(axis=1) == 1).all()
    assert received.total_weight == pytest.approx(300)


def test_the_codec_says_what_it_does():
    codec = ContextQuantizer(3, one_hot=True)
    assert repr(codec) == "ContextQuantizer(bits=3, scope='column', one_hot=True)"
    assert repr(ContextQuantizer(3)) == "ContextQuantizer(bits=3, scope='column')"
    assert codec.get_config() == {"id": "context", "bits": 3, "scope": "column", "one_hot": True}
    assert get_quantizer(codec.get_config()) == quantizer_from_wire(codec.wire_id, codec.config_bytes()) == codec
    with pytest.raises(TypeError, match="one_hot=1"):
        ContextQuantizer(3, one_hot=1)
    with pytest.raises(ValueError, match="scope 4"):
        ContextQuantizer.from_config_bytes(b"\3\4")


def test_planners_try_it_on_tables_with_one_hot_columns_alone(mixed):
    assert has_one_hot_columns(mixed)
    assert not has_one_hot_columns(mixed[:, :21])
    assert sum(getattr(codec, "one_hot", False) for codec in default_quantizers(one_hot=True)) == 8
    fitted = BudgetedCoreset(400, random_state=0).fit(mixed, np.arange(300) % 2)
    assert any(getattr(codec, "one_hot", False) for codec in fitted.plan_.table["quantizer"])
    plain = BudgetedCoreset(400, random_state=0).fit(mixed[:, :2], np.arange(300) % 2)
    assert not any(getattr(codec, "one_hot", False) for codec in plain.plan_.table["quantizer"])


def test_compositions_are_no_one_hot_columns(rng):
    assert not has_one_hot_columns(rng.dirichlet(np.ones(5), 400))


def test_merged_coresets_are_rounded_alike(mixed):
    parts = [RobustCoreset(20, random_state=seed).fit(mixed[seed::2]).coreset_ for seed in range(2)]
    merged = Coreset.merge(*parts)
    assert decode(encode(merged, ContextQuantizer(2, one_hot=True))).total_weight == pytest.approx(300)
