"""Normalizations: scales against their formulas, gradients against differences; conversion and recalibration."""

from __future__ import annotations

import copy
import io
import sys
from itertools import pairwise
from math import log, pi, sqrt

import numpy as np
import pytest

import analog_eval
from analog_eval import GaussianNoise, inject_noise, noise_sweep

torch = pytest.importorskip("torch")
nn = torch.nn

from analog_eval.adapters import adapt  # noqa: E402 (needs torch)
from analog_eval.normalization import (  # noqa: E402
    L1BatchNorm1d,
    L1BatchNorm2d,
    TopKBatchNorm1d,
    TopKBatchNorm2d,
    convert_batchnorm,
    recalibrate_batchnorm,
)
from analog_eval.normalization.constants import calibrated_constant, published_constant  # noqa: E402
from analog_eval.normalization.layers import ScaleNorm  # noqa: E402

from .normalized_nets import SHAPES, images_net, inputs, randomized  # noqa: E402


class RootNorm1d(ScaleNorm, nn.BatchNorm1d):
    """The standard deviation in the frame of the other scales: what torch does already."""

    def scale(self, centered):
        return torch.sqrt(centered.square().mean(dim=[d for d in range(centered.ndim) if d != 1]) + self.eps) - self.eps


NORMS = {
    "l1": (L1BatchNorm1d, L1BatchNorm2d, {}),
    "topk": (TopKBatchNorm1d, TopKBatchNorm2d, {"k": 3}),
    "topk calibrated": (TopKBatchNorm1d, TopKBatchNorm2d, {"k": 3, "calibrated": True}),
}


@pytest.fixture(params=NORMS)
def kind(request):
    return request.param


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def norm_for(kind, shape, **options):
    one, two, extra = NORMS[kind]
    return (two if len(shape) == 4 else one)(3, **extra, **options)


def by_hand(kind, channel):
    """The scale of one channel, in plain Python."""
    deviations = sorted((abs(v - channel.mean()) for v in channel), reverse=True)
    n = len(deviations)
    if kind == "l1":
        return sqrt(pi / 2) * sum(deviations) / n
    constant = (1 + sqrt(pi * log(4))) / (2 * sqrt(2 * log(n))) if kind == "topk" else calibrated_constant(n, 3)
    return constant * sum(deviations[:3]) / 3


class TestFormulas:
    def test_outputs_and_running_statistics(self, kind, shape):
        norm = norm_for(kind, shape, momentum=0.25, eps=0.01, dtype=torch.float64)
        nn.init.constant_(norm.weight, 2.0)
        nn.init.constant_(norm.bias, -1.0)
        x = inputs(shape)
        y = norm(x).detach().numpy()
        for c in range(3):
            channel = x.numpy()[:, c].ravel()
            scale = by_hand(kind, channel)
            np.testing.assert_allclose(y[:, c].ravel(), 2 * (channel - channel.mean()) / (scale + 0.01) - 1, rtol=1e-12)
            # PyTorch's convention: the momentum is the share of the new batch; it begins at mean 0 and scale 1.
            assert norm.running_mean[c].item() == pytest.approx(0.25 * channel.mean())
            assert norm.running_scale[c].item() == pytest.approx(0.75 + 0.25 * scale)
        assert norm.num_batches_tracked.item() == 1

    def test_eval_mode_uses_running_statistics(self, kind, shape):
        norm = randomized(norm_for(kind, shape, eps=0.01, dtype=torch.float64)).eval()
        before, x = copy.deepcopy(norm.state_dict()), inputs(shape)
        y = norm(x).detach()
        for c in range(3):
            gain = norm.weight[c] / (norm.running_scale[c] + 0.01)
            expected = (x[:, c] - norm.running_mean[c]) * gain + norm.bias[c]
            torch.testing.assert_close(y[:, c], expected.detach(), rtol=1e-12, atol=1e-12)
        assert all(torch.equal(norm.state_dict()[name], values) for name, values in before.items())

    def test_momentum_none_averages_all_batches(self, kind, shape):
        norm = norm_for(kind, shape, momentum=None, dtype=torch.float64)
        scales, means = [], []
        for seed in range(4):
            x = inputs(shape, seed)
            norm(x)
            scales.append([by_hand(kind, x.numpy()[:, c].ravel()) for c in range(3)])
            means.append([x.numpy()[:, c].mean() for c in range(3)])
        np.testing.assert_allclose(norm.running_scale, np.mean(scales, axis=0), rtol=1e-12)
        np.testing.assert_allclose(norm.running_mean, np.mean(means, axis=0), rtol=1e-12)

    def test_without_running_statistics_the_batch_counts(self, kind, shape):
        norm = norm_for(kind, shape, track_running_stats=False, affine=False)
        assert not list(norm.state_dict())
        x = inputs(shape, dtype=torch.float32)
        torch.testing.assert_close(norm.eval()(x), norm.train()(x))
        torch.testing.assert_close(norm(x), norm_for(kind, shape, affine=False)(x))

    def test_gradients(self, kind, shape):
        norm = norm_for(kind, shape, dtype=torch.float64)
        weight, bias = (torch.rand(3, dtype=torch.float64, requires_grad=True) for _ in range(2))

        def call(x, weight, bias):
            return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x,))

        x = inputs(shape).requires_grad_()
        assert torch.autograd.gradcheck(call, (x, weight, bias))
        norm.eval()
        assert torch.autograd.gradcheck(call, (x, weight, bias))

    def test_normal_values_come_out_with_unit_deviation(self):
        # 20,000 values: the relative error of a mean absolute deviation is .75 / sqrt(20000) = .005, six of them .03.
        x = inputs((20_000, 3))
        for norm, bound in ((L1BatchNorm1d(3), 0.03), (TopKBatchNorm1d(3, k=200, calibrated=True), 0.05)):
            np.testing.assert_allclose(norm.double()(x).detach().std(dim=0), 1.0, atol=bound)


class TestTheFrame:
    """The frame with torch's own scale against torch."""

    @pytest.mark.parametrize("affine", [True, False])
    @pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5)])
    def test_outputs_and_gradients(self, shape, affine):
        ours, theirs = (kind(3, affine=affine, momentum=1.0).double() for kind in (RootNorm1d, nn.BatchNorm1d))
        results = []
        for norm in (ours, theirs):
            randomized(norm)
            x = inputs(shape).requires_grad_()
            y = norm(x)
            (y**3).sum().backward()
            results.append([y, x.grad, *(p.grad for p in norm.parameters())])
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        assert ours.num_batches_tracked == theirs.num_batches_tracked
        # Torch keeps the unbiased variance.
        n = x.numel() // 3
        variance = (ours.running_scale + 1e-5) ** 2 - 1e-5
        torch.testing.assert_close(variance, theirs.running_var * (n - 1) / n, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("bad", [(3,), (2, 3, 4, 5, 6), (1, 3)])
    def test_the_same_inputs_are_errors(self, bad):
        for norm in (nn.BatchNorm1d(3), L1BatchNorm1d(3), TopKBatchNorm1d(3, k=1)):
            with pytest.raises(ValueError, match=r"[Ee]xpected"):
                norm(torch.ones(bad))

    def test_the_same_options(self):
        theirs = nn.BatchNorm2d(3, 0.1, None, False, False)
        ours = L1BatchNorm2d(3, 0.1, None, False, False)
        for name in ("num_features", "eps", "momentum", "affine", "track_running_stats", "weight", "bias"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert isinstance(ours, nn.BatchNorm2d)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_inputs_are_measured_in_single_precision(self, kind, shape, dtype):
        norm, x = norm_for(kind, shape), inputs(shape, dtype=dtype)
        y = norm(x)
        assert y.dtype == dtype
        expected = norm_for(kind, shape)(x.float())
        torch.testing.assert_close(y, expected.to(dtype))
        assert norm.running_scale.dtype == torch.float32

    def test_values_whose_sum_is_beyond_half_precision(self):
        x = torch.full((400, 1), 300.0, dtype=torch.float16)
        x[::2] = -300.0
        y = L1BatchNorm1d(1)(x)
        np.testing.assert_allclose(y.detach().abs(), sqrt(2 / pi), rtol=1e-3)

    def test_half_modules(self, kind, shape):
        norm = norm_for(kind, shape).to(torch.bfloat16)
        assert norm(inputs(shape, dtype=torch.bfloat16)).dtype == torch.bfloat16
        assert norm.running_scale.dtype == torch.bfloat16

    def test_autocast(self, kind):
        net = nn.Sequential(nn.Linear(3, 3), norm_for(kind, (7, 3)), nn.Linear(3, 2))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = net(inputs((7, 3), dtype=torch.float32))
        y.float().sum().backward()
        assert y.dtype == torch.bfloat16
        assert all(torch.isfinite(p.grad).all() for p in net.parameters())


class TestConstants:
    @pytest.mark.parametrize(("n", "k"), [(2, 1), (10, 3), (128, 10), (128, 127)])
    def test_calibrated_one_against_simulation(self, n, k):
        draws = np.sort(np.abs(np.random.default_rng(0).standard_normal((20_000, n))), axis=1)[:, n - k :].mean(axis=1)
        error = draws.std() / sqrt(len(draws))
        assert abs(draws.mean() - 1 / calibrated_constant(n, k)) < 5 * error

    def test_two_values_by_hand(self):
        # E max(|Z1|, |Z2|) = 2 / sqrt(pi); of one value sqrt(2 / pi).
        assert calibrated_constant(2, 1) == pytest.approx(sqrt(pi) / 2, rel=1e-9)
        assert calibrated_constant(1, 1) == pytest.approx(sqrt(pi / 2))

    def test_published_one_is_not_calibrated(self):
        ratios = [published_constant(16384) / calibrated_constant(16384, k) for k in (1, 10, 50)]
        np.testing.assert_allclose(ratios, [1.45, 1.28, 1.14], atol=0.006)

    def test_all_values_are_the_l1_scale(self):
        x = inputs((9, 3))
        top = TopKBatchNorm1d(3, k=9, calibrated=True).double()
        torch.testing.assert_close(top(x), L1BatchNorm1d(3).double()(x))

    def test_more_than_there_are(self):
        with pytest.raises(ValueError, match="k=10 is more than the 7 values"):
            TopKBatchNorm1d(3)(inputs((7, 3)))
        with pytest.raises(ValueError, match="k=0"):
            TopKBatchNorm1d(3, k=0)
        with pytest.raises(TypeError, match="k must be an int"):
            TopKBatchNorm2d(3, k=2.0)

    def test_large_counts(self):
        values = [calibrated_constant(n, 10) for n in (10, 100, 10**4, 10**6, 10**8)]
        assert (np.diff(values) < 0).all()


class TestState:
    def test_round_trips(self, kind, shape):
        norm = randomized(norm_for(kind, shape)).eval()
        x = inputs(shape, dtype=torch.float32)
        fresh = norm_for(kind, shape).eval()
        fresh.load_state_dict(norm.state_dict())
        file = io.BytesIO()
        torch.save(norm, file)
        file.seek(0)
        for other in (fresh, copy.deepcopy(norm), torch.load(file, weights_only=False)):
            assert torch.equal(other(x), norm(x))
            assert list(other.state_dict()) == list(norm.state_dict())

    def test_that_of_a_plain_batch_norm_is_taken(self, kind, shape):
        plain = randomized(nn.BatchNorm2d(3) if len(shape) == 4 else nn.BatchNorm1d(3)).eval()
        net = nn.Sequential(norm_for(kind, shape)).eval()
        state = nn.Sequential(plain).state_dict()
        net.load_state_dict(state)
        assert "0.running_var" in state
        x = inputs(shape, dtype=torch.float32)
        torch.testing.assert_close(net(x), plain(x))
        with pytest.raises(RuntimeError, match="running_var"):
            plain.load_state_dict(net[0].state_dict())

    def test_what_is_missing_is_told(self, kind):
        with pytest.raises(RuntimeError, match="running_scale"):
            norm_for(kind, (7, 3)).load_state_dict({})

    def test_reset(self, kind, shape):
        norm = norm_for(kind, shape)
        clean = copy.deepcopy(norm.state_dict())
        norm(inputs(shape, dtype=torch.float32))
        norm.reset_parameters()
        assert all(torch.equal(norm.state_dict()[name], values) for name, values in clean.items())

    def test_update_bn_of_torch_works(self, kind):
        net, x = nn.Sequential(norm_for(kind, (7, 3))), inputs((7, 3), dtype=torch.float32)
        torch.optim.swa_utils.update_bn([x], net)
        torch.testing.assert_close(net[0].running_mean, x.mean(dim=0))


def test_sweeps_know_their_tensors():
    net = nn.Sequential(nn.Linear(3, 3), L1BatchNorm1d(3))
    roles = {tensor.name: (tensor.role, tensor.lowest) for tensor in adapt(net).tensors}
    assert roles["1.running_scale"] == ("statistic", 0.0)
    assert roles["1.weight"] == ("gain", -np.inf)
    randomized(net)
    report = noise_sweep(net, inputs((20, 3)), inputs((20, 3)), targets="state", levels=(3.0,), n_draws=5)
    assert np.isfinite(report.table["mean"]).all()


class TestConversion:
    @pytest.mark.parametrize("to", ["l1", "topk", "l2"])
    @pytest.mark.parametrize("by", ["l1", "topk", "l2"])
    def test_outputs_in_eval_mode_stay(self, by, to):
        net = convert_batchnorm(images_net(), by, k=2)
        randomized(net).eval()
        x = torch.randn(5, 1, 6, 6)
        expected = net(x)
        before = copy.deepcopy(net.state_dict())
        other = convert_batchnorm(net, to, k=4, calibrated=True)
        torch.testing.assert_close(other(x), expected, rtol=1e-5, atol=1e-5)
        assert not any(part.training for part in other.modules())
        assert all(torch.equal(net.state_dict()[name], values) for name, values in before.items())
        kinds = {type(part) for part in other.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)}
        names = {"l1": "L1BatchNorm", "topk": "TopKBatchNorm", "l2": "BatchNorm"}
        assert {kind.__name__ for kind in kinds} == {f"{names[to]}1d", f"{names[to]}2d"}
        if to == "topk":
            assert {(part.k, part.calibrated) for part in other.modules() if isinstance(part, TopKBatchNorm2d)} == {
                (4, True)
            }

    def test_options_and_modes_are_kept(self):
        plain = nn.BatchNorm1d(3, eps=0.2, momentum=None, affine=False)
        other = convert_batchnorm(plain, "l1")
        assert (other.eps, other.momentum, other.weight, other.training) == (0.2, None, None, True)
        other = convert_batchnorm(nn.BatchNorm2d(3, track_running_stats=False).double().eval(), "topk")
        assert other.running_scale is None
        assert other.weight.dtype == torch.float64
        assert not other.training

    def test_a_shared_layer_stays_shared(self):
        norm = nn.BatchNorm1d(3)
        net = convert_batchnorm(nn.Sequential(norm, nn.ReLU(), norm), "l1")
        assert net[0] is net[2]
        assert isinstance(net[0], L1BatchNorm1d)

    def test_what_cannot_be_converted(self):
        with pytest.raises(ValueError, match="kind='l3'"):
            convert_batchnorm(nn.BatchNorm1d(3), "l3")
        with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module, got str"):
            convert_batchnorm("net", "l1")
        with pytest.raises(ValueError, match="0 is a BatchNorm3d, which has no counterpart of kind 'l1'"):
            convert_batchnorm(nn.Sequential(nn.BatchNorm3d(3)), "l1")
        with pytest.raises(ValueError, match="it is a SyncBatchNorm, which has no counterpart"):
            convert_batchnorm(nn.SyncBatchNorm(3), "l1")


class TestRecalibration:
    def test_one_batch_gives_its_statistics(self, kind):
        net = nn.Sequential(nn.Linear(3, 3), norm_for(kind, (40, 3)), nn.Dropout(0.5)).double()
        x = inputs((40, 3))
        before = copy.deepcopy(net.state_dict()), torch.get_rng_state()
        tuned = recalibrate_batchnorm(net, x)
        hidden = net[0](x).detach().numpy()
        np.testing.assert_allclose(tuned[1].running_mean, hidden.mean(axis=0))
        np.testing.assert_allclose(tuned[1].running_scale, [by_hand(kind, hidden[:, c]) for c in range(3)])
        assert tuned[1].momentum == 0.1
        assert all(part.training for part in tuned.modules())
        assert all(torch.equal(net.state_dict()[name], values) for name, values in before[0].items())
        assert torch.equal(torch.get_rng_state(), before[1])

    def test_kinds_of_data(self):
        net, x = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), inputs((40, 3), dtype=torch.float32)
        parts = list(x.split(10))
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(40)), batch_size=10)
        tuned = [
            recalibrate_batchnorm(net, data, batch_size=10)
            for data in (x, x.double().numpy(), parts, loader, [(part.numpy(), 0) for part in parts])
        ]
        for other in tuned[1:]:
            torch.testing.assert_close(other[1].running_var, tuned[0][1].running_var)
        hidden = [net[0](part).detach() for part in parts]
        torch.testing.assert_close(tuned[0][1].running_var, torch.stack([h.var(dim=0) for h in hidden]).mean(dim=0))

    def test_it_repairs_a_noisy_device(self, digits):
        """Noise shifts the statistics of a deep net; measuring them anew restores most of the accuracy."""
        X, y = digits
        torch.manual_seed(0)
        widths = [64, *[32] * 6]
        hidden = [nn.Sequential(nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()) for i, o in pairwise(widths)]
        net = nn.Sequential(*hidden, nn.Linear(32, 10))
        rows, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(rows[:1000]), labels[:1000]).backward()
            optimizer.step()
        net.eval()
        gains = []
        for seed in range(5):
            with inject_noise(net, GaussianNoise("std"), 0.4, random_state=seed), torch.no_grad():
                tuned = recalibrate_batchnorm(net, X[:1000], batch_size=500)
                answers = [(m(rows[1000:]).argmax(1) == labels[1000:]).double().mean().item() for m in (net, tuned)]
            gains.append(answers[1] - answers[0])
        # Measured: .06 to .17 of the rows.
        assert min(gains) > 0.01

    def test_bad_arguments(self):
        net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        with pytest.raises(ValueError, match="Linear has no batch normalization with running statistics"):
            recalibrate_batchnorm(net[0], torch.ones(4, 3))
        with pytest.raises(ValueError, match="at least 2 rows"):
            recalibrate_batchnorm(net, np.ones((1, 3)))
        with pytest.raises(ValueError, match="no batches"):
            recalibrate_batchnorm(net, [])
        with pytest.raises(ValueError, match="X holds 1 NaN or infinite entries"):
            recalibrate_batchnorm(net, [np.ones((4, 3)), np.diag([1.0, np.nan, 1.0])])
        with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module, got str"):
            recalibrate_batchnorm("net", np.ones((4, 3)))
        with pytest.raises(TypeError, match="iterable of batches, got int"):
            recalibrate_batchnorm(net, 3)
        with pytest.raises(ValueError, match="batch_size=1"):
            recalibrate_batchnorm(net, np.ones((4, 3)), batch_size=1)
        with pytest.raises(TypeError, match="batch_size must be an int"):
            recalibrate_batchnorm(net, np.ones((4, 3)), batch_size=2.0)
        # Seven rows in batches of three: no row is left alone.
        assert recalibrate_batchnorm(net, inputs((7, 3)), batch_size=3)[1].num_batches_tracked == 3


def test_names_come_from_the_package():
    assert analog_eval.L1BatchNorm1d is L1BatchNorm1d
    assert "fold_batchnorm" in dir(analog_eval)
    with pytest.raises(AttributeError, match="no attribute 'L7BatchNorm'"):
        _ = analog_eval.L7BatchNorm


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("torch", r"convert_batchnorm needs torch: pip install 'coreset-eval\[torch\]'"),
        # What else fails is not torch's fault.
        ("scipy.special", "scipy.special"),
    ],
)
def test_what_is_missing_is_named(missing, message, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("analog_eval.normalization")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(analog_eval, "normalization")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=message):
        _ = analog_eval.convert_batchnorm
