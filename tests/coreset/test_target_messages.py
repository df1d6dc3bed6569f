"""Messages, budgets and shards with a numeric target."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.datasets import make_friedman1
from sklearn.linear_model import LinearRegression

from coreset import (
    BudgetedCoreset,
    Coreset,
    DistributedCoreset,
    RobustCoreset,
    RoundingQuantizer,
    UniformCoreset,
    UniformQuantizer,
    decode,
    default_quantizers,
    encode,
    encoded_size,
    inspect,
    max_encoded_size,
    plan_budget,
)
from coreset.clustering import cluster
from coreset.nearest import clustering_cost
from coreset.protocol import Coordinator, Worker, WorkerSettings
from coreset.wire import merge_within, seal, varint

FIXTURES = Path(__file__).parent / "messages"
LOSSLESS = RoundingQuantizer(52)
CODECS = [UniformQuantizer(4), UniformQuantizer(2, "table"), RoundingQuantizer(3), RoundingQuantizer(3, "paper")]


def numeric_coreset(rng: np.random.Generator, n_points: int = 12, **fields: object) -> Coreset:
    return Coreset(
        rng.normal(size=(n_points, 3)),
        rng.uniform(1, 50, n_points),
        labels=1000 * rng.normal(size=n_points),
        target_type="numeric",
        **{"offset": 12.5, "n_source": 300, "label_scale": 0.0007, **fields},  # type: ignore[arg-type]
    )


def regression(n: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_friedman1(n, n_features=6, noise=1.0, random_state=0)
    return X, 100 * y + 5000


def test_what_travels_survives(rng):
    original = numeric_coreset(rng, feature_names=("a", "b", "c"), max_displacement=1.0, total_displacement=20.0)
    message = encode(original, LOSSLESS)
    received = decode(message)
    np.testing.assert_array_equal(received.points, original.points)  # in their order
    np.testing.assert_array_equal(received.labels, original.labels)
    assert (received.target_type, received.feature_names, received.n_source) == ("numeric", ("a", "b", "c"), 300)
    assert received.label_scale == 2.0**-11  # the largest power of two up to 0.0007
    assert inspect(message)[0]["target_type"] == "numeric"
    assert inspect(message)[0]["n_features"] == 3


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1.0, 3e-5, 1e300])
def test_scales_of_all_sizes_travel(rng, scale):
    original = Coreset(
        rng.normal(size=(4, 2)),
        np.ones(4),
        labels=np.array([0.5, -1, 2, 3]) / max(scale, 1e-300),
        target_type="numeric",
        label_scale=scale,
    )
    received = decode(encode(original, LOSSLESS))
    assert scale / 2 < received.label_scale <= scale
    if scale > 1e-300:
        np.testing.assert_array_equal(received.labels, original.labels)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 5), st.sampled_from([*default_quantizers(), *CODECS]), st.booleans())
def test_size_is_exact_and_bounded(n_points, n_features, quantizer, named):
    rng = np.random.default_rng(n_points)
    names = tuple("abcde"[:n_features]) if named else None
    coreset = Coreset(
        rng.normal(size=(n_points, n_features)),
        rng.uniform(1, 9, n_points),
        labels=rng.normal(size=n_points),
        target_type="numeric",
        feature_names=names,
    )
    message = encode(coreset, quantizer)
    bound = max_encoded_size((n_points, n_features), quantizer, numeric_target=True, feature_names=names)
    assert len(message) == encoded_size(coreset, quantizer) <= bound
    received = decode(message)
    assert received.total_weight == pytest.approx(coreset.total_weight)
    assert merge_within([received, received], 2 * received.nbytes).nbytes == 2 * received.nbytes
    with pytest.raises(ValueError, match=f"the merged messages take {2 * received.nbytes} bytes"):
        merge_within([received, received], 2 * received.nbytes - 1)


def test_a_target_costs_one_more_column(rng):
    coreset = numeric_coreset(rng, 100)
    plain = Coreset(coreset.points, coreset.weights, n_source=300)
    codec = UniformQuantizer(8)
    assert encoded_size(coreset, codec) - encoded_size(plain, codec) == 100 + 8 + 2  # codes, a range, an exponent
    with pytest.raises(ValueError, match="a message has one kind of labels"):
        max_encoded_size((2, 2), codec, classes=[0, 1], numeric_target=True)


@pytest.mark.parametrize("quantizer", [UniformQuantizer(2), UniformQuantizer(3, "table"), RoundingQuantizer(2)])
def test_the_offset_is_that_of_the_features_after_coarse_rounding(quantizer):
    X, y = regression()
    ratios = []
    for seed in range(5):
        received = decode(encode(RobustCoreset(100, random_state=seed).fit(X, y).coreset_, quantizer))
        centers = cluster(received.points, received.weights, 5, np.random.default_rng(seed)).centers
        ratios.append(received.cost(centers) / clustering_cost(X, centers))
    # The target's own error, of the order of 100 squared a row, would drown the cost of a table in the unit cube. Two
    # bits by themselves make a ratio of 1.12 with a standard deviation of 0.02 (12 seeds), with or without a target.
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)


def test_the_certificate_still_bounds_after_rounding(rng):
    X, y = regression(500)
    received = decode(encode(RobustCoreset(40, random_state=0).fit(X, y).coreset_, UniformQuantizer(3)))
    for _ in range(20):
        slope = 100 * rng.normal(size=6)
        rows, points = np.abs(y - 5000 - X @ slope), np.abs(received.labels - 5000 - received.points @ slope)
        lipschitz = float(np.sqrt(slope @ slope + received.label_scale**-2))
        assert abs(rows.sum() - received.weights @ points) <= received.error_bound(lipschitz)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("v1-numeric-*.cset")), ids=lambda path: path.stem)
def test_stored_messages_have_their_target(path):
    received = decode(path.read_bytes())
    assert (received.target_type, received.label_scale) == ("numeric", 0.125)


def test_there_are_stored_messages():
    assert len(list(FIXTURES.glob("v1-numeric-*.cset"))) >= 3


def test_every_flipped_bit_and_every_truncation_is_noticed(rng):
    message = encode(numeric_coreset(rng), UniformQuantizer(4))
    for position in range(len(message)):
        with pytest.raises(ValueError, match="message"):
            decode(message[:position])
        broken = bytearray(message)
        broken[position] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"message|truncated"):
            decode(bytes(broken))


def body_of(message: bytes) -> bytes:
    return message[5 + (2 if message[5] & 128 else 1) : -4]


def message_of(body: bytes) -> bytes:
    return seal(b"CSET\x01" + varint(len(body)) + body)


@pytest.mark.parametrize("quantizer", CODECS)
def test_malice_with_a_mended_checksum_is_an_error_or_a_valid_coreset(rng, quantizer):
    body = body_of(encode(numeric_coreset(rng, feature_names=("a", "b", "c")), quantizer))
    for _ in range(1000):
        mutated = bytearray(body)
        for _ in range(rng.integers(1, 4)):
            mutated[rng.integers(len(mutated))] = rng.integers(256)
        if rng.random() < 0.2:
            del mutated[rng.integers(len(mutated)) :]
        try:
            received = decode(message_of(bytes(mutated)), max_output_bytes=1 << 20)
        except ValueError:
            continue
        assert received.nbytes <= 1 << 20
        assert np.isfinite(received.points).all()
        assert received.labels is None or received.labels.dtype.kind in "biU" or np.isfinite(received.labels).all()


def hostile_body(n_points: int, flags: int = 4, exponent: int = 0, value: float = 0.0) -> bytes:
    """Two constant columns, one of them the target: points that take no bytes."""
    points = b"\0\0" + struct.pack("<2f", value, value)
    return b"".join(
        [
            bytes([flags, 0]),
            varint(10) + varint(n_points) + varint(1),
            struct.pack("<ddff", 10.0, 0.0, 0.0, 0.0),
            b"\x01\x00",
            struct.pack("<h", exponent),
            bytes([2, 8, 0]),
            varint(len(points)) + points,
        ]
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (hostile_body(1, flags=5), "flags 5 say that it has labels and a numeric target"),
        (hostile_body(1, flags=7), "flags 7"),
        (hostile_body(1, flags=64), "flags 64"),
        (hostile_body(1, exponent=1024), "the exponent of its target is 1024"),
        (hostile_body(1, exponent=-1075), "the exponent of its target is -1075"),
        (hostile_body(1, exponent=-1070, value=1.0), "labels contains NaN or infinity"),
        (hostile_body(1 << 30), "decoding takes 25769803776 bytes"),
        (hostile_body(1)[:-9], "truncated"),
    ],
)
def test_corruption_is_named(body, error):
    with pytest.raises(ValueError, match=error):
        decode(message_of(body))
    assert len(decode(message_of(hostile_body(1000)), max_output_bytes=24_000)) == 1000
    with pytest.raises(ValueError, match="decoding takes 24000 bytes"):
        decode(message_of(hostile_body(1000)), max_output_bytes=23_999)


def test_targets_that_overflow_in_their_units_are_refused():
    coreset = Coreset([[0.0]], [1], labels=[1e300], target_type="numeric", label_scale=1e30)
    with pytest.raises(ValueError, match=r"labels up to 1e\+300 overflow with label_scale=1e\+30"):
        encode(coreset, LOSSLESS)
    with pytest.raises(ValueError, match="squared distances overflow"):
        encode(Coreset([[0.0]] * 2, [1, 1], labels=[1e200, 0], target_type="numeric"), LOSSLESS)


@settings(max_examples=20)
@given(
    st.integers(1, 80),
    st.integers(1, 5),
    st.integers(1, 2000),
    st.sampled_from([RobustCoreset(), UniformCoreset(), RobustCoreset(target_type="numeric", label_scale=3.0)]),
    st.sampled_from([None, UniformQuantizer(3), RoundingQuantizer(4)]),
)
def test_no_message_exceeds_its_budget_and_the_least_budget_is_true(n_rows, n_features, budget, base, quantizer):
    rng = np.random.default_rng(n_rows)
    X, y = rng.normal(size=(n_rows, n_features)), rng.normal(size=n_rows)
    weights = rng.uniform(0.1, 5, n_rows)
    estimator = BudgetedCoreset(budget, base=base, quantizer=quantizer, random_state=0)
    try:
        estimator.fit(X, y, weights)
    except ValueError as error:
        least = int(str(error).split("takes ")[1].split()[0])
        assert least > budget
        estimator.set_params(budget_bytes=least).fit(X, y, weights)
        budget = least
    assert len(estimator.message_) <= budget
    assert estimator.coreset_.target_type == "numeric"
    assert estimator.coreset_.total_weight == pytest.approx(weights.sum(), rel=1e-12)


def test_a_regression_within_two_kilobytes():
    X, y = regression()
    fitted = BudgetedCoreset(2048, random_state=0).fit(X, y)
    # Rows in float32 would be 73 of 28 bytes, on which R2 falls by some 7 / 73 of the unexplained share.
    model = fitted.coreset_.train(LinearRegression())
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) - 0.02
    # One point more would take a few bytes a column.
    assert 2048 - 6 * 4 <= len(fitted.message_) <= 2048


def test_the_plan_measures_distances_with_a_target_that_counts_as_a_column():
    X, y = regression(60)
    codec = UniformQuantizer(6)
    plan = plan_budget(X, 200, y=y, quantizers=[codec], random_state=0)
    received = BudgetedCoreset(200, quantizer=codec, random_state=0).fit(X, y).coreset_
    scale = np.sqrt(X.var(axis=0).mean() / y.var())
    own = np.column_stack([X, scale * y])
    squared = 0.0
    for cloud in (received, received.scatter(16)):
        there = np.column_stack([cloud.points, scale * cloud.labels])
        masses = cloud.weights / cloud.weights.sum()
        within = masses @ cdist(there, there) @ masses
        squared += (2 * cdist(own, there).mean(axis=0) @ masses - cdist(own, own).mean() - within) / 2
    assert plan.table["error"].item() == pytest.approx(np.sqrt(squared), rel=1e-2)  # weights are sent coarsely


def test_a_base_decides_what_the_target_is():
    X, y = regression(200)
    counts = np.round(y / 500).astype(int)
    assert BudgetedCoreset(600, random_state=0).fit(X, counts).coreset_.target_type == "class"
    numeric = BudgetedCoreset(600, base=RobustCoreset(target_type="numeric"), random_state=0).fit(X, counts)
    assert numeric.coreset_.target_type == "numeric"
    with pytest.raises(ValueError, match="y is continuous, but target_type='class'"):
        BudgetedCoreset(600, base=UniformCoreset(target_type="class")).fit(X, y)


class ClassesOnly(BaseEstimator):
    """A base from elsewhere, which knows nothing of targets."""

    def __init__(self, n_points: int = 1, random_state: int | None = None) -> None:
        self.n_points = n_points
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        self.coreset_ = Coreset(X[:1], [len(X)], labels=None if y is None else y[:1])
        return self


def test_a_base_that_makes_classes_of_numbers_is_refused():
    X, y = regression(50)
    with pytest.raises(TypeError, match=r"base=ClassesOnly\(\) makes a class target of a numeric one"):
        BudgetedCoreset(500, base=ClassesOnly()).fit(X, y)
    assert len(BudgetedCoreset(500, base=ClassesOnly()).fit(X).coreset_) == 1


def test_the_least_budget_is_named():
    X, y = regression(50)
    with pytest.raises(ValueError, match=r"one point of 6 features and a target, takes \d+ bytes"):
        BudgetedCoreset(30).fit(X, y)


def local(budget: int, **parameters: object) -> DistributedCoreset:
    return DistributedCoreset(budget, backend="local", progress=False, random_state=0, **parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [900, 6000])  # without and with statistics
def test_shards_agree_on_numbers_although_one_looks_like_classes(budget):
    X, y = regression(900)
    shards, targets = np.split(X, 3), np.split(y, 3)
    targets[1] = np.round(targets[1])
    fitted = local(budget).fit(shards, targets)
    assert fitted.coreset_.target_type == "numeric"
    assert fitted.ledger_.loc[fitted.ledger_["direction"] == "up", "bytes"].sum() <= budget
    assert fitted.coreset_.total_weight == pytest.approx(900)
    scales = [decode(message).label_scale for message in fitted.messages_]
    assert fitted.coreset_.label_scale == min(scales)
    best = LinearRegression().fit(X, y).score(X, y)
    assert fitted.coreset_.train(LinearRegression()).score(X, y) > best - 0.02  # a codec that spoils targets has R2 < 0
    frames = [
        pd.DataFrame(part).rename(columns=str).assign(y=target) for part, target in zip(shards, targets, strict=True)
    ]
    by_column = local(budget, label_column="y").fit(frames)
    assert by_column.coreset_.target_type == "numeric"
    whole = local(budget, base=RobustCoreset(target_type="numeric", label_scale=0.01)).fit(
        shards, [t.round() for t in targets]
    )
    assert (whole.coreset_.target_type, whole.coreset_.label_scale) == ("numeric", 2.0**-7)
    assert local(budget * 8).fit(shards, [np.round(t / 1000) for t in targets]).coreset_.target_type == "class"


def test_workers_that_see_only_their_own_shard_and_disagree_are_named():
    # Behind ObjectRefs nobody sees all targets.
    X, y = regression(400)
    settings = WorkerSettings(base=None, planner="empirical", entropy=5)
    numeric, classes = (
        Worker(0, X[:200], y[:200], None, settings),
        Worker(1, X[200:], y[200:].round(-3), None, settings),
    )
    with pytest.raises(ValueError, match="shard 0 has a numeric target, shard 1 has none: set target_type of base"):
        Coordinator(2, 9000).allocate([numeric.statistics(), classes.statistics()])
    coordinator = Coordinator(2, 1000)
    messages = [w.summarise(a) for w, a in zip((numeric, classes), coordinator.allocate(None), strict=True)]
    with pytest.raises(ValueError, match="shard 1 has a class target, shard 0 a numeric one: set target_type of base"):
        coordinator.merge(messages)
