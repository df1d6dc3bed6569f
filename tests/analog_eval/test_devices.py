"""Every device keeps the contract; pairs, times and tables by hand; random numbers are drawn once."""

from __future__ import annotations

import dataclasses
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import analog_eval
from analog_eval import PCM, Hermes, ReRAM, StateIndependent, TabulatedDevice
from analog_eval.devices import Device, in_words, to_seconds
from analog_eval.devices.blocks import BLOCK

TABLE = TabulatedDevice(
    conductances=(0.0, 10.0, 50.0),
    programming=(0.1, 1.0, 0.5),
    exponent_mean=(0.1, 0.05, 0.02),
    exponent_sd=(0.02, 0.01, 0.0),
    read_noise=(0.1, 0.02, 0.01),
)
DEVICES = [
    PCM(),
    PCM(g_max=10.0, g_min=0.5, significances=(1.0, 4.0)),
    Hermes(),
    Hermes(n_unit=1),
    ReRAM(),
    StateIndependent(),
    TABLE,
]
FINITE = st.floats(-1e3, 1e3, allow_nan=False, width=32)
WEIGHTS = arrays(np.float64, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), elements=FINITE)
EXACT = {"programming_scale": 0.0, "drift_scale": 0.0, "read_scale": 0.0}


def test_every_public_device_is_checked():
    public = {v for v in vars(analog_eval).values() if inspect.isclass(v) and issubclass(v, Device)}
    assert public - {Device} == {type(device) for device in DEVICES}


@pytest.mark.parametrize("device", DEVICES, ids=repr)
class TestContract:
    @given(weights=WEIGHTS, seed=st.integers(0, 9), n=st.integers(1, 3))
    def test_shapes_types_and_repeatability(self, device, weights, seed, n):
        before = weights.tobytes()
        programmed = device.program(weights, np.random.default_rng(seed), n)
        assert programmed.n == n
        for time in ("1s", "1d"):
            read, conductances = device.read(programmed, time), device.drift(programmed, time)
            assert read.shape == (n, *weights.shape)
            assert conductances.shape == (n, device.n_devices, *weights.shape)
            assert np.isfinite(read).all()
            assert (conductances >= 0.0).all()
            assert read.dtype == np.float64
            again = device.program(weights, np.random.default_rng(seed), n)
            assert np.array_equal(read, device.read(again, time))
            assert np.array_equal(read, device.read(programmed, time))
        assert weights.tobytes() == before

    def test_more_programmings_keep_the_first_ones(self, device, rng):
        for shape in ((7,), (5, 3000), (3, BLOCK)):
            weights = rng.normal(size=shape)
            few, more = (device.program(weights, np.random.default_rng(1), n) for n in (1, 3))
            assert np.array_equal(device.read(few, "1d")[0], device.read(more, "1d")[0])

    def test_precision(self, device, rng):
        weights = rng.normal(size=(4, 50)).astype(np.float32)
        single = device.read(device.program(weights, np.random.default_rng(0)), "1d")
        double = device.read(device.program(weights.astype(np.float64), np.random.default_rng(0)), "1d")
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)
        assert device.read(device.program([1, -2, 4], np.random.default_rng(0)), "1d").dtype == np.float64
        half = device.program(weights.astype(np.float16), np.random.default_rng(0))
        assert device.read(half, "1d").dtype == np.float16
        assert half.state[0].dtype == np.float32

    def test_the_unit_of_the_weights_does_not_matter(self, device, rng):
        weights = rng.normal(size=30)
        read = device.read(device.program(weights, np.random.default_rng(0)), "1d")
        for unit in (1e-300, 1e300):
            scaled = device.read(device.program(weights * unit, np.random.default_rng(0)), "1d")
            np.testing.assert_allclose(scaled, read * unit, rtol=1e-9, atol=1e-14 * unit)

    def test_all_zero_weights_stay_zero(self, device):
        programmed = device.program(np.zeros((2, 3)), np.random.default_rng(0), 4)
        assert not device.read(programmed, "1d").any()

    def test_weights_of_one_sign(self, device, rng):
        weights = 1.0 + rng.random(2000)
        up, down = (device.read(device.program(sign * weights, np.random.default_rng(0)), "1d") for sign in (1.0, -1.0))
        assert (np.sign(up) > 0).mean() > 0.99
        # Mirrored in distribution, not bit by bit: the two devices of a pair have numbers of their own.
        assert abs(up.mean() + down.mean()) < 4 * np.sqrt((up.var() + down.var()) / weights.size)

    def test_one_huge_weight_leaves_the_others_next_to_nothing(self, device):
        weights = np.append(np.full(500, 1e-3), 1e6)
        targets = device.targets(weights)
        assert np.allclose(targets[0, :-1], device.g_min + 1e-9 * targets[0, -1] * sum(device.significances), atol=1e-6)
        read = device.read(device.program(weights, np.random.default_rng(0)), "1d")[0]
        # What is left of the small ones is the noise of empty devices, in the unit of the huge one.
        assert np.abs(read[:-1]).max() > 1e3
        assert 0.2 < read[-1] / 1e6 < 1.5

    def test_times_that_mean_nothing(self, device):
        programmed = device.program(np.ones(2), np.random.default_rng(0))
        for bad in (-1.0, np.nan, np.inf, 1e12, "-1s", "25 parsecs", "1 month", "h", ""):
            with pytest.raises(ValueError, match="time="):
                device.read(programmed, bad)
            with pytest.raises(ValueError, match="time="):
                device.drift(programmed, bad)
        for bad in (None, True, [1.0]):
            with pytest.raises(TypeError, match="time="):
                device.read(programmed, bad)

    def test_wrong_arguments(self, device):
        rng = np.random.default_rng(0)
        with pytest.raises(ValueError, match="1 NaN or infinite entries of 2"):
            device.program([1.0, np.inf], rng)
        with pytest.raises(TypeError, match="weights must hold real numbers"):
            device.program(["a"], rng)
        with pytest.raises(TypeError, match=r"rng must be a .*Generator, got int"):
            device.program([1.0], 0)
        with pytest.raises(TypeError, match="n must be an int"):
            device.program([1.0], rng, 1.5)
        with pytest.raises(ValueError, match="n=0 must be >= 1"):
            device.program([1.0], rng, 0)

    def test_frozen_equal_and_pickled(self, device):
        again = pickle.loads(pickle.dumps(device))
        assert again == device
        assert hash(again) == hash(device)
        with pytest.raises(dataclasses.FrozenInstanceError):
            device.g_max = 1.0

    def test_numbers_may_be_arrays_without_dimensions(self, device):
        again = dataclasses.replace(device, g_max=np.array(device.g_max))
        assert again == device
        assert isinstance(again.g_max, float)
        with pytest.raises(TypeError, match="g_max must be a number"):
            dataclasses.replace(device, g_max=np.array("a"))

    def test_parameters_out_of_range(self, device):
        for bad in ({"g_max": 0.0}, {"g_max": np.inf}, {"g_min": -1.0}, {"g_min": device.g_max}):
            with pytest.raises(ValueError, match="g_m"):
                dataclasses.replace(device, **bad)
        for bad in ((), (0.0,), (1.0, -1.0)):
            with pytest.raises(ValueError, match="significances"):
                dataclasses.replace(device, significances=bad)
        with pytest.raises(ValueError, match="programming_scale"):
            dataclasses.replace(device, programming_scale=-1.0)
        for name in ("g_max", "g_min", "programming_scale"):
            for bad in ("a", None, True):
                with pytest.raises(TypeError, match=f"{name} must be a number, got {bad!r}"):
                    dataclasses.replace(device, **{name: bad})
        with pytest.raises(TypeError, match=r"significances must be one number a pair of devices, got 2.0"):
            dataclasses.replace(device, significances=2.0)
        with pytest.raises(TypeError, match="significances must be a number, got 'a'"):
            dataclasses.replace(device, significances=("a",))


class TestPairs:
    def test_by_hand(self):
        device = PCM(g_min=5.0)
        assert device.targets([[4.0, -1.0], [0.0, 2.0]]).tolist() == [[[25, 5], [5, 15]], [[5, 10], [5, 5]]]

    def test_several_pairs_are_filled_one_after_the_other(self):
        device = PCM(g_max=10.0, significances=(1.0, 2.0, 1.0))
        # In units of the greatest weight the pairs hold a quarter, a half and a quarter.
        targets = device.targets([1.0, -0.5, 0.1])
        assert np.allclose(targets[0::2], [[10, 0, 4], [10, 0, 0], [10, 0, 0]])
        assert np.allclose(targets[1::2], [[0, 10, 0], [0, 5, 0], [0, 0, 0]])

    @given(weights=WEIGHTS, g_min=st.sampled_from([0.0, 2.0]), pairs=st.sampled_from([(1.0,), (1.0, 1.0), (1.0, 8.0)]))
    def test_exact_devices_return_the_weights(self, weights, g_min, pairs):
        device = StateIndependent(g_min=g_min, significances=pairs, **EXACT)
        read = device.read(device.program(weights, np.random.default_rng(0), 2), "1y")
        np.testing.assert_allclose(
            read, np.stack([weights] * 2), rtol=1e-13, atol=1e-13 * np.abs(weights).max(initial=0)
        )

    def test_two_pairs_of_equal_significance_err_less(self):
        weights = np.full(20_000, 1.0)
        one, two = (
            device.read(device.program(weights, np.random.default_rng(0)), 0, noise=False).std()
            for device in (PCM(), PCM(significances=(1.0, 1.0)))
        )
        assert two / one == pytest.approx(np.sqrt(0.5), rel=0.02)


class TestTime:
    def test_no_drift_at_zero(self):
        device = PCM()
        programmed = device.program(np.linspace(-1, 1, 11), np.random.default_rng(0), 5)
        assert np.array_equal(device.drift(programmed, 0).reshape(5, 2, 11), programmed.state[0])
        assert not np.array_equal(device.read(programmed, 0), device.read(programmed, 0, noise=False))

    def test_every_device_drifts_steadily_and_on_its_own(self):
        device = PCM()
        programmed = device.program(np.ones(20_000), np.random.default_rng(0))
        path = np.array([device.drift(programmed, time)[0] for time in ("25s", "1h", "1mo", "1y")])
        assert (np.diff(path, axis=0) <= 0.0).all()
        # A device that was programmed to 0 tells no exponent.
        path = path[:, :, (path[0] > 0.0).all(axis=0)]
        exponents = -np.log(path[-1] / path[0]) / np.log((365 * 86400 + 20) / 45)
        assert abs(np.corrcoef(exponents)[0, 1]) < 4 / np.sqrt(path.shape[2])
        # Along one device ln g is a straight line in ln(t + t0).
        slope = -np.log(path[2] / path[0]) / np.log((30 * 86400 + 20) / 45)
        np.testing.assert_allclose(slope, exponents, rtol=1e-10)

    def test_reading_noise_is_shared_by_all_times(self):
        device = PCM(programming_scale=0.0, drift_scale=0.0)
        programmed = device.program(np.ones(1000), np.random.default_rng(0))
        first, last = (device.read(programmed, time)[0] for time in ("1h", "1y"))
        assert np.corrcoef(first, last)[0, 1] > 0.99

    def test_reram_knows_three_times_only(self):
        programmed = ReRAM().program(np.ones(3), np.random.default_rng(0))
        for time in (1, "1s", "24h", "1d", 172800):
            assert ReRAM().read(programmed, time).shape == (1, 3)
        for time in (0, "25s", "1y"):
            with pytest.raises(ValueError, match="none of the times that were measured: 1s, 1d, 2d"):
                ReRAM().read(programmed, time)

    def test_in_seconds(self):
        times = {"25s": 25, "1min": 60, "1h": 3600, " 1.5 h ": 5400, "1d": 86400, "1mo": 2592000, "1y": 31536000}
        assert {time: to_seconds(time) for time in times} == times
        assert to_seconds(np.float32(2.0)) == 2.0
        assert to_seconds("2e3s") == 2000.0
        assert to_seconds(".5d") == 43200.0

    @given(st.sampled_from(["s", "min", "h", "d", "mo", "y"]), st.integers(0, 900))
    def test_words_are_read_back(self, unit, number):
        seconds = to_seconds(f"{number}{unit}")
        assert to_seconds(in_words(seconds)) == seconds


def test_names_tell_what_is_not_usual():
    assert repr(PCM()) == "PCM()"
    assert repr(PCM(g_max=10.0, read_scale=0.0)) == "PCM(g_max=10.0, read_scale=0.0)"


class TestHermes:
    def test_one_device_and_two(self):
        assert (Hermes(n_unit=1).g_max, Hermes(n_unit=1).t0) == (10.35, 200.0)
        assert (Hermes().g_max, Hermes().t0) == (20.7, 300.0)
        assert (Hermes(g_max=10.0, t0=5.0).g_max, Hermes(g_max=10.0, t0=5.0).t0) == (10.0, 5.0)

    def test_noise_is_in_proportion_to_the_greatest_conductance(self):
        share = np.array([0.0, 0.3, 1.0])
        whole, half = Hermes(), Hermes(g_max=10.35)
        np.testing.assert_allclose(half.programming_sd(share * 10.35) * 2, whole.programming_sd(share * 20.7))

    def test_more_than_was_measured(self):
        with pytest.raises(ValueError, match=r"g_max=20.7 is more than was measured, 10.35 uS \(n_unit=1\)"):
            Hermes(n_unit=1, g_max=20.7)
        with pytest.raises(ValueError, match=r"n_unit=\[1\] is neither 1 nor 2"):
            Hermes(n_unit=[1])
        with pytest.raises(ValueError, match="n_unit=3 is neither 1 nor 2"):
            Hermes(n_unit=3)


class TestTables:
    def test_between_and_beyond_the_rows(self):
        targets = np.array([5.0, 30.0, 80.0])
        assert np.allclose(TABLE.programming_sd(targets), [0.55, 0.75, 0.5])
        assert np.allclose(TABLE.drift_exponent(targets), [[0.075, 0.035, 0.02], [0.015, 0.005, 0.0]])
        assert np.allclose(TABLE.read_share(targets), [0.06, 0.015, 0.01])

    def test_what_is_left_out_is_nothing(self):
        device = TabulatedDevice(conductances=[0.0, 9.0], programming=[0.0, 0.0])
        assert device.g_max == 9.0
        weights = np.array([[0.25, -1.0]])
        assert np.array_equal(device.read(device.program(weights, np.random.default_rng(0)), "1y")[0], weights)

    def test_arrays_and_tuples_are_the_same(self):
        assert TabulatedDevice(conductances=np.array([0.0, 9.0]), programming=[1, 2]) == TabulatedDevice(
            conductances=(0.0, 9.0), programming=(1.0, 2.0)
        )

    @pytest.mark.parametrize(
        ("bad", "match"),
        [
            ({"conductances": (0.0, 0.0)}, "must ascend"),
            ({"conductances": ()}, "must ascend, and hold at least one"),
            ({"programming": (1.0,)}, "programming has 1 entries, but conductances has 2"),
            ({"read_noise": (1.0, 2.0, 3.0)}, "read_noise has 3 entries, but conductances has 2"),
            ({"exponent_sd": (0.1, -0.1)}, "exponent_sd="),
            ({"exponent_mean": (0.1, np.nan)}, "exponent_mean="),
            ({"t0": 0.0}, "t0=0.0"),
            ({"t0": 1e-9}, "t0=1e-09 must not be less than t_read"),
            ({"t_read": -1.0}, "t_read=-1.0"),
        ],
    )
    def test_bad_ones(self, bad, match):
        with pytest.raises(ValueError, match=match):
            TabulatedDevice(**({"conductances": (0.0, 1.0), "programming": (0.1, 0.1)} | bad))

    def test_no_numbers(self):
        with pytest.raises(TypeError, match="programming must hold numbers"):
            TabulatedDevice(conductances=(0.0, 1.0), programming=("a", "b"))
