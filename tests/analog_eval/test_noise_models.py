"""Every noise model keeps the contract; each does what its formula says; sums do one after the other."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import binom, kstest, uniform

import analog_eval
from analog_eval import (
    PCM,
    DeviceNoise,
    GaussianNoise,
    Hermes,
    MultiplicativeNoise,
    QuantizationNoise,
    StateIndependent,
    StuckDevices,
    UniformNoise,
    WeightNoise,
    noise_sweep,
)

DEVICES = [(PCM(), "global"), (Hermes(n_unit=1), None), (StateIndependent(), "global")]
# A noise and one of its levels.
MODELS = [
    *(
        (kind(scale), 10.0 if scale == "power_db" else 0.3)
        for kind in (GaussianNoise, UniformNoise)
        for scale in ("std", "absmax", "range", "power_db", "absolute")
    ),
    (MultiplicativeNoise(), 0.3),
    (QuantizationNoise(), 3),
    (QuantizationNoise(stochastic=True), 3),
    *((StuckDevices(value), 0.4) for value in ("zero", "absmax", "mixed")),
    *((DeviceNoise(device, compensation), 3600.0) for device, compensation in DEVICES),
    (GaussianNoise() + StuckDevices(), 0.3),
    (MultiplicativeNoise() + QuantizationNoise().at(4), 0.3),
    (GaussianNoise("power_db").at(20), 1.0),
]
NAMES = [repr(noise) for noise, _ in MODELS]
FINITE = st.floats(-1e3, 1e3, allow_nan=False, width=32)
WEIGHTS = arrays(np.float64, array_shapes(min_dims=0, max_dims=3, max_side=4), elements=FINITE)


def test_every_public_noise_model_is_checked():
    public = {v for v in vars(analog_eval).values() if inspect.isclass(v) and issubclass(v, WeightNoise)}
    assert public - {WeightNoise} == {type(noise) for noise, _ in MODELS if type(noise) in public}


class _ByColumn(MultiplicativeNoise):
    """Noise that knows where the outputs are."""

    axis: int | None = None

    def along(self, output_axis):
        other = _ByColumn()
        object.__setattr__(other, "axis", output_axis)
        return other


def test_every_part_is_told_where_the_outputs_are():
    assert GaussianNoise().along(1) == GaussianNoise()
    assert _ByColumn().at(0.1).along(1).noise.axis == 1
    assert _ByColumn().at(0.1).along(1).level == 0.1
    told = (GaussianNoise() + _ByColumn() + _ByColumn()).along(0)
    assert [getattr(part, "axis", None) for part in told.parts] == [None, 0, 0]


@pytest.mark.parametrize(("noise", "level"), MODELS, ids=NAMES)
class TestContract:
    def test_what_is_read_times_its_factors_is_what_is_perturbed(self, noise, level, rng):
        weights = rng.normal(size=(3, 4))
        units, measured = noise.draw(weights.shape, rng), noise.measure(weights)
        stored, factors = noise.read(weights, level, units, measured)
        np.testing.assert_allclose(stored * factors, noise.perturb(weights, level, units, measured), rtol=1e-12)
        assert np.ndim(factors) == 2
        assert all(size in (1, whole) for size, whole in zip(factors.shape, weights.shape, strict=True))

    @given(weights=WEIGHTS, seed=st.integers(0, 9))
    def test_pure_shaped_and_repeatable(self, noise, level, weights, seed):
        before = weights.tobytes()
        noisy = noise(weights, level, random_state=seed)
        # A single number stays an array, too.
        assert isinstance(noisy, np.ndarray)
        assert noisy.shape == weights.shape
        assert noisy.dtype == weights.dtype
        assert np.isfinite(noisy).all()
        assert weights.tobytes() == before
        assert not np.shares_memory(noisy, weights)
        assert np.array_equal(noisy, noise(weights, level, random_state=seed))

    def test_the_clean_level_is_clean(self, noise, level, rng):
        weights = rng.normal(size=(3, 4))
        if np.isnan(noise.clean_level) or not noise.is_clean(noise.clean_level):
            assert not any(noise.is_clean(value) for value in (0.0, 1.0, np.inf))
            return
        clean = noise(weights, noise.clean_level, random_state=0)
        assert np.array_equal(clean, weights)
        assert not np.shares_memory(clean, weights)
        assert not noise.is_clean(level)

    def test_clean_weights_keep_their_precision(self, noise, level, rng):
        if not np.isnan(noise.clean_level):
            assert noise(rng.normal(size=4).astype(np.float32), noise.clean_level).dtype == np.float32
        assert noise(np.zeros(4, dtype=np.float32), level).dtype == np.float32

    def test_no_weights(self, noise, level):
        assert noise(np.empty((0, 3)), level).shape == (0, 3)

    def test_precision(self, noise, level, rng):
        weights = rng.normal(size=(5, 5)).astype(np.float32)
        single = noise(weights, level, random_state=0)
        double = noise(weights.astype(np.float64), level, random_state=0)
        assert single.dtype == np.float32
        # Stochastic rounding may go the other way in single precision, but not often.
        assert np.isclose(single, double, rtol=1e-5, atol=1e-5).mean() >= 0.95
        assert noise(np.array([1, 2, 4]), level, random_state=0).dtype == np.float64

    def test_frozen_equal_and_pickled(self, noise, level):
        again = pickle.loads(pickle.dumps(noise))
        assert again == noise
        assert hash(again) == hash(noise)
        assert repr(again) == repr(noise)
        field = dataclasses.fields(noise)[0].name if dataclasses.fields(noise) else "scale"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(noise, field, 1)

    def test_levels_that_mean_nothing(self, noise, level):
        for bad in (np.nan, -np.inf):
            with pytest.raises(ValueError, match="level="):
                noise(np.ones(3), bad)
        # A string may be a time, though this one is none.
        with pytest.raises(ValueError if isinstance(noise, DeviceNoise) else TypeError, match="level='a lot'"):
            noise(np.ones(3), "a lot")
        # What can be made a number need not be one.
        for bad in (True, np.True_, b"25", np.bytes_(b"0.1")):
            with pytest.raises(TypeError, match=r"level=.* is not a number"):
                noise(np.ones(3), bad)
        with pytest.raises(ValueError, match="1 NaN or infinite entries of 2"):
            noise(np.array([1.0, np.nan]), level)


class TestUniform:
    def test_moments_and_shape(self):
        added = UniformNoise("absolute")(np.zeros(20_000), 0.5, random_state=0)
        half = 0.5 * np.sqrt(3.0)
        assert np.abs(added).max() <= half
        # Of a uniform distribution the variance of the squares is (9/5 - 1) sigma^4.
        assert abs((added**2).mean() - 0.25) < 4 * 0.25 * np.sqrt(0.8 / added.size)
        assert kstest(added, uniform(-half, 2 * half).cdf).pvalue > 1e-3

    @pytest.mark.parametrize("scale", ["std", "absmax", "range", "power_db", "absolute"])
    def test_sigma_is_that_of_gaussian_noise(self, scale, rng):
        weights = rng.normal(size=7)
        assert UniformNoise(scale).sigma(weights, 0.7) == GaussianNoise(scale).sigma(weights, 0.7)


class TestMultiplicative:
    def test_by_hand(self):
        noise = MultiplicativeNoise()
        weights, units = np.array([0.0, 2.0, -4.0]), np.array([5.0, 1.0, -2.0])
        np.testing.assert_allclose(noise.perturb(weights, 0.1, units, None), [0.0, 2.2, -3.2], rtol=1e-15)

    def test_spread_is_in_proportion(self):
        weights = np.repeat([1.0, -10.0], 20_000)
        added = MultiplicativeNoise()(weights, 0.2, random_state=0) - weights
        for part, scale in ((added[:20_000], 1.0), (added[20_000:], 10.0)):
            assert abs(part.std() / scale - 0.2) < 4 * 0.2 / np.sqrt(2 * part.size)

    @pytest.mark.parametrize("level", [-0.1, np.inf])
    def test_levels_are_ratios(self, level):
        with pytest.raises(ValueError, match=f"^level={level} must be finite and >= 0$"):
            MultiplicativeNoise()(np.ones(2), level)

    def test_zero_weights_are_named_as_untouched(self, cancer):
        model = analog_eval.ArrayModel([np.zeros((30, 2))], lambda a, X: X @ a[0], classes=[0, 1])
        report = noise_sweep(model, *cancer, noise=MultiplicativeNoise(), n_draws=2)
        assert any("no noise on arrays[0]" in note for note in report.notes)


class TestQuantization:
    def test_by_hand(self):
        # 3 bits: 7 values, K = 3, step 2 for a greatest weight of 6; halves go to the even code.
        weights = np.array([6.0, -6.0, 0.9, 1.1, 2.9, 3.1, -4.9, 0.0])
        assert QuantizationNoise()(weights, 3).tolist() == [6.0, -6.0, 0.0, 2.0, 2.0, 4.0, -4.0, 0.0]
        # 2 bits: 3 values.
        assert QuantizationNoise()(weights, 2).tolist() == [6.0, -6.0, 0.0, 0.0, 0.0, 6.0, -6.0, 0.0]

    def test_stochastic_rounding_by_hand(self):
        # 3 bits: 1.5, -1.5 and 0.45 steps of 2 from 0; what is drawn is added before rounding down.
        weights = np.array([3.0, 3.0, -3.0, -3.0, 0.9, 0.9, 6.0, -6.0])
        units = np.array([0.4, 0.6, 0.4, 0.6, 0.5, 0.6, 0.9, 0.9])
        rounded = QuantizationNoise(stochastic=True).perturb(weights, 3, units, 6.0)
        assert rounded.tolist() == [2.0, 4.0, -4.0, -2.0, 0.0, 2.0, 6.0, -6.0]

    def test_the_most_bits(self):
        weights = np.array([1.0, 0.1, -0.7])
        np.testing.assert_allclose(QuantizationNoise()(weights, 52), weights, rtol=1e-14)

    @given(weights=WEIGHTS, bits=st.integers(2, 12))
    def test_error_is_at_most_half_a_step(self, weights, bits):
        step = np.abs(weights).max(initial=0.0) / (2 ** (bits - 1) - 1)
        rounded = QuantizationNoise()(weights, bits)
        assert (np.abs(rounded - weights) <= step * (0.5 + 1e-12)).all()
        assert len(np.unique(rounded)) <= 2**bits - 1
        np.testing.assert_array_equal(np.abs(rounded).max(initial=0.0), np.abs(weights).max(initial=0.0))

    def test_rounding_twice_is_rounding_once(self, rng):
        once = QuantizationNoise()(rng.normal(size=100), 5)
        np.testing.assert_allclose(QuantizationNoise()(once, 5), once, rtol=1e-15)

    def test_stochastic_rounding_keeps_the_mean(self):
        weights = np.append(np.full(40_000, 0.3), 1.0)
        rounded = QuantizationNoise(stochastic=True)(weights, 2, random_state=0)[:-1]
        assert set(rounded) == {0.0, 1.0}
        assert abs(rounded.mean() - 0.3) < 4 * np.sqrt(0.21 / 40_000)

    def test_behind_other_noise_it_cuts_off(self):
        weights = np.array([1.0, -1.0, 0.2])
        noisy = (GaussianNoise("absolute").at(50) + QuantizationNoise())(weights, 3, random_state=0)
        assert set(np.abs(noisy)) <= {0.0, 1 / 3, 2 / 3, 1.0}
        assert (np.abs(noisy) == 1.0).sum() >= 2

    @pytest.mark.parametrize("bits", [0, 1, 2.5, -3, 53])
    def test_levels_are_whole_bits(self, bits):
        with pytest.raises(
            ValueError, match=rf"^level={float(bits)} must be a whole number of bits from 2 to 52, or inf$"
        ):
            QuantizationNoise()(np.ones(2), bits)

    def test_a_sweep_over_bits(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        with pytest.raises(ValueError, match=r"levels: the default grid holds ratios, .* bits a weight"):
            noise_sweep(mlp, X, y, noise=QuantizationNoise())
        report = noise_sweep(mlp, X, y, noise=QuantizationNoise(), levels=(2, 4, 8, np.inf), n_draws=2)
        assert report.table["mean"].iloc[-1] == report.clean
        assert report.table["mean"].iloc[0] < report.table["mean"].iloc[2]
        # Rounding is the same on every device.
        assert (report.table["draw_sd"] == 0.0).all()


class TestStuck:
    @pytest.mark.parametrize(("value", "zero", "low"), [("zero", 1, 0), ("absmax", 0, 0.5), ("mixed", 0.5, 0.25)])
    def test_shares(self, value, zero, low):
        n = 40_000
        weights = np.append(np.full(n - 1, 0.5), -2.0)
        noisy = StuckDevices(value)(weights, 0.3, random_state=0)
        for stuck_at, share in ((0.0, zero), (-2.0, low), (2.0, low)):
            p = 0.3 * share
            # The last weight is at an end already.
            assert binom.ppf(1e-4, n, p) - 1 <= (noisy == stuck_at).sum() <= binom.ppf(1 - 1e-4, n, p) + 1

    def test_stuck_stays_stuck_at_greater_levels(self, rng):
        weights = rng.normal(size=500)
        noise = StuckDevices("mixed")
        few, many, all_of_them = (noise(weights, level, random_state=1) for level in (0.2, 0.6, 1.0))
        stuck = few != weights
        assert (many[stuck] == few[stuck]).all()
        assert (many != weights).sum() > stuck.sum()
        assert set(np.round(np.abs(all_of_them), 12)) == {0.0, np.round(np.abs(weights).max(), 12)}

    def test_bad_ones(self):
        with pytest.raises(ValueError, match=r"^at_value='open' is not one of 'zero', 'absmax', 'mixed'$"):
            StuckDevices("open")
        for level in (1.5, -0.1):
            with pytest.raises(ValueError, match=f"^level={level} must be a share of the weights, from 0 to 1$"):
                StuckDevices()(np.ones(2), level)

    @pytest.mark.parametrize("unit", [1.0, 1e-3])
    def test_what_is_stuck_where_by_hand(self, unit):
        # Shares at which each gets stuck, and in units of the greatest weight at which value.
        units = np.array([0.1, 0.5, 0.9, 0.2]), np.array([1.0, -1.0, 1.0, 0.0])
        weights = np.array([1.0, -4.0, 2.0, 3.0]) * unit
        noise = StuckDevices("mixed")
        for level, stuck in ((0.1, [1, -4, 2, 3]), (0.5, [4, -4, 2, 0]), (1.0, [4, -4, 4, 0])):
            noisy = noise.perturb(weights, level, units, noise.measure(weights))
            np.testing.assert_allclose(noisy, np.array(stuck) * unit, rtol=1e-15)

    @pytest.mark.parametrize(
        ("value", "drawn", "stuck_at"),
        [
            ("absmax", [0.0, 0.499, 0.5, 0.999], [-1, -1, 1, 1]),
            ("mixed", [0.0, 0.499, 0.5, 0.749, 0.75, 0.999], [0, 0, -1, -1, 1, 1]),
        ],
    )
    def test_what_is_drawn_by_hand(self, value, drawn, stuck_at):
        class Drawn:
            numbers = iter([np.zeros(len(drawn)), np.array(drawn)])

            def random(self, shape):
                return next(self.numbers)

        thresholds, values = StuckDevices(value).draw((len(drawn),), Drawn())
        assert not thresholds.any()
        assert values.tolist() == stuck_at

    def test_of_open_devices_one_number_each_is_drawn(self):
        one, two = np.random.default_rng(0), np.random.default_rng(0)
        thresholds, values = StuckDevices().draw((5, 2), one)
        assert thresholds.tolist() == two.random((5, 2)).tolist()
        assert not np.any(values)
        assert one.random() == two.random()


class TestSums:
    def test_one_after_the_other(self, rng):
        weights = rng.normal(size=(6, 2))
        first, second = GaussianNoise("std"), StuckDevices("absmax")
        source = np.random.default_rng(0)
        by_hand = second.perturb(
            first.perturb(weights, 0.4, first.draw((6, 2), source), first.measure(weights)),
            0.4,
            second.draw((6, 2), source),
            second.measure(weights),
        )
        noisy = (first + second)(weights, 0.4, random_state=np.random.default_rng(0))
        assert np.array_equal(noisy, by_hand)
        # What is stuck is at the ends of the clean weights, not of the noisy ones.
        assert (np.abs(noisy) == np.abs(weights).max()).any()

    def test_variances_add_up(self):
        noise = GaussianNoise("absolute") + UniformNoise("absolute").at(0.4)
        added = noise(np.zeros(40_000), 0.3, random_state=0)
        # The fourth moment is below a normal's 3 sigma^4.
        assert abs((added**2).mean() - 0.25) < 4 * 0.25 * np.sqrt(2 / added.size)

    def test_a_fixed_part_takes_no_notice_of_the_level(self, rng):
        weights = rng.normal(size=9)
        noise = GaussianNoise("absolute") + QuantizationNoise().at(3)
        assert np.array_equal(noise(weights, 0.0), QuantizationNoise()(weights, 3))
        assert not noise.is_clean(0.0)
        assert (GaussianNoise() + QuantizationNoise().at(np.inf)).is_clean(0.0)
        assert np.array_equal(QuantizationNoise().at(3)(weights, 0.123), QuantizationNoise()(weights, 3))
        assert np.array_equal(QuantizationNoise().at(3)(weights, np.inf), QuantizationNoise()(weights, 3))
        with pytest.raises(ValueError, match=r"^level=nan must be a number$"):
            QuantizationNoise().at(3)(weights, np.nan)
        all_fixed = QuantizationNoise().at(3) + StuckDevices().at(0)
        assert np.array_equal(all_fixed(weights, 0.123), QuantizationNoise()(weights, 3))

    def test_a_fixed_part_takes_no_notice_of_the_unit_of_the_level(self, rng):
        noise = DeviceNoise(StateIndependent()) + QuantizationNoise().at(4)
        weights = rng.normal(size=9)
        assert np.array_equal(noise(weights, "1d", random_state=0), noise(weights, 86400.0, random_state=0))

    def test_every_part_needs_its_own_numbers(self, rng):
        noise, weights = GaussianNoise() + StuckDevices(), rng.normal(size=9)
        units, measured = noise.draw((9,), rng), noise.measure(weights)
        for short in ((units[:1], measured), (units, measured[:1])):
            with pytest.raises(ValueError, match=r"shorter than argument"):
                noise.perturb(weights, 0.1, *short)

    def test_grouping_does_not_matter(self, rng):
        weights = rng.normal(size=9)
        a, b, c = GaussianNoise(), StuckDevices(), MultiplicativeNoise()
        assert (a + b) + c == a + (b + c)
        assert np.array_equal(((a + b) + c)(weights, 0.2, random_state=0), (a + (b + c))(weights, 0.2, random_state=0))

    def test_names(self):
        assert repr(GaussianNoise() + StuckDevices().at(0.01)) == (
            "GaussianNoise(scale='std') + StuckDevices(at_value='zero').at(0.01)"
        )
        assert (GaussianNoise() + QuantizationNoise().at(3)).level_label() == GaussianNoise().level_label()
        assert (GaussianNoise() + UniformNoise()).level_label() == GaussianNoise().level_label()
        share = "share of the weights that are stuck (zero)"
        ratio = "noise level (sigma / |weight|)"
        assert (MultiplicativeNoise() + StuckDevices()).level_label() == f"{ratio} and {share}"
        assert QuantizationNoise().level_label() == "bits a weight"
        assert QuantizationNoise().at(3).level_label() == "no level: the noise is fixed"
        assert (QuantizationNoise().at(3) + StuckDevices().at(0.1)).level_label() == "no level: all is fixed"

    def test_levels_must_suit_every_part(self):
        with pytest.raises(ValueError, match=r"level=1.5 must be a share"):
            (GaussianNoise() + StuckDevices())(np.ones(2), 1.5)
        for other in (QuantizationNoise(), GaussianNoise("power_db")):
            message = (
                f"the parts of {GaussianNoise()!r} + {other!r} have no level in common; "
                "give all but one of them a level of its own, such as QuantizationNoise().at(4)"
            )
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                GaussianNoise() + other
        with pytest.raises(ValueError, match="no level in common"):
            GaussianNoise("power_db") + QuantizationNoise()
        with pytest.raises(ValueError, match=r"level=1.0 must be a whole number"):
            QuantizationNoise().at(1)
        with pytest.raises(TypeError, match="unsupported operand"):
            GaussianNoise() + 1

    def test_in_a_sweep_it_agrees_with_the_closed_form(self, linear, diabetes):
        X, y = diabetes[0][300:], diabetes[1][300:]
        noise = GaussianNoise("absolute") + UniformNoise("absolute").at(0.5)
        levels = np.array([0.0, 0.3, 1.0, 2.0])
        report = noise_sweep(
            linear, X, y, noise=noise, levels=levels, n_draws=400, metric="neg_mean_squared_error", random_state=0
        )
        expected = report.clean - (levels**2 + 0.25) * (X**2).sum(axis=1).mean()
        assert (np.abs(report.table["mean"] - expected) < 3 * report.table["draws_se"]).all()
        # With a fixed part even level 0 counts as noisy.
        assert report.noisy.all()
