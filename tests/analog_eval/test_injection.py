"""Injection: the model comes back bit-identical, whatever happens inside the block."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analog_eval import ArrayModel, GaussianNoise, inject_noise, noise_sweep
from analog_eval.adapters import adapt

NOISE = GaussianNoise("absmax")


def state(model):
    """Identity and bytes of everything that holds weights."""
    adapter = adapt(model)
    holders = tuple(id(getattr(adapter.holder, name)) for name in adapter.pack([t.values for t in adapter.tensors]))
    return holders, [(id(t.values) if t.values.ndim else None, t.values.tobytes()) for t in adapter.tensors]


@pytest.fixture(params=["logistic", "linear", "mlp", "pipeline", "arrays", "read-only"])
def model(request, cancer):
    X, y = cancer
    match request.param:
        case "pipeline":
            return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
        case "arrays":
            return ArrayModel({"w": np.ones((3, 2)), "b": np.ones(2)}, lambda a, X: X @ a["w"] + a["b"])
        case "read-only":
            model = LogisticRegression().fit(X, y)
            model.coef_.flags.writeable = False
            return model
        case name:
            return request.getfixturevalue(name)


@pytest.mark.parametrize("targets", ["weights", "parameters"])
def test_noisy_inside_identical_after(model, targets):
    before = state(model)
    with inject_noise(model, NOISE, 0.1, targets=targets, random_state=0) as inside:
        assert inside is model
        changed = [a != b for a, b in zip(state(model)[1], before[1], strict=True)]
        roles = [t.role for t in adapt(model).tensors]
        assert changed == [role == "kernel" or targets == "parameters" for role in roles]
    assert state(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_identical_after_an_exception(model, error):
    before = state(model)
    with pytest.raises(error), inject_noise(model, NOISE, 0.1):
        raise error
    assert state(model) == before


def test_nested_blocks_add_up_and_unwind(linear):
    clean = linear.coef_.copy()
    before = state(linear)
    absolute = GaussianNoise("absolute")
    with inject_noise(linear, absolute, 0.5, random_state=1):
        once = linear.coef_.copy()
        middle = state(linear)
        with inject_noise(linear, absolute, 0.5, random_state=2):
            twice = linear.coef_.copy()
        assert state(linear) == middle
    assert state(linear) == before
    with inject_noise(linear, absolute, 0.5, random_state=2):
        np.testing.assert_allclose(twice - once, linear.coef_ - clean, atol=1e-12)


def test_a_failing_assignment_is_undone(linear, monkeypatch):
    before = state(linear)

    class Stubborn(LinearRegression):
        def __setattr__(self, name, value):
            if name == "intercept_" and hasattr(self, "intercept_") and value is not keep:
                raise RuntimeError("no")
            super().__setattr__(name, value)

    keep = linear.intercept_
    linear.__class__ = Stubborn
    with pytest.raises(RuntimeError, match="no"), inject_noise(linear, NOISE, 0.1, targets="parameters"):
        pytest.fail("the block must not run")
    linear.__class__ = LinearRegression
    assert state(linear) == before


def test_the_seed_decides(mlp):
    def noisy(seed, targets="weights"):
        with inject_noise(mlp, NOISE, 0.1, random_state=seed, targets=targets):
            return np.concatenate([kernel.ravel() for kernel in mlp.coefs_])

    assert np.array_equal(noisy(3), noisy(3))
    assert not np.array_equal(noisy(3), noisy(4))
    # A tensor keeps its numbers whichever others get noise.
    assert np.array_equal(noisy(3), noisy(3, "parameters"))


def test_it_is_the_first_draw_of_a_sweep(mlp, digits):
    X, y = digits[0][1000:], digits[1][1000:]
    report = noise_sweep(mlp, X, y, levels=(0.5,), n_draws=2, random_state=8)
    with inject_noise(mlp, GaussianNoise("std"), 0.5, random_state=8):
        assert mlp.score(X, y) == pytest.approx(report.draws["score"][0], abs=1e-12)


def test_arguments_are_checked_before_the_block(linear):
    with pytest.raises(TypeError, match="GaussianNoise"):
        inject_noise(linear, 0.1, 0.1)
    with pytest.raises(ValueError, match="level=-1"):
        inject_noise(linear, NOISE, -1)
    with pytest.raises(ValueError, match="random_state=-1"):
        inject_noise(linear, NOISE, 0.1, random_state=-1)
    with pytest.raises(TypeError, match="random_state must be"):
        inject_noise(linear, NOISE, 0.1, random_state="seed")
    with pytest.raises(ValueError, match="targets='kernels'"):
        inject_noise(linear, NOISE, 0.1, targets="kernels")
    with pytest.raises(TypeError, match="Supported"):
        inject_noise(object(), NOISE, 0.1)


def test_a_generator_moves_on_only_inside_the_block(linear):
    source = np.random.default_rng(0)
    block = inject_noise(linear, NOISE, 0.1, random_state=source)
    assert source.bit_generator.state == np.random.default_rng(0).bit_generator.state
    with block:
        assert source.bit_generator.state != np.random.default_rng(0).bit_generator.state
