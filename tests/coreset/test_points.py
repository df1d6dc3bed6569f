"""The value that flows: costs by hand, merging, validation, training."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from coreset import Coreset


def random_coreset(rng: np.random.Generator, n_points: int = 5, n_features: int = 3, **fields: object) -> Coreset:
    return Coreset(rng.normal(size=(n_points, n_features)), rng.uniform(0.5, 3, n_points), **fields)


def test_cost_of_two_pairs_by_hand():
    # Rows -1, 1, 9 and 11: two cells whose rows lie at distance 1 from their point.
    summary = Coreset([[0.0], [10.0]], weights=[2, 2], offset=4.0)
    rows = np.array([-1.0, 1.0, 9.0, 11.0])
    for center in (0.0, 5.0, 12.0):
        assert summary.cost([[center]]) == pytest.approx(((rows - center) ** 2).sum())
    assert summary.cost([[0.0], [10.0]], power=1) == pytest.approx(4.0)  # every row is at distance 1
    assert summary.cost([[0.0], [10.0]], power=2) == pytest.approx(4.0)


def test_spread_of_each_cell_counts_in_the_k_median_cost():
    summary = Coreset([[0.0], [10.0]], weights=[1, 1], offset=9.0, spread=[0.0, 3.0])
    assert summary.cost([[0.0], [14.0]], power=1) == pytest.approx(0.0 + 5.0)  # sqrt(4^2 + 3^2)


def test_arrays_are_read_only_copies():
    points = np.zeros((2, 2))
    summary = Coreset(points, weights=[1, 1])
    points[0, 0] = 7
    assert summary.points[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        summary.points[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.offset = 1.0  # type: ignore[misc]


def test_fields_have_one_type_however_they_are_given():
    summary = Coreset(
        [[1, 2], [3, 4], [5, 6]],
        weights=[1, 1, 1],
        offset=7,
        spread=[1, 2, 3],
        sample_indices=np.array([4, 0, 2], dtype=np.int16),
        feature_names=[8, "b"],
        source_dtype="float32",
        source_zstd_bytes=np.int16(9),
    )
    kinds = {name: getattr(summary, name).dtype for name in ("points", "weights", "spread", "sample_indices")}
    assert kinds == {"points": "f8", "weights": "f8", "spread": "f8", "sample_indices": "i8"}
    assert not summary.sample_indices.flags.writeable
    assert (type(summary.offset), summary.offset) == (float, 7.0)
    assert (type(summary.source_zstd_bytes), summary.source_zstd_bytes) == (int, 9)
    assert summary.feature_names == ("8", "b")
    assert isinstance(summary.source_dtype, np.dtype)
    assert summary.n_source == 3


def test_cost_takes_numbers_of_any_type():
    summary = Coreset([[0.1], [3.0]], weights=[1, 2])
    expected = summary.cost([[1.0]])
    for kind in (np.uint8, np.float16, object):
        assert summary.cost(np.array([[1]], dtype=kind)) == expected


@pytest.mark.parametrize("mass", [0.25, 1.0, 40.0])
def test_one_spread_serves_all_points_when_none_is_given(mass):
    # Half of the mass each; at its own points a k-median cost is the mass times the spread, sqrt(offset / mass).
    summary = Coreset([[0.0], [100.0]], weights=[mass / 2, mass / 2], offset=4 * mass)
    assert summary.cost([[0.0], [100.0]], power=1) == pytest.approx(2 * mass, rel=1e-15)


def test_without_mass_nothing_costs_and_nothing_is_wide():
    empty = Coreset([[0.0], [5.0]], weights=[0, 0], offset=0.0)
    assert empty.cost([[3.0]], power=1) == 0.0
    assert empty.scatter(2).points.ravel().tolist() == [0.0, 5.0, 0.0, 5.0]


def test_merge_adds_costs_masses_and_certificates(rng):
    one = random_coreset(rng, offset=2.0, max_displacement=1.0, total_displacement=3.0, n_source=10)
    two = random_coreset(rng, offset=5.0, max_displacement=4.0, total_displacement=5.0, n_source=20)
    merged = Coreset.merge(one, two)
    centers = rng.normal(size=(2, 3))
    for power in (1, 2):
        together = one.cost(centers, power=power) + two.cost(centers, power=power)
        assert merged.cost(centers, power=power) == pytest.approx(together, rel=1e-12)
    assert (merged.max_displacement, merged.total_displacement, merged.n_source) == (4.0, 8.0, 30)


@given(st.permutations(range(4)))
def test_merge_is_commutative_and_associative(order):
    rng = np.random.default_rng(1)
    parts = [random_coreset(rng, offset=float(i)) for i in range(4)]
    centers = rng.normal(size=(3, 3))
    expected = Coreset.merge(*parts)
    a, b, c, d = (parts[i] for i in order)
    for merged in (Coreset.merge(a, b, c, d), Coreset.merge(Coreset.merge(a, b), Coreset.merge(c, d))):
        for power in (1, 2):
            assert merged.cost(centers, power=power) == pytest.approx(expected.cost(centers, power=power), rel=1e-12)
        assert merged.total_weight == pytest.approx(expected.total_weight, rel=1e-15)


def test_merge_keeps_names_and_refuses_what_does_not_fit(rng):
    named = random_coreset(rng, feature_names=("a", "b", "c"))
    assert Coreset.merge(random_coreset(rng), named).feature_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="column 1 is 'b' and 'x'"):
        Coreset.merge(named, random_coreset(rng, feature_names=("a", "x", "c")))
    with pytest.raises(ValueError, match="coreset 1 has 2 features, coreset 0"):
        Coreset.merge(named, random_coreset(rng, n_features=2))
    with pytest.raises(ValueError, match="disagree on having labels"):
        Coreset.merge(named, random_coreset(rng, labels=[0, 1, 0, 1, 0]))
    for one, other in ((["a"], [1]), ([True], [1]), ([0.5], [1])):
        with pytest.raises(ValueError, match="labels disagree: some are"):
            Coreset.merge(random_coreset(rng, labels=one * 5), random_coreset(rng, labels=other * 5))
    unsigned = random_coreset(rng, labels=np.full(5, 2**60 + 1, dtype=np.uint64))
    assert Coreset.merge(unsigned, random_coreset(rng, labels=[-7] * 5)).labels[4] == 2**60 + 1
    unsigned = random_coreset(rng, labels=np.full(5, 2**63 + 1, dtype=np.uint64))
    with pytest.raises(ValueError, match="int64 and uint64 cannot be merged"):
        Coreset.merge(unsigned, random_coreset(rng, labels=[-7] * 5))
    with pytest.raises(ValueError, match="at least one coreset"):
        Coreset.merge()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": np.zeros((0, 2)), "weights": []}, r"points has shape \(0, 2\)"),
        ({"points": np.zeros(3)}, r"points has shape \(3,\)"),
        ({"points": [[np.nan, 0]] * 3}, "^points contains NaN or infinity$"),
        ({"weights": [1, 2]}, r"weights has shape \(2,\), expected \(3,\)"),
        ({"weights": [1, -1, 1]}, "weights must be finite and not negative"),
        ({"weights": [1, np.inf, 1]}, "weights must be finite"),
        ({"labels": [1, 2]}, r"labels has shape \(2,\), expected \(3,\)"),
        ({"spread": [1, 2]}, r"^spread has shape \(2,\), expected \(3,\) to match points$"),
        ({"sample_indices": [0, 1]}, r"^sample_indices has shape \(2,\), expected \(3,\) to match points$"),
        ({"groups": [0], "group_variances": [[1, 1]]}, r"^groups has shape \(1,\), expected \(3,\) to match points$"),
        ({"source_zstd_bytes": -1}, r"^source_zstd_bytes=-1 must be in"),
        ({"offset": np.nan}, "offset=nan must be finite"),
        ({"spread": [1, 2, -3]}, "spread must be finite and not negative"),
        ({"n_source": -5}, "n_source=-5 must be in"),
        ({"n_source": 2**63}, "n_source=9223372036854775808 must be in"),
        ({"max_displacement": -3.0}, "max_displacement=-3.0 must not be negative"),
        ({"feature_names": ("a",)}, "feature_names has 1 names, points has 2 columns"),
    ],
)
def test_bad_fields_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Coreset(**{"points": np.zeros((3, 2)), "weights": np.ones(3), **changes})


def test_labels_of_mixed_types_are_refused():
    with pytest.raises(TypeError, match=r"n_source=2\.7 must be an integer"):
        Coreset(np.zeros((2, 1)), [1, 1], n_source=2.7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"labels must hold only one of .* \['int', 'str'\]"):
        Coreset(np.zeros((2, 1)), [1, 1], labels=np.array([1, "a"], dtype=object))


@pytest.mark.parametrize("centers", [np.zeros((0, 3)), np.zeros((1, 2)), np.zeros((1, 1, 3))])
def test_cost_refuses_centers_of_another_shape(rng, centers):
    with pytest.raises(ValueError, match="centers has shape"):
        random_coreset(rng).cost(centers)


def test_cost_refuses_bad_power_and_values(rng):
    with pytest.raises(ValueError, match="power=3 must be 1"):
        random_coreset(rng).cost(np.zeros((1, 3)), power=3)
    with pytest.raises(ValueError, match=r"^centers contains NaN or infinity$"):
        random_coreset(rng).cost(np.full((1, 3), np.nan))


def test_error_bound_holds_for_lipschitz_costs(rng):
    rows = rng.normal(size=(60, 3))
    cells = np.repeat(np.arange(6), 10)
    points = np.array([rows[cells == cell].mean(axis=0) for cell in range(6)])
    moved = np.linalg.norm(rows - points[cells], axis=1)
    summary = Coreset(points, np.full(6, 10), max_displacement=moved.max(), total_displacement=moved.sum())
    for _ in range(20):
        direction, bias = rng.normal(size=3), rng.normal()

        def hinge(x, direction=direction, bias=bias):
            return np.maximum(0, 1 - x @ direction - bias)  # Lipschitz constant |direction|

        error = abs(hinge(rows).sum() - summary.weights @ hinge(points))
        assert error <= summary.error_bound(float(np.linalg.norm(direction))) * (1 + 1e-12)
    with pytest.raises(ValueError, match="lipschitz=-1"):
        summary.error_bound(-1)
    assert summary.error_bound(0.0) == 0.0  # costs that do not change


def test_to_frame_and_names_that_collide(rng):
    frame = random_coreset(rng, labels=list("abcab"), feature_names=("p", "q", "r")).to_frame()
    assert list(frame.columns) == ["p", "q", "r", "weight", "label"]
    assert list(random_coreset(rng).to_frame().columns) == ["x0", "x1", "x2", "weight"]
    one = Coreset([[1.0, 2.0], [3.0, 4.0]], weights=[5, 6], labels=["u", "v"]).to_frame()
    assert one.to_numpy().tolist() == [[1.0, 2.0, 5.0, "u"], [3.0, 4.0, 6.0, "v"]]
    with pytest.raises(ValueError, match=r"feature_names \['weight'\]"):
        random_coreset(rng, feature_names=("p", "q", "weight")).to_frame()


def test_training_with_weight_three_is_training_on_the_row_three_times(rng):
    X, y = rng.normal(size=(30, 2)), rng.integers(0, 2, 30)
    weights = rng.integers(1, 4, 30)
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10))
    trained = Coreset(X, weights, labels=y).train(model)
    repeated = model.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(trained.decision_function(X), repeated.decision_function(X), atol=1e-5)
    assert trained is not model


def test_training_names_the_step_that_takes_no_weights(rng):
    summary = random_coreset(rng, labels=[0, 1, 0, 1, 0])
    with pytest.raises(TypeError, match=r"KNeighborsClassifier.fit takes no sample_weight"):
        summary.train(KNeighborsClassifier())
    with pytest.raises(TypeError, match="the final step of"):
        summary.train(make_pipeline(StandardScaler(), KNeighborsClassifier()))


def test_labels_of_one_type_in_an_object_array_are_that_type():
    for labels, kind in (([0, 1], "i"), (["a", "b"], "U"), ([True, False], "b"), ([np.int8(1), 2], "i")):
        assert Coreset(np.zeros((2, 1)), [1, 1], labels=np.array(labels, dtype=object)).labels.dtype.kind == kind


def test_integers_that_no_type_holds_are_refused():
    for labels, message in (([2**63, -1], "64 bits cannot hold"), ([2**53 + 1, 0.5], "a float cannot hold")):
        with pytest.raises(ValueError, match=message):
            Coreset(np.zeros((2, 1)), [1, 1], labels=labels)


def test_a_negative_offset_never_makes_a_negative_cost():
    assert Coreset([[0.0]], [1], offset=-5.0).cost([[1.0]]) == 0.0


def test_training_with_features_called_weight_and_label(rng):
    summary = random_coreset(rng, labels=[0, 1, 0, 1, 0], feature_names=("weight", "label", "c"))
    assert list(summary.train(Ridge()).feature_names_in_) == ["weight", "label", "c"]


def test_training_keeps_feature_names(rng):
    summary = random_coreset(rng, labels=[0, 1, 0, 1, 0], feature_names=("a", "b", "c"))
    assert list(summary.train(Ridge()).feature_names_in_) == ["a", "b", "c"]


def test_pickle_and_repr(rng):
    summary = random_coreset(rng, labels=[0, 1, 0, 1, 0], offset=1.5)
    again = pickle.loads(pickle.dumps(summary))
    np.testing.assert_array_equal(again.points, summary.points)
    assert again.offset == 1.5
    mass = f"total weight {summary.total_weight:.6g}, from 5 rows)"
    assert repr(summary) == f"Coreset(5 points x 3 features, 2 classes, {mass}"
    assert repr(dataclasses.replace(summary, labels=None, target_type=None)) == f"Coreset(5 points x 3 features, {mass}"
    numeric = dataclasses.replace(summary, labels=np.arange(5.0), target_type="numeric")
    assert repr(numeric) == f"Coreset(5 points x 3 features, numeric target, {mass}"


def test_copies_and_pickles_stay_read_only():
    one = Coreset([[1.0]], [1.0], labels=[0])
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert not other.weights.flags.writeable
        assert other.points.tolist() == [[1.0]]


def test_merge_takes_coresets_one_by_one():
    with pytest.raises(TypeError, match="argument 0 is a list"):
        Coreset.merge([Coreset([[1.0]], [1.0])])


def test_training_on_points_themselves_is_the_default(rng):
    summary = random_coreset(rng, labels=rng.normal(size=5), target_type="numeric", offset=9.0)
    model = Ridge().fit(summary.points, summary.labels, sample_weight=summary.weights)
    assert summary.train(Ridge()).coef_.tolist() == model.coef_.tolist()
    assert summary.train(Ridge(), copies=2).coef_.tolist() != model.coef_.tolist()
    with pytest.raises(ValueError, match=r"^copies=0 must be 1, for the points themselves, or an even number$"):
        summary.train(Ridge(), copies=0)
    with pytest.raises(TypeError, match="the coreset has a numeric target, but LogisticRegression is a classifier"):
        summary.train(LogisticRegression())
