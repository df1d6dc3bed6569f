"""The tensors of torch modules: every one has its role, and what has none that can be seen is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from analog_eval import GaussianNoise, inject_noise, noise_sweep
from analog_eval.adapters import adapt, target_indices
from analog_eval.injection import NoisyTensors

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional

from torch.nn.utils import prune  # noqa: E402 (needs torch)

from .module_nets import Tied, convolutional  # noqa: E402


@pytest.fixture
def rows(rng):
    return rng.normal(size=(40, 8))


class TestTensors:
    def test_roles(self):
        module = nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.BatchNorm2d(2),
            nn.PReLU(),
            nn.LayerNorm((2, 3)),
            nn.MultiheadAttention(4, 2),
            nn.Linear(4, 1),
        )
        roles = {tensor.name: tensor.role for tensor in adapt(module).tensors}
        assert roles == {
            "0.weight": "kernel",
            "0.bias": "bias",
            "1.weight": "gain",
            "1.bias": "shift",
            "1.running_mean": "statistic",
            "1.running_var": "statistic",
            "2.weight": "gain",
            "3.weight": "gain",
            "3.bias": "shift",
            "4.in_proj_weight": "kernel",
            "4.in_proj_bias": "bias",
            "4.out_proj.weight": "kernel",
            "4.out_proj.bias": "bias",
            "5.weight": "kernel",
            "5.bias": "bias",
        }

    def test_values_are_the_modules_own_memory(self):
        module = nn.Linear(3, 2)
        assert adapt(module).tensors[0].values.ctypes.data == module.weight.data_ptr()

    @pytest.mark.parametrize("same_object", [True, False])
    def test_tied_weights_count_once(self, same_object):
        module = Tied(same_object=same_object)
        names = [tensor.name for tensor in adapt(module).tensors]
        assert names == ["down.weight", "down.bias", "up.bias"]
        with inject_noise(module, GaussianNoise("std"), 0.3):
            assert torch.equal(module.down.weight, module.up.weight)

    def test_a_part_that_is_used_twice_counts_once(self):
        layer = nn.Linear(3, 3)
        assert len(adapt(nn.Sequential(layer, nn.ReLU(), layer)).tensors) == 2

    def test_a_variance_that_turns_negative_is_zero(self, rows):
        module = nn.Sequential(nn.Linear(8, 50), nn.BatchNorm1d(50), nn.Linear(50, 3))
        nn.init.uniform_(module[1].running_var, 0.0, 0.2)
        nn.init.normal_(module[1].running_mean)
        adapter = adapt(module)
        places = {tensor.name: i for i, tensor in enumerate(adapter.tensors)}
        noisy = NoisyTensors(adapter, GaussianNoise("absmax"), "state", 0)
        units = noisy.draw()
        arrays = noisy.at(2.0, units)
        variance, mean = (arrays[places[f"1.running_{what}"]] for what in ("var", "mean"))
        clean = module[1].running_var.numpy()
        drawn = clean + 2.0 * clean.max() * units[places["1.running_var"]]
        assert (drawn < 0).any()
        np.testing.assert_allclose(variance, np.maximum(drawn, 0.0), rtol=1e-5)
        assert variance.dtype == np.float32
        assert (mean < 0).any()
        report = noise_sweep(module, rows, rows[:, :3], targets="state", levels=(2.0,), n_draws=5)
        assert np.isfinite(report.table["mean"]).all()

    def test_targets(self):
        module = convolutional()
        names = {
            targets: [adapt(module).tensors[i].name for i in target_indices(adapt(module).tensors, targets)]
            for targets in ("weights", "parameters", "state")
        }
        assert names["weights"] == ["1.weight", "5.weight"]
        assert names["parameters"] == ["1.weight", "1.bias", "2.weight", "2.bias", "5.weight", "5.bias"]
        assert set(names["state"]) - set(names["parameters"]) == {"2.running_mean", "2.running_var"}

    def test_wrappers_are_looked_through(self):
        module = nn.Linear(3, 2)
        assert [tensor.name for tensor in adapt(nn.DataParallel(module)).tensors] == ["weight", "bias"]
        assert noise_sweep(nn.DataParallel(module), np.eye(3), [0, 1, 0], n_draws=2).settings["model"] == "Linear"


class TestOddModules:
    def test_without_weights(self):
        with pytest.raises(ValueError, match=r"targets='weights' names none .*: no tensors"):
            noise_sweep(nn.ReLU(), np.ones((3, 2)), [0, 1, 0])
        with pytest.raises(ValueError, match=r"names none .*weight \(gain\)"):
            noise_sweep(nn.LayerNorm(2), np.ones((3, 2)), [0, 1, 0])

    def test_weights_that_are_no_numbers(self):
        module = nn.Sequential(nn.Linear(3, 2))
        nn.init.constant_(module[0].bias, float("nan"))
        with pytest.raises(ValueError, match=r"model: 0\.bias holds 2 NaN or infinite entries of 2"):
            adapt(module)
        with pytest.raises(TypeError, match=r"weight must hold real numbers, got torch\.complex64"):
            adapt(nn.Linear(3, 2, dtype=torch.complex64))

    def test_weights_without_values(self):
        with pytest.raises(ValueError, match=r"0\.weight has no values yet; run"):
            adapt(nn.Sequential(nn.LazyLinear(2)))
        with pytest.raises(ValueError, match="weight is on the meta device"):
            adapt(nn.Linear(3, 2, device="meta"))

    def test_weights_that_are_computed(self):
        parametrized = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))
        with pytest.raises(ValueError, match=r"model: 0 computes weight by parametrizations.*remove_parametrizations"):
            adapt(parametrized)
        pruned = nn.Sequential(nn.Linear(3, 2))
        prune.l1_unstructured(pruned[0], "weight", 0.5)
        with pytest.raises(ValueError, match=r"model: 0 computes a weight before every call .*prune\.remove"):
            adapt(pruned)
        prune.remove(pruned[0], "weight")
        assert len(adapt(pruned).tensors) == 2

    def test_weights_out_of_sight(self):
        sparse = nn.Linear(3, 2, bias=False)
        sparse.weight = nn.Parameter(sparse.weight.detach().to_sparse(), requires_grad=False)
        with pytest.raises(TypeError, match=r"weight is of layout torch\.sparse_coo"):
            adapt(sparse)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = torch.jit.script(nn.Linear(3, 2))
        with pytest.raises(TypeError, match="TorchScript"):
            adapt(script)

    def test_a_class(self):
        with pytest.raises(TypeError, match="class Linear, not a fitted object"):
            adapt(nn.Linear)

    def test_that_cannot_be_copied(self):
        module = nn.Linear(3, 2)
        module.last = module(torch.ones(1, 3))
        with pytest.raises(TypeError, match="Linear cannot be copied"):
            noise_sweep(module, np.eye(3), [0, 1, 0])

    def test_outputs(self):
        with pytest.raises(TypeError, match="answers with tuple, not a tensor"):
            noise_sweep(nn.LSTM(3, 2), np.eye(3), [0, 1, 0])
        with pytest.raises(ValueError, match=r"answers with shape \(3, 1, 2\) for X with 3 rows"):
            noise_sweep(nn.Sequential(nn.Linear(3, 2), nn.Unflatten(1, (1, 2))), np.eye(3), [0, 1, 0])
        with pytest.raises(ValueError, match="answers NaN without any noise, in 1 of the 3 rows"):
            noise_sweep(nn.Linear(3, 2), [[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 1, 0])
