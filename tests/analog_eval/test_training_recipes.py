"""Noise, clipping and channel scales of training: moments against formulas, and functions that stay the same."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analog_eval import PCM, DeviceNoise, GaussianNoise, Hermes, QuantizationNoise, ReRAM, StuckDevices, noise_sweep

torch = pytest.importorskip("torch")
nn = torch.nn

from analog_eval.adapters import adapt  # noqa: E402 (needs torch)
from analog_eval.training import (  # noqa: E402
    AddNormal,
    Clip,
    DropConnect,
    Multiplicative,
    ProgrammingNoise,
    Recipe,
    Remapped,
    Simulated,
    harden,
    remap_channels,
)

EXAMPLES = {
    "AddNormal": AddNormal(0.1, "channel"),
    "Multiplicative": Multiplicative(0.2),
    "ProgrammingNoise": ProgrammingNoise(Hermes()),
    "DropConnect": DropConnect(0.3),
    "Simulated": Simulated(GaussianNoise("std"), 0.2),
    "_Sum": AddNormal(0.1) + DropConnect(0.1),
}
N = 1_000_000


class Shift(Recipe):
    """Adds a constant, so that what noise does can be worked out by hand."""

    def __init__(self, by):
        self.by = by

    def perturb(self, weights, clean, output_axis, generator):
        return weights + self.by


def assert_moments(values, mean, sd):
    """Mean and standard deviation of a million normal numbers, within 4 standard errors of each."""
    assert abs(values.mean() - mean) <= 4 * sd / np.sqrt(values.size)
    assert abs(values.var() - sd**2) <= 4 * sd**2 * np.sqrt(2 / values.size)


# Every recipe


def test_all_recipes_are_checked():
    own = {kind.__name__ for kind in Recipe.__subclasses__() if kind.__module__.startswith("analog_eval")}
    assert own == set(EXAMPLES)


@pytest.mark.parametrize("recipe", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_noisy_weights_are_like_the_clean_ones(recipe, dtype):
    weights = torch.linspace(-1, 1, 60).reshape(5, 3, 4).to(dtype).requires_grad_()
    before = weights.detach().clone()
    noisy = recipe(weights, output_axis=1, random_state=3)
    assert noisy.dtype is dtype
    assert noisy.shape == weights.shape
    assert not noisy.requires_grad
    assert torch.equal(weights, before)
    assert not torch.equal(noisy, before)
    assert torch.equal(noisy, recipe(weights, output_axis=1, random_state=3))
    assert not torch.equal(noisy, recipe(weights, output_axis=1, random_state=4))
    assert torch.equal(noisy, pickle.loads(pickle.dumps(recipe))(weights, output_axis=1, random_state=3))


@pytest.mark.parametrize("recipe", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("weights", [torch.zeros(4, 3), torch.zeros(0, 3)], ids=["zeros", "empty"])
def test_nothing_to_measure_is_no_noise(recipe, weights):
    assert torch.equal(recipe(weights, output_axis=0, random_state=0), weights)


@pytest.mark.parametrize("recipe", EXAMPLES.values(), ids=EXAMPLES)
def test_weights_must_be_real_tensors(recipe):
    for weights in (np.ones(3), torch.ones(3, dtype=torch.int64)):
        with pytest.raises(TypeError, match="weights must be a tensor of real numbers"):
            recipe(weights)


# Moments


def test_add_normal_is_relative_to_the_largest_weight():
    weights = torch.zeros(2, N // 2, dtype=torch.float64)
    weights[0, 0], weights[1, 0] = 5.0, -0.5
    by_layer = AddNormal(0.1)(weights, output_axis=0, random_state=0) - weights
    by_channel = AddNormal(0.1, "channel")(weights, output_axis=0, random_state=1) - weights
    assert_moments(by_layer.numpy(), 0.0, 0.5)
    assert_moments(by_channel[0].numpy(), 0.0, 0.5)
    assert_moments(by_channel[1].numpy(), 0.0, 0.05)


def test_channels_lie_along_the_output_axis_and_unknown_ones_count_as_a_layer():
    weights = torch.tensor([[4.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    recipe = AddNormal(0.1, "channel")
    units = (AddNormal(0.1)(weights, random_state=0) - weights) / 0.4
    first, second, unknown = (
        (recipe(weights, output_axis=axis, random_state=0) - weights) / (0.1 * units) for axis in (0, 1, None)
    )
    assert torch.allclose(first, torch.tensor([[4.0], [2.0]]).expand(2, 3), rtol=1e-3)
    assert torch.allclose(second, torch.tensor([4.0, 0.0, 2.0]).expand(2, 3), rtol=1e-3)
    assert torch.allclose(unknown, torch.full((2, 3), 4.0), rtol=1e-3)
    assert torch.equal(recipe(weights, output_axis=-1, random_state=0), recipe(weights, output_axis=1, random_state=0))
    for axis in (2, -3):
        with pytest.raises(ValueError, match=rf"output_axis={axis} is no axis of a tensor of shape \(2, 3\)"):
            recipe(weights, output_axis=axis)


def test_multiplicative_noise_is_relative_to_each_weight():
    weights = torch.full((N,), -3.0, dtype=torch.float64)
    weights[::2] = 0.5
    noisy = Multiplicative(0.2)(weights, random_state=0)
    assert_moments(noisy[::2].numpy(), 0.5, 0.1)
    assert_moments(noisy[1::2].numpy(), -3.0, 0.6)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_programming_noise_is_the_polynomial_of_the_conductance(share):
    """The published coefficients, in uS at 25 uS, written out here anew."""
    weights = torch.full((N,), 4.0 * share, dtype=torch.float64)
    weights[0] = -4.0
    noise = (ProgrammingNoise(level=2.0)(weights, random_state=0) - weights)[1:].numpy()
    assert_moments(noise, 0.0, 2.0 * 4.0 / 25.0 * (0.26348 + 1.9650 * share - 1.1731 * share**2))


def test_programming_noise_knows_the_device():
    weights = torch.tensor([1.0, -1.0, 0.5])
    quiet = PCM(programming_scale=0.0)
    assert torch.equal(ProgrammingNoise(quiet)(weights, random_state=0), weights)
    # Half of the conductance is that of a weight of 0, so what is left stands for twice the weight.
    base = ProgrammingNoise(PCM(g_min=12.5)).sigma(torch.ones(1))
    assert base.item() == pytest.approx(2 * ProgrammingNoise().sigma(torch.ones(1)).item(), rel=1e-6)


def test_programming_noise_is_that_of_the_device_for_large_weights():
    """Far from 0 nothing is cut off; the device whose target is 0 adds half of a normal number's variance, which is
    small (0.26 uS against 1.06 uS), and is left out by definition."""
    weights = np.full(N // 4, 1.0)
    sd = PCM().read(PCM().program(weights, np.random.default_rng(0)), 0.0, noise=False)[0].std()
    own = float(ProgrammingNoise().sigma(torch.ones(1)))
    # max(0, s z) has variance s^2 (1 / 2 - 1 / (2 pi)).
    both = np.sqrt(own**2 + (0.26348 / 25) ** 2 * (0.5 - 0.5 / np.pi))
    assert abs(sd**2 - both**2) <= 4 * both**2 * np.sqrt(2 / weights.size)


def test_drop_connect_leaves_the_others_as_they_are():
    weights = torch.full((N,), 2.0)
    dropped = DropConnect(0.1)(weights, random_state=0)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert abs((dropped == 0).double().mean() - 0.1) <= 4 * np.sqrt(0.1 * 0.9 / N)


def test_draws_are_independent():
    weights = torch.ones(N)
    first, second = ((AddNormal(0.1)(weights, random_state=seed) - 1).double().numpy() for seed in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) <= 4 / np.sqrt(N)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) <= 4 / np.sqrt(N)


# Sums and simulated noises


def test_sums_apply_one_after_the_other_and_measure_the_clean_weights():
    weights = torch.zeros(N, dtype=torch.float64)
    weights[0] = 1.0
    # The shift makes all of them larger than 1, but the noise is relative to the clean ones.
    assert_moments((Shift(9.0) + AddNormal(0.1))(weights, random_state=0)[1:].numpy(), 9.0, 0.1)
    assert (AddNormal(0.1) + DropConnect(0.5))(weights, random_state=0).eq(0).double().mean() > 0.49
    assert (DropConnect(0.5) + AddNormal(0.1))(weights, random_state=0).ne(0).all()


def test_sums_are_flat_and_say_what_they_are():
    recipe = AddNormal(0.1) + (Multiplicative(0.2) + DropConnect(0.3))
    assert repr(recipe) == "AddNormal(level=0.1, per='layer') + Multiplicative(level=0.2) + DropConnect(rate=0.3)"
    assert recipe == AddNormal(0.1) + Multiplicative(0.2) + DropConnect(0.3)
    with pytest.raises(TypeError):
        AddNormal() + 1.0


def test_sums_with_noises_of_the_sweeps_say_what_is_missing():
    message = r"GaussianNoise\(scale='std'\) is a noise of the sweeps; Simulated\(noise, level\) makes a recipe of it"
    with pytest.raises(TypeError, match=message):
        AddNormal() + GaussianNoise()
    with pytest.raises(TypeError, match=message):
        GaussianNoise() + AddNormal()


def test_simulated_noise_is_that_of_the_sweeps():
    weights = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)
    expected = QuantizationNoise()(weights.numpy(), 3)
    assert np.array_equal(Simulated(QuantizationNoise(), 3)(weights).numpy(), expected)
    assert_moments(Simulated(GaussianNoise("absolute"), 0.3)(torch.zeros(N, dtype=torch.float64)).numpy(), 0.0, 0.3)


def test_simulated_devices_know_where_outputs_lie():
    weights = torch.randn(6, 5)
    recipe = Simulated(DeviceNoise(PCM(), compensation="column"), 86400.0)
    assert recipe(weights, output_axis=0, random_state=0).shape == (6, 5)
    with pytest.raises(ValueError, match="output_axis"):
        recipe(weights)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: AddNormal(-0.1), ValueError, "level=-0.1 must be >= 0"),
        (lambda: AddNormal(float("nan")), ValueError, "level=nan"),
        (lambda: AddNormal(float("inf")), ValueError, "finite"),
        (lambda: AddNormal("0.1"), TypeError, "level must be a number, got '0.1'"),
        (lambda: AddNormal(True), TypeError, "level must be a number"),
        (lambda: AddNormal(0.1, per="row"), ValueError, "per='row' is not one of 'layer', 'channel'"),
        (lambda: Multiplicative(-1), ValueError, "level=-1"),
        (lambda: DropConnect(1.0), ValueError, "rate=1.0 must be >= 0 and < 1"),
        (lambda: ProgrammingNoise(ReRAM()), TypeError, "device must be"),
        (lambda: ProgrammingNoise(level=-1.0), ValueError, "level=-1.0"),
        (lambda: Simulated(0.1, 0.1), TypeError, "noise must be a noise model"),
        (lambda: Simulated(StuckDevices(), 2.0), ValueError, "level=2.0 must be a share"),
        (lambda: Clip(0.5), ValueError, "sigmas=0.5 must be >= 1"),
        (lambda: Clip(per="row"), ValueError, "per='row'"),
    ],
)
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


# Clipping


@given(st.integers(0, 2**32 - 1), st.floats(1.0, 4.0), st.sampled_from(["layer", "channel"]))
def test_clipped_weights_keep_the_bound_and_the_others(seed, sigmas, per):
    weights = torch.from_numpy(np.random.default_rng(seed).standard_t(2, (4, 30)))
    axes = (0, 1) if per == "layer" else (1,)
    bound = sigmas * np.sqrt((weights.numpy() ** 2).mean(axis=axes, keepdims=True))
    clipped = Clip(sigmas, per)(weights, 0).numpy()
    assert (np.abs(clipped) <= bound * (1 + 1e-12)).all()
    inside = np.abs(weights.numpy()) <= bound
    assert np.array_equal(clipped[inside], weights.numpy()[inside])
    assert np.allclose(np.abs(clipped[~inside]), np.broadcast_to(bound, clipped.shape)[~inside])


def test_clipping_wears_nothing_away():
    """Weights of one size, and channels of one weight, are what they were, however often they are clipped."""
    weights = torch.tensor([[3.0], [-0.5]])
    assert torch.equal(Clip(1.0, "channel")(weights, 0), weights)
    assert torch.equal(Clip(1.0)(torch.tensor([2.0, -2.0]), None), torch.tensor([2.0, -2.0]))
    assert torch.equal(Clip()(torch.zeros(0, 3), 0), torch.zeros(0, 3))


@pytest.mark.parametrize("size", [1e-4, 300.0])
def test_clipping_in_half_precision(size):
    """Squares of these weights are 0 and infinite in float16."""
    weights = torch.tensor([3.0, -1.0, 1.0, 1.0]) * size
    clipped = Clip(1.0)(weights.half(), None)
    assert clipped.dtype is torch.float16
    assert torch.allclose(clipped.float(), torch.tensor([3.0**0.5, -1.0, 1.0, 1.0]) * size, rtol=1e-3)


# Channel scales


def layers():
    return {
        "linear": (nn.Linear(6, 4), (5, 6)),
        "linear, three axes": (nn.Linear(6, 4), (5, 2, 6)),
        "linear, one row": (nn.Linear(6, 4), (6,)),
        "no bias": (nn.Linear(6, 4, bias=False), (5, 6)),
        "conv1d": (nn.Conv1d(4, 6, 3, padding=1), (5, 4, 8)),
        "conv2d, groups": (nn.Conv2d(4, 6, 3, groups=2, stride=2), (5, 4, 8, 8)),
        "conv2d, one image": (nn.Conv2d(4, 6, 3), (4, 8, 8)),
        "conv3d, reflected": (nn.Conv3d(2, 3, 2, padding=1, padding_mode="reflect"), (2, 2, 4, 4, 4)),
    }


@pytest.mark.parametrize("name", layers())
def test_remapped_layers_are_the_same_function(name):
    layer, shape = layers()[name]
    layer = layer.double()
    with torch.no_grad():
        layer.weight[1] *= 1e-6
        layer.weight[2] = 0.0
    x, twin = torch.randn(shape, dtype=torch.float64), remap_channels(layer)
    assert isinstance(twin, Remapped)
    assert isinstance(layer.weight, nn.Parameter)
    assert torch.allclose(twin(x), layer(x), rtol=1e-12, atol=1e-12)
    peaks = twin.product.weight.detach().abs().flatten(1).amax(dim=1)
    assert torch.allclose(peaks, torch.tensor([1.0, 1.0, 0.0, *[1.0] * (len(peaks) - 3)], dtype=torch.float64))


def test_noise_on_a_remapped_kernel_is_noise_by_channel():
    """max|W| of a remapped kernel is 1, and times the channel's scale that is the channel's largest weight."""
    layer = nn.Linear(50, 8).double()
    twin = remap_channels(layer)
    by_layer = AddNormal(0.1)(twin.product.weight, output_axis=0, random_state=0) * twin.scale[:, None]
    by_channel = AddNormal(0.1, "channel")(layer.weight, output_axis=0, random_state=0)
    assert torch.allclose(by_layer, by_channel, rtol=1e-12)


def test_remapped_nets_keep_their_roles():
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).eval()
    tensors = {tensor.name: (tensor.role, tensor.output_axis) for tensor in adapt(remap_channels(net)).tensors}
    assert {name for name, (role, _) in tensors.items() if role == "kernel"} == {"0.product.weight", "2.product.weight"}
    assert tensors["0.product.weight"][1] == 0
    assert tensors["2.bias"][0] == "bias"
    # Scales are kept in digital: no noise reaches them.
    assert not any("scale" in name for name in tensors)


def test_remapping_leaves_the_original_and_what_it_cannot_scale():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.tied, self.free = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.tied.weight = self.shared.weight
            self.again = self.free
            self.hooked = nn.Linear(4, 4)
            self.hooked.register_forward_hook(lambda *_: None)

        def forward(self, x):
            return self.hooked(self.again(self.free(self.tied(self.shared(x)))))

    net, x = Net().eval(), torch.randn(3, 4)
    before = copy.deepcopy(net.state_dict())
    twin = remap_channels(net)
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
    assert type(twin.shared) is type(twin.tied) is type(twin.hooked) is nn.Linear
    assert twin.shared.weight is twin.tied.weight
    assert isinstance(twin.free, Remapped)
    assert twin.again is twin.free
    assert torch.allclose(twin(x), net(x), atol=1e-6)
    assert not twin.free.training
    with pytest.raises(ValueError, match="no Linear or convolution that can be scaled"):
        remap_channels(nn.Sequential(nn.BatchNorm1d(3)))
    with pytest.raises(TypeError, match="module must be"):
        remap_channels("net")
    with pytest.raises(TypeError, match="product must be one of Linear"):
        Remapped(nn.ConvTranspose1d(2, 2, 2))


def test_modules_that_read_the_weights_of_their_layers_are_the_same_function():
    """In eval mode the encoder layer hands the weights of its layers to one fused call, without calling the layers."""
    net, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double().eval(), torch.randn(3, 5, 8).double()
    twin = remap_channels(net)
    assert isinstance(twin.linear1, Remapped)
    assert torch.allclose(twin(x), net(x), atol=1e-12)
    with torch.no_grad():
        assert torch.allclose(twin(x), net(x), atol=1e-12)
        twin.linear1.product.weight *= 2.0  # as noise would
        net.linear1.weight *= 2.0
        assert torch.allclose(twin(x), net(x), atol=1e-12)


@pytest.mark.parametrize("name", layers())
def test_remapped_layers_show_weights_and_settings(name):
    layer = layers()[name][0].double()
    twin = remap_channels(layer)
    assert torch.allclose(twin.weight, layer.weight, rtol=1e-15)
    assert torch.equal(twin.bias, layer.bias) if layer.bias is not None else twin.bias is None
    assert layer.__constants__
    assert all(getattr(twin, setting) == getattr(layer, setting) for setting in layer.__constants__)
    assert pickle.loads(pickle.dumps(twin)).weight.equal(twin.weight)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = twin.nothing


def test_remapped_nets_are_saved_and_loaded_into_untrained_ones(tmp_path, rng):
    def net():
        return nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(16, 3, bias=False))

    X, y = rng.normal(size=(20, 2, 6)), rng.integers(3, size=20)
    trained = harden(net(), X, y, learning_rate=0.05, epochs=2, random_state=0, progress=False).remapped().model
    torch.save(trained.state_dict(), tmp_path / "net.pt")
    loaded = remap_channels(net())
    loaded.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    rows = torch.tensor(X, dtype=torch.float32)
    assert torch.equal(loaded.eval()(rows), trained.eval()(rows))
    with pytest.raises(RuntimeError, match="Missing key"):
        net().load_state_dict(trained.state_dict())


def test_layers_with_a_forward_of_their_own_stay():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[0].forward = lambda x: 2.0 * x
    twin, x = remap_channels(net), torch.randn(3, 4)
    assert type(twin[0]) is nn.Linear
    assert torch.allclose(twin(x), net(x), atol=1e-6)


def test_training_keeps_the_largest_weights_at_one(rng):
    net = remap_channels(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
    X, y = rng.normal(size=(40, 6)), rng.integers(3, size=40)
    model = harden(net, X, y, learning_rate=0.05, epochs=3, random_state=0, progress=False).model
    for part in (model[0], model[2]):
        assert torch.allclose(part.product.weight.abs().amax(dim=1), torch.ones(len(part.scale)))
        assert not torch.equal(part.scale, torch.ones(len(part.scale)))
    assert noise_sweep(model, X, y, levels=(0.1,), n_draws=2, random_state=0, progress=False).clean > 0
