"""Noise models: hand-worked sigmas, moments, levels that mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from analog_eval import GaussianNoise, UniformNoise
from analog_eval.noise import generators, one_seed

SCALES = ("std", "absmax", "range", "power_db", "absolute")
FINITE = st.floats(-1e3, 1e3, allow_nan=False, width=32)


@pytest.mark.parametrize(
    ("scale", "level", "sigma"),
    [
        # W = [1, -3, 5, 1]: mean 1, squared deviations 0, 16, 16, 0 -> std sqrt(8); mean square 36 / 4 = 9 -> rms 3
        ("std", 0.5, 0.5 * np.sqrt(8.0)),
        ("absmax", 0.1, 0.5),
        ("range", 0.25, 2.0),
        ("power_db", 20.0, 0.3),
        ("power_db", 0.0, 3.0),
        ("power_db", -20.0, 30.0),
        ("power_db", np.inf, 0.0),
        ("absolute", 0.7, 0.7),
    ],
)
def test_sigma_of_a_hand_worked_array(scale, level, sigma):
    weights = np.array([[1.0, -3.0], [5.0, 1.0]])
    assert GaussianNoise(scale).sigma(weights, level) == pytest.approx(sigma, rel=1e-14)


@pytest.mark.parametrize(
    ("scale", "constant", "zero"),
    [("std", 0.0, 0.0), ("absmax", 0.2, 0.0), ("range", 0.0, 0.0), ("power_db", 0.2, 0.0), ("absolute", 0.1, 0.1)],
)
def test_constant_and_zero_tensors(scale, constant, zero):
    level = 20.0 if scale == "power_db" else 0.1
    noise = GaussianNoise(scale)
    assert noise.sigma(np.full((3, 3), 2.0), level) == pytest.approx(constant)
    assert noise.sigma(np.full(7, 0.1), level) == pytest.approx(constant / 20 if scale != "absolute" else 0.1)
    assert noise.sigma(np.zeros(5), level) == zero


def test_equal_weights_have_no_spread_whatever_their_mean_rounds_to():
    assert any(np.full(n, 0.1).std() > 0 for n in range(1, 20))
    assert all(GaussianNoise("std").sigma(np.full(n, 0.1), 1.0) == 0.0 for n in range(1, 20))


@pytest.mark.parametrize(
    ("scale", "sigma"), [("std", 0), ("absmax", 0.6), ("range", 0), ("power_db", 3), ("absolute", 0.2)]
)
def test_a_single_weight_and_none(scale, sigma):
    noise, level = GaussianNoise(scale), 0.0 if scale == "power_db" else 0.2
    assert noise.sigma(np.array([-3.0]), level) == pytest.approx(sigma)
    assert noise.sigma(np.array([]), level) == (0.2 if scale == "absolute" else 0.0)


def test_zeros_get_no_noise_however_loud():
    assert GaussianNoise("power_db").sigma(np.zeros(3), -1e9) == 0.0


def test_mean_and_spread_of_the_noise(rng):
    weights = rng.normal(size=(200, 200))
    added = GaussianNoise("absolute")(weights, 0.3, random_state=1) - weights
    n = added.size
    assert abs(added.mean()) < 4 * 0.3 / np.sqrt(n)
    assert abs(added.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * n)


@pytest.mark.parametrize("scale", SCALES)
@given(
    weights=arrays(np.float64, array_shapes(min_dims=0, max_dims=3, max_side=4), elements=FINITE),
    seed=st.integers(0, 9),
)
def test_pure_shaped_and_repeatable(scale, weights, seed):
    before = weights.tobytes()
    noise = GaussianNoise(scale)
    noisy = noise(weights, 0.5, random_state=seed)
    assert noisy.shape == weights.shape
    assert weights.tobytes() == before
    assert np.array_equal(noisy, noise(weights, 0.5, random_state=seed))
    clean = noise(weights, np.inf if scale == "power_db" else 0.0, random_state=seed)
    assert np.array_equal(clean, weights)
    assert not np.shares_memory(clean, weights)


@given(factor=st.floats(1e-3, 1e3), level=st.floats(0.01, 2.0))
def test_relative_scales_follow_the_units_of_the_weights(factor, level):
    weights = np.array([0.3, -1.2, 2.0, 0.7])
    for scale in ("std", "absmax", "range", "power_db"):
        noise = GaussianNoise(scale)
        assert noise.sigma(factor * weights, level) == pytest.approx(factor * noise.sigma(weights, level), rel=1e-9)


def test_levels_share_random_numbers(rng):
    weights, noise = rng.normal(size=(4, 3)), GaussianNoise("std")
    once = noise(weights, 0.1, random_state=3) - weights
    twice = noise(weights, 0.2, random_state=3) - weights
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-10)


def test_single_precision_stays_and_shares_the_draws(rng):
    weights = rng.normal(size=(5, 5)).astype(np.float32)
    single = GaussianNoise("absolute")(weights, 0.1, random_state=0)
    double = GaussianNoise("absolute")(weights.astype(np.float64), 0.1, random_state=0)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)
    assert GaussianNoise()(np.array([1, 2, 4]), 0.1, random_state=0).dtype == np.float64


@pytest.mark.parametrize("level", [-0.1, np.nan, np.inf, -np.inf])
def test_level_out_of_range(level):
    with pytest.raises(ValueError, match=f"^level={level} must be finite and >= 0 for scale='std'$"):
        GaussianNoise("std")(np.ones(3), level)


@pytest.mark.parametrize("level", [np.nan, -np.inf])
def test_decibels_out_of_range(level):
    message = rf"^level={level} must be a signal-to-noise ratio in dB \(a number or \+inf\)$"
    with pytest.raises(ValueError, match=message):
        GaussianNoise("power_db").sigma(np.ones(3), level)


@pytest.mark.parametrize(
    ("scale", "label"),
    [
        ("std", "noise level (sigma / std of the weights)"),
        ("absmax", "noise level (sigma / max |weight|)"),
        ("range", "noise level (sigma / range of the weights)"),
        ("power_db", "weight signal-to-noise ratio (dB)"),
        ("absolute", "noise level (sigma, units of the weights)"),
    ],
)
def test_reports_say_what_a_level_is(scale, label):
    assert GaussianNoise(scale).level_label() == label


def test_clear_errors():
    scales = "'std', 'absmax', 'range', 'power_db', 'absolute'"
    with pytest.raises(ValueError, match=f"^scale='loud' is not one of {scales}$"):
        GaussianNoise("loud")
    with pytest.raises(TypeError, match=r"^level='a lot' is not a number$"):
        GaussianNoise().sigma(np.ones(3), "a lot")
    for function in (GaussianNoise(), GaussianNoise().sigma):
        with pytest.raises(ValueError, match=r"^weights holds 1 NaN or infinite entries of 3$"):
            function(np.array([1.0, np.nan, 2.0]), 0.1)
        with pytest.raises(TypeError, match=r"^weights must hold real numbers, got dtype complex128$"):
            function(np.array([1j]), 0.1)
    message = r"^level=-1000000000\.0 makes the noise overflow: the weights measure 3 before it$"
    with pytest.raises(ValueError, match=message):
        GaussianNoise("power_db").sigma(np.full(3, 3.0), -1e9)
    with pytest.raises(
        ValueError, match=r"^level=1e\+300 makes the noise overflow: the weights measure 1e\+300 before"
    ):
        GaussianNoise("absmax").sigma(np.full(3, 1e300), 1e300)


def test_seeds():
    first = [g.standard_normal() for g in generators(5, 2)]
    more = [g.standard_normal() for g in generators(5, 4)]
    assert more[:2] == first
    assert len(set(more)) == 4
    for make in (np.random.RandomState, np.random.default_rng):
        source = make(5)
        one, two = (generators(source, 1)[0].standard_normal() for _ in range(2))
        assert one != two
        assert generators(make(5), 1)[0].standard_normal() == one
    assert len(generators(0, 1)) == 1
    for function in (lambda source: generators(source, 1), one_seed):
        with pytest.raises(ValueError, match=r"^random_state=-1 must be >= 0$"):
            function(-1)
        for source, kind in (("seed", "str"), (True, "bool"), (1.0, "float")):
            message = f"^random_state must be None, an int, a RandomState or a Generator, got {kind}$"
            with pytest.raises(TypeError, match=message):
                function(source)


def test_a_source_of_random_numbers_gives_four_words_of_32_bits():
    # What NumPy documents: a child of the sequence that starts from these words.
    for make, words in (
        (np.random.default_rng, lambda source: source.integers(0, 2**32, size=4)),
        (np.random.RandomState, lambda source: source.randint(0, 2**32, size=4, dtype=np.uint64)),
    ):
        sequence = np.random.SeedSequence(words(make(7)).tolist())
        expected = np.random.default_rng(sequence.spawn(1)[0]).random(3)
        assert generators(make(7), 1)[0].random(3).tolist() == expected.tolist()


def test_one_seed_from_which_several_start_alike():
    assert one_seed(5) == 5
    assert (one_seed(np.int16(7)), type(one_seed(np.int16(7)))) == (7, int)
    source = np.random.default_rng(0)
    seeds = [one_seed(source) for _ in range(100)]
    assert (
        seeds[0]
        == one_seed(np.random.default_rng(0))
        == int(generators(np.random.default_rng(0), 1)[0].integers(2**63))
    )
    assert len(set(seeds)) == 100
    # Below 2**63, and up to it: all hundred below three quarters happens once in 10**12.
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 0.75 * 2**63
    assert one_seed(None) != one_seed(None)


@pytest.mark.parametrize("kind", [GaussianNoise, UniformNoise])
@pytest.mark.parametrize("scale", ["std", "range"])
def test_the_clean_level_leaves_weights_whose_spread_overflows(kind, scale):
    weights = np.array([1.5e308, -1.5e308])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(kind(scale)(weights, 0.0, random_state=0), weights)
        assert kind(scale).sigma(weights, 0.0) == 0.0
        with pytest.raises(ValueError, match="the weights measure inf before it"):
            kind(scale)(weights, 0.1, random_state=0)
