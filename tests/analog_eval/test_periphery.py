"""The surroundings of a crossbar by hand, by formula, and by what must not matter."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analog_eval import InputScale, Periphery

BARE = {"in_bits": None, "out_bits": None, "out_bound": np.inf, "out_noise": 0.0, "tile_shape": None}
FINITE = st.floats(-100, 100, allow_nan=False, width=32)


def product(X, W, seed=0, *, peak=None, **settings):
    return Periphery(**(BARE | settings)).product(X, W, np.random.default_rng(seed), peak=peak)


class TestConverters:
    def test_inputs_by_hand(self):
        # Three bits: a third of the greatest input a step.
        x = [[3.0, -1.4, 0.4, 1.6]]
        assert product(x, np.eye(4), in_bits=3) == pytest.approx(np.array([[3.0, -1.0, 0.0, 2.0]]))
        # The least: -1, 0 and 1.
        assert product(x, np.eye(4), in_bits=2).tolist() == [[3.0, 0.0, 0.0, 3.0]]

    def test_outputs_by_hand(self):
        # Three bits from -6 to 6, a step of 2; the input is 1 and the weights are in units of the greatest, 1.
        W = np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [0.4, 0.4, 0.0, 0.0, 0.0], [-1.0, -1.0, -1.0, -0.5, 0.0]])
        assert product(np.ones((1, 5)), W, out_bits=3, out_bound=6.0).tolist() == [[4.0, 0.0, -4.0]]

    def test_seven_and_nine_bits_are_the_usual_resolutions(self):
        x = np.linspace(0.0, 1.0, 64).reshape(1, -1)
        np.testing.assert_allclose(product(x, np.eye(64), in_bits=7), x, atol=1e-15)
        steps = np.arange(0, 256) * 2.0 * 12.0 / 510.0
        rows = np.ones((1, 13))
        W = np.outer(steps / 13.0, np.ones(13))
        np.testing.assert_allclose(
            product(rows, W, out_bits=9, out_bound=12.0, peak=1.0, max_doublings=0), [steps], atol=1e-12
        )

    @given(X=arrays(np.float64, (3, 5), elements=FINITE), W=arrays(np.float64, (4, 5), elements=FINITE))
    def test_exact(self, X, W):
        exact = Periphery.exact().product(X, W, np.random.default_rng(0))
        np.testing.assert_allclose(exact, X @ W.T, rtol=1e-9, atol=1e-9 * (1 + np.abs(X).max() * np.abs(W).max()))

    def test_error_is_at_most_half_a_step(self, rng):
        X, W = rng.normal(size=(50, 20)), rng.normal(size=(10, 20))
        for bits in (4, 8, 12):
            error = np.abs(product(X, W, in_bits=bits) - X @ W.T)
            step = 2.0 / (2**bits - 2) * np.abs(X).max(axis=1, keepdims=True)
            assert (error <= step / 2 * np.abs(W).sum(axis=1) + 1e-12).all()


class TestInputScale:
    def test_calibrated(self, rng):
        X = rng.normal(size=(100, 50))
        assert InputScale.calibrated(X).value == np.abs(X).max()
        scale = InputScale.calibrated(X, 0.99)
        assert np.count_nonzero(np.abs(X) > scale.value) == 50

    def test_it_clips(self):
        with pytest.warns(RuntimeWarning, match=r"33.3% of the inputs are greater than the input scale"):
            outputs = product([[0.5, 3.0, -1.0]], np.eye(3), input_scale=InputScale(2.0))
        assert outputs.tolist() == [[0.5, 2.0, -1.0]]

    def test_one_percent_is_no_warning(self, rng):
        X = rng.normal(size=(100, 50))
        scale = InputScale.calibrated(X, 0.99)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            product(X, np.eye(50), input_scale=scale)
        with pytest.warns(RuntimeWarning, match="clipped"):
            product(X * 1.2, np.eye(50), input_scale=scale, tile_shape=(7, 9))

    def test_small_inputs_lose_digits_only_if_the_scale_is_fixed(self):
        X = np.array([[0.01, 0.0]])
        assert product(X, np.eye(2), in_bits=4)[0, 0] == pytest.approx(0.01)
        assert product(X, np.eye(2), in_bits=4, input_scale=InputScale(1.0))[0, 0] == 0.0

    def test_bad_ones(self):
        for bad in (0.0, -1.0, np.inf, np.nan):
            with pytest.raises(ValueError, match="value="):
                InputScale(bad)
        with pytest.raises(TypeError, match="value must be a number, got 'a'"):
            InputScale("a")
        with pytest.raises(ValueError, match=r"share=1.5"):
            InputScale.calibrated([1.0], 1.5)
        with pytest.raises(ValueError, match="nothing to calibrate by"):
            InputScale.calibrated([])
        with pytest.raises(ValueError, match=r"value=0.0"):
            InputScale.calibrated([0.0, 0.0])
        with pytest.raises(ValueError, match="X holds 1 NaN entries of 2"):
            InputScale.calibrated([np.nan, 1.0])
        for share in ("a", True):
            with pytest.raises(TypeError, match=f"share must be a number, got {share!r}"):
                InputScale.calibrated([1.0], share)


class TestBoundManagement:
    rows = np.array([[1.0] * 4, [1.0, -1.0, 0.0, 0.0], [0.5] * 4])
    W = np.ones((1, 4))

    def test_outputs_saturate_without_it(self):
        assert product(self.rows, self.W, out_bound=1.5, max_doublings=0).tolist() == [[1.5], [0.0], [0.75]]

    def test_rows_are_sent_again(self):
        assert product(self.rows, self.W, out_bound=1.5).tolist() == [[4.0], [0.0], [2.0]]

    def test_by_row(self):
        # Coarse outputs tell which rows were sent at which size: steps of 0.5, 1, and 2.
        settings = {"out_bits": 3, "out_bound": 1.5}
        mixed = product([[0.3, 0.3, 0.3, 1.0], [0.1, 0.1, 0.0, 1.0]], self.W, **settings)
        alone = [product([row], self.W, **settings)[0].tolist() for row in ([0.3, 0.3, 0.3, 1.0], [0.1, 0.1, 0.0, 1.0])]
        assert mixed.tolist() == alone == [[2.0], [1.0]]

    def test_it_ends(self):
        assert product(self.rows, self.W, out_bound=1e-3, max_doublings=3)[0, 0] == pytest.approx(8e-3)


class TestNoise:
    def test_of_inputs_and_outputs(self, rng):
        X, W = rng.normal(size=(1, 30)), rng.normal(size=(8, 30))
        scale, peak = np.abs(X).max(), np.abs(W).max()
        many = np.repeat(X, 20_000, axis=0)
        for settings, spread in (
            ({"in_noise": 0.1}, 0.1 * scale * np.sqrt((W**2).sum(axis=1))),
            ({"out_noise": 0.06}, np.full(8, 0.06 * scale * peak)),
        ):
            self.check(product(many, W, **settings), (X @ W.T)[0], spread)

    def test_of_reading_by_hand(self):
        # Weights 1, 0.25 and 0 of the greatest, inputs 1 and 0.5: sqrt(1 * 1 + 0.25 * 0.25), sqrt(0.25 * 1).
        W, X = np.array([[4.0, -1.0], [1.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 1.0]])
        spread = 0.0175 * np.sqrt([1.0625, 0.25, 0.0]) * 2.0 * 4.0
        outputs = product(np.repeat(X, 40_000, axis=0), W, read_noise=0.0175)
        self.check(outputs[:, :2], np.array([7.0, 2.0]), spread[:2])
        assert not outputs[:, 2].any()

    @staticmethod
    def check(outputs, mean, spread):
        n = len(outputs)
        assert (np.abs(outputs.mean(axis=0) - mean) < 4 * spread / np.sqrt(n)).all()
        assert (np.abs(outputs.std(axis=0) / spread - 1) < 4 / np.sqrt(2 * n)).all()

    def test_same_seed_same_numbers(self, rng):
        X, W = rng.normal(size=(5, 8)), rng.normal(size=(4, 8))
        first, again, other = (Periphery.standard().product(X, W, np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


class TestDropOfVoltage:
    def test_by_hand(self):
        # Two devices: weights 1 and -0.5, inputs 1 and 1; the load is 2 * 1.5 / 571400.
        load = 3.0 / 571400.0
        lost = 0.05 * load**3 - 0.2 * load**2 + 0.5 * load
        # Places 0 and 1 of 2: 1 - 1 and 1 - 1/4.
        expected = 0.5 - 1000.0 * lost * (-0.5 * 0.75)
        assert product([[1.0, 1.0]], [[1.0, -0.5]], ir_drop=1000.0)[0, 0] == pytest.approx(expected, rel=1e-12)

    def test_it_grows_with_the_length_of_the_column(self):
        lost = []
        for n in (64, 128, 256):
            X, W = np.ones((1, n)), np.ones((1, n))
            lost.append(1.0 - product(X, W, ir_drop=1.0)[0, 0] / n)
        # In proportion to n^2 for small loads.
        assert lost[1] / lost[0] == pytest.approx(4.0, rel=0.05)
        assert lost[2] / lost[1] == pytest.approx(4.0, rel=0.05)
        cut = product(np.ones((1, 256)), np.ones((1, 256)), ir_drop=1.0, tile_shape=(1, 64))[0, 0]
        assert 1.0 - cut / 256 == pytest.approx(lost[0], rel=1e-9)


class TestTiles:
    def test_a_digital_sum(self, rng):
        X, W = rng.normal(size=(6, 10)), rng.normal(size=(7, 10))
        settings = {"in_bits": 4, "out_bits": 5, "out_bound": 3.0}
        peak = np.abs(W).max()
        parts = [
            sum(product(X[:, c], W[r, c], peak=peak, **settings) for c in (slice(0, 4), slice(4, 8), slice(8, 10)))
            for r in (slice(0, 3), slice(3, 6), slice(6, 7))
        ]
        np.testing.assert_allclose(product(X, W, tile_shape=(3, 4), **settings), np.hstack(parts), rtol=1e-12)

    @given(X=arrays(np.float64, (3, 5), elements=FINITE), W=arrays(np.float64, (4, 5), elements=FINITE))
    def test_of_exact_converters_add_nothing(self, X, W):
        tolerance = 1e-9 * (1 + np.abs(X).max() * np.abs(W).max())
        np.testing.assert_allclose(product(X, W, tile_shape=(3, 2)), product(X, W), rtol=0, atol=tolerance)

    def test_a_tile_greater_than_the_matrix(self, rng):
        X, W = rng.normal(size=(6, 10)), rng.normal(size=(7, 10))
        whole = product(X, W, in_bits=4)
        assert np.array_equal(whole, product(X, W, in_bits=4, tile_shape=(1000, 1000)))


class TestPrecision:
    """What a torch module's products are computed in."""

    def both(self, rng, **settings):
        X, W = rng.normal(size=(50, 20)), rng.normal(size=(10, 20))
        for dtype in (np.float64, np.float32):
            narrow = X.astype(np.float32).astype(dtype), W.astype(np.float32).astype(dtype)
            yield Periphery(**(BARE | settings)).unchecked_product(*narrow, np.random.default_rng(0), 2.0)

    @pytest.mark.parametrize("settings", [{}, {"ir_drop": 100.0}, {"in_bits": 24}, {"tile_shape": (3, 7)}])
    def test_float32_is_as_good_as_it_can_be(self, rng, settings):
        double, single = self.both(rng, **settings)
        assert (double.dtype, single.dtype) == (np.float64, np.float32)
        # Of sums of 20 products of up to 3 x 3.
        np.testing.assert_allclose(single, double, rtol=0, atol=20 * 9 * 2.0**-23)

    def test_noise_of_float32_has_its_size(self, rng):
        X, W, noise = np.ones((20_000, 4), np.float32), np.ones((3, 4), np.float32), 0.05
        outputs = Periphery(**(BARE | {"out_noise": noise})).unchecked_product(X, W, rng, 1.0)
        assert outputs.dtype == np.float32
        TestNoise.check(outputs, np.full(3, 4.0), np.full(3, noise))


class TestEdges:
    def test_zeros_and_nothing(self, rng):
        periphery = Periphery.standard()
        X = np.vstack([np.zeros(4), np.ones(4)])
        outputs = periphery.product(X, np.ones((3, 4)), rng)
        assert not outputs[0].any()
        assert outputs[1].all()
        assert not periphery.product(X, np.zeros((3, 4)), rng).any()
        assert periphery.product(np.zeros((0, 4)), np.ones((3, 4)), rng).shape == (0, 3)
        assert periphery.product(np.zeros((2, 0)), np.ones((3, 0)), rng).shape == (2, 3)

    @pytest.mark.parametrize("unit", [1e-150, 1e150])
    def test_units_do_not_matter(self, rng, unit):
        X, W = rng.normal(size=(5, 8)), rng.normal(size=(4, 8))
        first, scaled = (
            Periphery.standard().product(X * x, W * w, np.random.default_rng(0)) for x, w in ((1, 1), (unit, 1 / unit))
        )
        np.testing.assert_allclose(scaled, first, rtol=1e-9)

    @pytest.mark.parametrize(
        ("bad", "error"),
        [
            ({"in_bits": 1}, ValueError),
            ({"out_bits": 25}, ValueError),
            ({"out_bits": 8.0}, TypeError),
            ({"out_bound": 0.0}, ValueError),
            ({"out_bound": np.inf}, ValueError),
            ({"in_noise": -1.0}, ValueError),
            ({"out_noise": np.nan}, ValueError),
            ({"ir_drop": np.inf}, ValueError),
            ({"max_doublings": -1}, ValueError),
            ({"tile_shape": (0, 4)}, ValueError),
            ({"tile_shape": (4,)}, ValueError),
            ({"tile_shape": 512}, ValueError),
            ({"out_noise": "x"}, TypeError),
            ({"out_bound": None}, TypeError),
            ({"input_scale": 1.0}, TypeError),
        ],
    )
    def test_parameters_out_of_range(self, bad, error):
        with pytest.raises(error, match=next(iter(bad))):
            Periphery(**bad)

    @pytest.mark.parametrize("name", ["in_bits", "out_bits"])
    def test_no_bits_and_one_bit(self, name):
        assert Periphery(**{name: 0}) == Periphery(**{name: None})
        with pytest.raises(ValueError, match=f"{name}=1 has no meaning: levels symmetric around 0"):
            Periphery(**{name: 1})

    def test_it_shows_what_is_not_usual(self):
        assert repr(Periphery()) == "Periphery()"
        assert repr(Periphery(in_bits=8, out_noise=0.0)) == "Periphery(in_bits=8, out_noise=0.0)"

    def test_arguments_that_do_not_fit(self, rng):
        periphery = Periphery()
        for X, W, match in (
            (np.ones((2, 3)), np.ones((2, 4)), "X has 3 columns, but W has 4"),
            (np.ones(3), np.ones((2, 3)), "X must be a matrix"),
            (np.ones((2, 3)), np.full((2, 3), np.nan), "W holds 6 NaN or infinite entries of 6"),
        ):
            with pytest.raises(ValueError, match=match):
                periphery.product(X, W, rng)
        with pytest.raises(ValueError, match=r"peak=0.0"):
            periphery.product(np.ones((2, 3)), np.ones((2, 3)), rng, peak=0.0)
        with pytest.raises(TypeError, match="peak must be a number, got 'a'"):
            periphery.product(np.ones((2, 3)), np.ones((2, 3)), rng, peak="a")
        with pytest.raises(TypeError, match="rng must be"):
            periphery.product(np.ones((2, 3)), np.ones((2, 3)), 0)
