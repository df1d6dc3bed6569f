"""Accounts of messages: worked by hand, and the field that tells what the source takes after zstd."""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
import pytest

from coreset import (
    BudgetedCoreset,
    ContextQuantizer,
    Coreset,
    DistributedCoreset,
    RobustCoreset,
    RoundingQuantizer,
    UniformQuantizer,
    accounting,
    decode,
    encode,
    encoded_size,
    max_encoded_size,
)
from coreset.raw import ZSTD_SAMPLE_BYTES, raw_bytes, zstd_bytes

CODEC = UniformQuantizer(4)


def has_zstd() -> bool:
    return zstd_bytes(np.zeros((1, 1)), np.dtype(np.float64)) is not None


needs_zstd = pytest.mark.skipif(not has_zstd(), reason="there is no zstd here")


def message_of(codec=CODEC, **fields: object) -> bytes:
    points = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 7.0]])
    return encode(Coreset(points, [50, 50], n_source=100, source_dtype=np.float32, **fields), codec)


def test_the_published_count_is_points_times_bits_times_features():
    assert accounting(message_of()).published_bits == 2 * 4 * 3
    assert accounting(message_of(RoundingQuantizer(2, "paper"))).published_bits == 2 * 14 * 3
    assert accounting(message_of(RoundingQuantizer(2))).published_bits == 2 * 14 * 3
    numeric = message_of(labels=[0.5, 1.5], target_type="numeric")
    assert accounting(numeric).published_bits == 2 * 4 * 4
    squeezed = accounting(message_of(ContextQuantizer(2)))
    assert squeezed.published_bits == 2 * 2 * 3
    unknown = dataclasses.replace(squeezed, published_bits=None)
    assert "no nominal width" in str(unknown)


def test_parts_are_all_of_the_message():
    message = message_of(labels=["a", "bb"], feature_names=("x", "y", "z"))
    parts = accounting(message).parts
    assert sum(parts.values()) == len(message)
    # Kind, number of classes, two blocks of a name, two counts, and the length of all that; three blocks of a letter.
    assert (parts["labels"], parts["names"], parts["weights"]) == (1 + 1 + (2 + 3) + 2 + 1, 1 + 6, 2)
    assert set(parts) == {"header", "weights", "labels", "names", "points"}
    assert set(accounting(message_of()).parts) == {"header", "weights", "points"}


def test_raw_bytes_are_those_of_the_sources_own_type():
    counted = accounting(message_of())
    assert counted.raw_bytes == 100 * 3 * 4
    assert counted.raw_ratio == counted.message_bytes / 1200
    assert accounting(message_of(labels=["a" * 500, "b"])).raw_bytes == 100 * (3 * 4 + 1)
    numeric = accounting(message_of(labels=[0.5, 1.5], target_type="numeric"))
    assert (numeric.raw_bytes, numeric.raw_target) == (100 * 4 * 4, "a numeric target as 4 bytes")
    assert raw_bytes(10, 2, np.dtype(np.uint8), "numeric") == 10 * (2 + 8)
    assert raw_bytes(10, 2, np.dtype(np.uint8), "class", 257) == 10 * (2 + 2)


def test_a_summary_of_no_row_has_no_ratio():
    counted = accounting(encode(Coreset([[1.0]], [1], n_source=0, source_zstd_bytes=0), CODEC))
    assert counted.to_dict()["raw_ratio"] is None
    assert counted.to_dict()["zstd_ratio"] is None
    assert "no ratio" in str(counted)


def test_the_size_after_zstd_travels_and_is_summed():
    known, unknown = message_of(source_zstd_bytes=300), message_of()
    assert len(known) == len(unknown) + 2
    assert decode(known).source_zstd_bytes == 300
    assert decode(known + known).source_zstd_bytes == 600
    assert decode(known + unknown).source_zstd_bytes is None
    counted = accounting(known + known)
    assert (counted.source_zstd_bytes, counted.zstd_ratio) == (600, 2 * len(known) / 600)
    assert [one.source_zstd_bytes for one in counted.messages] == [300, 300]
    assert accounting(known + unknown).source_zstd_bytes is None


def test_the_sizes_of_messages_count_the_field():
    coreset = decode(message_of(source_zstd_bytes=2**40))
    assert len(encode(coreset, CODEC)) == encoded_size(coreset, CODEC)
    bounds = [max_encoded_size((2, 3), CODEC, source_zstd_bytes=size) for size in (None, 0, 2**40)]
    assert [bound - bounds[0] for bound in bounds] == [0, 1, 6]


@pytest.mark.parametrize(("bad", "error"), [(-1, ValueError), (2**63, ValueError), (1.5, TypeError), (True, TypeError)])
def test_bad_sizes_are_named(bad, error):
    with pytest.raises(error, match="source_zstd_bytes"):
        Coreset([[0.0]], [1], source_zstd_bytes=bad)


def test_summaries_of_the_summary_and_its_scatter_keep_the_size(rng):
    summary = Coreset(rng.normal(size=(30, 2)), np.ones(30), offset=5.0, source_zstd_bytes=77)
    assert RobustCoreset(5, random_state=0).reduce(summary).source_zstd_bytes == 77
    assert summary.scatter(2).source_zstd_bytes == 77


def test_everything_is_shown_together_and_fits_json():
    whole = accounting(message_of(source_zstd_bytes=900) * 2)
    for said in ("48 bits", "raw data, zstd", "1,800 bytes", "2,400 bytes in their own type (no target)", "header"):
        assert said in str(whole)
    stored = json.loads(json.dumps(whole.to_dict()))
    assert stored["message_bytes"] == sum(one["message_bytes"] for one in stored["messages"])
    assert stored["quantizers"] == [{"id": "uniform", "bits": 4, "scope": "column"}]


@needs_zstd
def test_budgets_measure_the_source(rng):
    X = rng.integers(0, 4, size=(2000, 6)).astype(np.uint8)
    y = np.resize(["red", "blue"], 2000)
    budgeted = BudgetedCoreset(2048, quantizer=CODEC, random_state=0).fit(X, y)
    # Two bits of each byte are random, and the labels repeat.
    assert 12_000 / 4 <= budgeted.coreset_.source_zstd_bytes <= 1.4 * 12_000 / 4
    assert len(budgeted.message_) <= 2048
    assert BudgetedCoreset(1023, quantizer=CODEC, random_state=0).fit(X, y).coreset_.source_zstd_bytes is None


@needs_zstd
def test_shards_measure_theirs(rng):
    shards = [rng.normal(size=(400, 3)).astype(np.float32) for _ in range(2)]
    run = DistributedCoreset(4096, backend="local", progress=False, random_state=0).fit(shards)
    alone = [zstd_bytes(shard, shard.dtype) for shard in shards]
    assert run.coreset_.source_zstd_bytes == sum(alone)


@needs_zstd
def test_the_field_never_makes_a_budget_too_small(rng):
    X = rng.normal(size=(4, 900))
    with pytest.raises(ValueError, match="too small") as error:
        BudgetedCoreset(1, quantizer=CODEC, random_state=0).fit(X)
    least = int(str(error.value).split("takes ")[1].split()[0])
    assert least >= 1024  # so that the field is wanted
    for budget in range(least, least + 8):
        assert len(BudgetedCoreset(budget, quantizer=CODEC, random_state=0).fit(X).message_) <= budget


@needs_zstd
def test_large_tables_are_measured_on_a_part(rng):
    digits = rng.integers(0, 10, size=(2_000_000, 8)).astype(np.float64)  # 128 MB, which look alike everywhere
    part = zstd_bytes(digits[: ZSTD_SAMPLE_BYTES // 64], digits.dtype)
    whole = zstd_bytes(digits, digits.dtype)
    assert whole == pytest.approx(part * len(digits) / (ZSTD_SAMPLE_BYTES // 64), rel=0.05)
    halves = np.concatenate([np.zeros((1 << 18, 8)), rng.random((1 << 18, 8))])  # a part must see both
    assert zstd_bytes(halves, halves.dtype) == pytest.approx(halves.nbytes / 2, rel=0.1)
    assert zstd_bytes(np.zeros((1, 1 << 21)), np.dtype(np.float64)) < 2000  # a row beyond the part


def test_without_zstd_everything_else_works(rng, monkeypatch):
    for name in ("zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    budgeted = BudgetedCoreset(2048, quantizer=CODEC, random_state=0).fit(rng.normal(size=(100, 3)))
    assert budgeted.coreset_.source_zstd_bytes is None
    assert "unknown" in str(accounting(budgeted.message_))


def test_messages_without_the_field_keep_their_bytes():
    known, unknown = (decode(message_of(source_zstd_bytes=size)) for size in (300, None))
    assert encode(dataclasses.replace(known, source_zstd_bytes=None), CODEC) == encode(unknown, CODEC)
