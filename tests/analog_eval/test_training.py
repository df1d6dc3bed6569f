"""Hardware-aware training: steps worked out by hand, what is kept of a run, and what is no argument."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import analog_eval
from analog_eval import GaussianNoise, QuantizationNoise, inject_noise, noise_sweep

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional

from analog_eval.training import (  # noqa: E402 (needs torch)
    AddNormal,
    Clip,
    Distillation,
    Recipe,
    Simulated,
    harden,
)

from .training_nets import net, same, sgd, tensors  # noqa: E402


class Shift(Recipe):
    """Adds a constant, and notes every tensor that it saw."""

    def __init__(self, by):
        self.by, self.seen = by, []

    def perturb(self, weights, clean, output_axis, generator):
        self.seen.append(clean.clone())
        return weights + self.by


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(48, 5))
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


# Steps


def test_a_step_is_from_clean_weights_with_the_gradient_at_noisy_ones(rng):
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    layer = nn.Linear(3, 1).double()
    w, b = layer.weight.detach().numpy()[0].copy(), layer.bias.item()
    done = harden(
        layer, X, y, recipe=Shift(0.5), loss="mse", optimizer=sgd(0.1), epochs=1, batch_size=20, progress=False
    )
    residuals = X @ (w + 0.5) + b - y  # biases get no noise
    assert np.allclose(done.model.weight.detach().numpy()[0], w - 0.1 * 2 / 20 * X.T @ residuals, rtol=1e-12)
    assert np.isclose(done.model.bias.item(), b - 0.1 * 2 * residuals.mean(), rtol=1e-12)
    assert np.isclose(done.history.loc[1, "train_loss"], (residuals**2).mean(), rtol=1e-12)


def test_without_noise_it_is_ordinary_training(rows):
    """A loop of a few lines, written out, in the order that a permutation of the same seed gives."""
    X, y = rows
    model, orders = net(), []

    def loader():
        rng = np.random.default_rng(len(orders))
        orders.append(rng.permutation(48))
        return [(X[part], y[part]) for part in np.split(orders[-1], 4)]

    class Loader:
        def __iter__(self):
            return iter(loader())

    done = harden(model, Loader(), recipe=None, optimizer=sgd(0.1, momentum=0.9), schedule="constant", epochs=3)
    by_hand = copy.deepcopy(model)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    for order in orders[-3:]:
        for part in np.split(order, 4):
            optimizer.zero_grad()
            functional.cross_entropy(by_hand(torch.tensor(X[part])), torch.tensor(y[part])).backward()
            optimizer.step()
    assert same(done.model, by_hand)


def test_it_is_the_loop_that_inject_noise_allows(rows):
    """Rounding draws no random numbers, so both see the same weights, whoever puts them there."""
    X, y = rows
    batches = [(X[part], y[part]) for part in (slice(0, 24), slice(24, 48))]
    noise, model = QuantizationNoise(), net()
    options = {"optimizer": sgd(0.5), "schedule": "constant", "epochs": 3}
    done = harden(model, batches, recipe=Simulated(noise, 3), **options)
    by_hand = copy.deepcopy(model)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.5)
    for part_X, part_y in batches * 3:
        optimizer.zero_grad()
        with inject_noise(by_hand, noise, 3):
            functional.cross_entropy(by_hand(torch.tensor(part_X)), torch.tensor(part_y)).backward()
        optimizer.step()
    assert same(done.model, by_hand)


def test_noise_is_fresh_in_every_batch_and_gone_after_it(rows):
    class Watching(Recipe):
        def __init__(self):
            self.noise, self.clean = [], []

        def perturb(self, weights, clean, output_axis, generator):
            noise = torch.empty_like(clean).normal_(generator=generator)
            self.noise.append(noise)
            self.clean.append(clean.clone())
            return weights + noise

    watching, model = Watching(), net()
    done = harden(model, *rows, recipe=watching, optimizer=sgd(0.0), epochs=2, batch_size=12)
    # Two kernels, four batches, two epochs; a rate of 0 leaves the clean weights as they are, bit by bit.
    assert len(watching.noise) == 16
    assert same(done.model, model)
    firsts = watching.noise[::2]
    assert all(not torch.equal(a, b) for i, a in enumerate(firsts) for b in firsts[i + 1 :])
    assert all(torch.equal(clean, model[0].weight) for clean in watching.clean[::2])


def test_the_learning_rate_falls_along_a_cosine(rows):
    history = harden(net(), *rows, learning_rate=0.02, epochs=4).history
    assert np.allclose(history["learning_rate"], 0.01 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    constant = harden(net(), *rows, learning_rate=0.02, epochs=3, schedule="constant").history
    assert constant["learning_rate"].tolist() == [0.02] * 3


def test_clipping_comes_after_the_step(rows):
    model, clip = net(), Clip(1.2, "channel")
    done = harden(model, *rows, recipe=None, clip=clip, optimizer=sgd(0.0), epochs=1, batch_size=48)
    expected = copy.deepcopy(model)
    with torch.no_grad():
        for i in (0, 2):
            expected[i].weight.copy_(clip(model[i].weight, 0))
    assert same(done.model, expected)
    assert not same(done.model, model)


def test_tied_kernels_get_noise_once_and_frozen_ones_stay(rows):
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)).double()
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    shift = Shift(0.1)
    done = harden(model, *rows, recipe=shift, clip=Clip(1.0), epochs=1, batch_size=48)
    assert len(shift.seen) == 2
    assert done.model[0].weight is done.model[1].weight
    # Noise reaches frozen kernels too, since they lie in the crossbar, but neither steps nor clipping do.
    assert torch.equal(shift.seen[1], model[2].weight)
    assert torch.equal(done.model[2].weight, model[2].weight)
    assert not torch.equal(done.model[0].weight, model[0].weight)


def test_hardening_pays():
    """Three seeds; the gain by the largest weight's noise is some 0.06, and differs by 0.005 between seeds."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, gains = X / 16, []
    for seed in range(3):
        torch.manual_seed(seed)
        start = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        options = {"learning_rate": 0.01, "random_state": seed}
        models = [
            harden(start, X[:1200], y[:1200], recipe=recipe, clip=clip, **options).model
            for recipe, clip in ((None, None), (AddNormal(0.1), Clip(2.0)))
        ]
        noise = {"noise": GaussianNoise("absmax"), "levels": (0.2,), "random_state": 0, "progress": False}
        plain, hard = (noise_sweep(model, X[1200:], y[1200:], **noise).table["mean"].item() for model in models)
        gains.append(hard - plain)
    assert min(gains) > 0.03


# What is random, and what is left alone


def test_the_model_is_left_alone(rows):
    model = net(norm=True)
    model[1].eval()
    before, modes = tensors(model), [part.training for part in model.modules()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    harden(model, *rows, recipe=Simulated(GaussianNoise(), 0.1), validation=0.25, epochs=1)
    done = harden(model, *rows, clip=Clip(), distillation=Distillation(), epochs=2)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes == [part.training for part in done.model.modules()]
    assert all(parameter.grad is None for parameter in [*model.parameters(), *done.model.parameters()])
    shared = {p.data_ptr() for p in model.state_dict().values()} & {p.data_ptr() for p in done.model.parameters()}
    assert not shared
    assert not same(done.model, model)


def test_arrays_are_left_alone(rows):
    X, y = rows
    before = X.copy(), y.copy()

    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, x):
            return self.layer(x.mul_(0.5))

    harden(Writing(), X.astype(np.float32), y, epochs=1)
    harden(Writing(), torch.from_numpy(X), torch.from_numpy(y), epochs=1)
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


def dropping():
    return nn.Sequential(net(norm=True, dtype=torch.float32), nn.Dropout(0.5), nn.Linear(3, 3))


def test_equal_seeds_give_equal_weights(rows):
    model = dropping()
    options = {"epochs": 2, "batch_size": 16, "validation": 0.25}
    first, again, other = (harden(model, *rows, random_state=seed, **options) for seed in (1, 1, 2))
    assert same(first.model, again.model)
    assert first.history.equals(again.history)
    assert not same(first.model, other.model)
    generators = [harden(model, *rows, random_state=np.random.default_rng(3), **options) for _ in range(2)]
    assert same(generators[0].model, generators[1].model)


# What is kept


def test_results_are_shown_in_a_line(rows):
    done = harden(net(), *rows, recipe=AddNormal(0.1), validation=0.25, epochs=2, random_state=3)
    score = done.history.loc[done.best_epoch, "noisy_accuracy"]
    shown = f"Hardened(model=Sequential, epochs=2, best_epoch={done.best_epoch}, noisy_accuracy={score:.4g}, "
    assert repr(done).startswith(shown)
    assert repr(done).endswith("recipe=AddNormal(level=0.1, per='layer'), seed=3)")
    assert len(repr(done)) < 200
    assert "recipe=AddNormal(level=0.1, per=&#x27;layer&#x27;)" in done._repr_html_()
    assert "noisy" not in repr(harden(net(), *rows, epochs=1))


def test_the_best_epoch_is_kept(rows):
    """The start is worked out by a few epochs; steps that are far too long can only lose it."""
    model = harden(net(), *rows, recipe=None, learning_rate=0.05, epochs=60, random_state=0).model
    spoilt = harden(model, *rows, optimizer=sgd(50.0), epochs=3, validation=rows, random_state=0)
    assert spoilt.best_epoch == 0
    assert same(spoilt.model, model)
    assert spoilt.history.index.tolist() == [0, 1, 2, 3]
    last = harden(model, *rows, optimizer=sgd(50.0), epochs=3, random_state=0)
    assert last.best_epoch == 3
    assert not same(last.model, model)


def test_patience_stops_early(rows):
    model = harden(net(), *rows, recipe=None, learning_rate=0.05, epochs=60, random_state=0).model
    options = {"optimizer": sgd(50.0), "validation": rows, "random_state": 0}
    assert len(harden(model, *rows, epochs=20, patience=2, **options).history) == 1 + 2
    assert len(harden(model, *rows, epochs=4, patience=9, **options).history) == 1 + 4


def test_history_is_what_the_model_scores(rows):
    done = harden(net(), *rows, validation=rows, epochs=3, random_state=0)
    model = done.model.eval()
    outputs, y = model(torch.tensor(rows[0])), torch.tensor(rows[1])
    row = done.history.loc[done.best_epoch]
    assert row["clean_loss"] == pytest.approx(functional.cross_entropy(outputs, y).item(), rel=1e-12)
    assert row["clean_accuracy"] == pytest.approx((outputs.argmax(dim=1) == y).double().mean().item())
    ranks = list(zip(done.history["noisy_accuracy"], -done.history["noisy_loss"], strict=True))
    assert max(ranks) == ranks[done.best_epoch]
    quiet = harden(net(), *rows, recipe=None, validation=rows, epochs=2).history
    assert quiet["clean_loss"].equals(quiet["noisy_loss"].rename("clean_loss"))
    assert "clean_accuracy" not in harden(nn.Linear(5, 1), *rows, loss="mse", validation=0.5, epochs=1).history


# Awkward modules and rows


def test_images_sequences_and_words(rng):
    images = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    harden(images, rng.normal(size=(10, 1, 4, 4)), rng.integers(2, size=10), recipe=AddNormal(0.1, "channel"), epochs=1)

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.lstm, self.head = nn.Embedding(9, 4), nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.lstm(self.words(x))[0][:, -1])

    model = Recurrent()
    done = harden(model, rng.integers(9, size=(12, 5)), rng.integers(2, size=12), epochs=2, random_state=0)
    assert not torch.equal(done.model.lstm.weight_hh_l0, model.lstm.weight_hh_l0)


def test_one_row(rng):
    done = harden(net(), rng.normal(size=(1, 5)), [2], sample_weight=[3.0], epochs=2)
    assert np.isfinite(done.history.to_numpy()).all()


def test_half_precision_trains(rows):
    model = net(dtype=torch.bfloat16)
    done = harden(model, *rows, sample_weight=np.ones(48), clip=Clip(), epochs=1).model
    assert done[0].weight.dtype is torch.bfloat16
    assert not same(done, model)


@pytest.mark.parametrize("whole", [True, False])
def test_parts_in_eval_mode_of_a_module_in_train_mode_stay_in_it(rows, whole):
    model = net(norm=True).train(whole)
    model[1].eval()
    result = harden(model, *rows, epochs=2, validation=0.25, random_state=0).model
    assert torch.equal(result[1].running_mean, model[1].running_mean) == whole
    assert [part.training for part in result.modules()] == [part.training for part in model.modules()]


class NotATensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return {"scores": self.layer(x)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "net"}, TypeError, "model must be a torch.nn.Module, got str"),
        ({"model": nn.ReLU()}, ValueError, "model: ReLU has no kernels"),
        ({"model": nn.Linear(5, 3).requires_grad_(False)}, ValueError, "no parameter of Linear requires a gradient"),
        ({"model": NotATensor()}, TypeError, "the model answers with dict, not a tensor"),
        ({"X": np.zeros((0, 5)), "y": []}, ValueError, "X must have rows"),
        ({"X": np.full((48, 5), np.nan)}, ValueError, "X holds 240 NaN"),
        ({"y": np.zeros(47, int)}, ValueError, r"y has shape \(47,\), but X has 48 rows"),
        ({"y": np.full(48, np.nan)}, ValueError, "y holds 48 NaN"),
        ({"y": np.full(48, "a")}, TypeError, "class numbers"),
        ({"y": np.full(48, 3)}, ValueError, "y holds class 3, but the model's outputs tell 0 to 2"),
        ({"y": np.full(48, -1)}, ValueError, "y holds class -1"),
        ({"y": np.full(48, 0.5)}, ValueError, "no class numbers"),
        ({"y": np.zeros((48, 2))}, ValueError, "cross-entropy takes class numbers"),
        ({"y": np.zeros(48), "loss": "mse"}, ValueError, r"y has shape \(48,\), but the model answers with \(48, 3\)"),
        ({"y": None}, TypeError, "y is missing"),
        ({"sample_weight": np.ones(47)}, ValueError, r"sample_weight has shape \(47,\)"),
        ({"sample_weight": -np.ones(48)}, ValueError, "negative"),
        ({"sample_weight": np.zeros(48)}, ValueError, "0 in every row"),
        ({"sample_weight": ["a"] * 48}, TypeError, "sample_weight must hold numbers"),
        ({"sample_weight": np.ones((48, 1))}, ValueError, r"shape \(n_rows,\)"),
        ({"recipe": 0.1}, TypeError, "recipe must be a Recipe or None, got 0.1"),
        ({"recipe": GaussianNoise()}, TypeError, r"recipe=GaussianNoise.*; Simulated\(noise, level\) makes a recipe"),
        ({"clip": 2.5}, TypeError, "clip must be a Clip or None, got 2.5"),
        ({"distillation": 0.5}, TypeError, "distillation must be a Distillation"),
        ({"loss": ["mse"]}, ValueError, r"loss=\['mse'\] is not one of 'cross_entropy', 'mse'"),
        ({"loss": "hinge"}, ValueError, "loss='hinge' is not one of 'cross_entropy', 'mse'"),
        ({"loss": lambda outputs, y: 0.0}, TypeError, "loss must return a tensor, got float"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be a function"),
        ({"optimizer": lambda parameters: None}, TypeError, "optimizer must return a torch optimizer, got NoneType"),
        ({"optimizer": torch.optim.LBFGS}, TypeError, "optimizer: LBFGS looks at a loss several times a step"),
        ({"optimizer": sgd(0.1), "learning_rate": 0.1}, ValueError, "learning_rate=0.1 is for the default optimizer"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate=-0.1"),
        ({"schedule": "steps"}, ValueError, "schedule='steps' is not one of"),
        ({"epochs": 0}, ValueError, "epochs=0 must be >= 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an int, got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"n_draws": True}, TypeError, "n_draws must be an int"),
        ({"patience": 2}, ValueError, "patience=2 needs validation rows"),
        ({"validation": 1.0}, ValueError, "validation=1.0 must be > 0 and < 1"),
        ({"validation": 0}, ValueError, "validation=0 must be > 0 and < 1"),
        ({"validation": 0.001}, ValueError, "validation=0.001 of 48 rows: 0 to validate with, 48 to train on"),
        ({"validation": 0.999}, ValueError, "validation=0.999 of 48 rows: 48 to validate with, 0 to train on"),
        ({"validation": "some"}, TypeError, r"validation must be a share of the rows, or \(X, y\), got str"),
        ({"validation": np.zeros((48, 5))}, TypeError, "or .* got ndarray$"),
        ({"validation": True}, TypeError, "got bool"),
        ({"validation": (1, 2, 3, 4)}, ValueError, "got 4 parts"),
        ({"validation": (np.zeros((2, 5)), [0])}, ValueError, "validation y has shape"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path, got 3"),
        ({"checkpoint": "/nowhere/at/all.pt"}, ValueError, "in a directory that does not exist"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
        ({"X": iter([]), "y": None}, TypeError, "iterable anew in every epoch"),
        ({"X": map(str, []), "y": None, "sample_weight": [1]}, ValueError, "sample_weight was given, but y was not"),
    ],
)
def test_bad_arguments(rows, change, error, message):
    arguments = {"model": net(dtype=torch.float32), "X": rows[0], "y": rows[1], "epochs": 1} | change
    with pytest.raises(error, match=message):
        harden(arguments.pop("model"), arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "1.running_var"])
def test_weights_that_are_no_numbers_are_named(rows, name):
    model = net(norm=True)
    model.state_dict()[name].view(-1)[1] = float("nan")
    size = model.state_dict()[name].numel()
    with pytest.raises(ValueError, match=f"model: {name} holds 1 NaN or infinite entries of {size}"):
        harden(model, *rows, epochs=1)


def test_harden_is_handed_out_when_asked_for():
    assert analog_eval.harden is harden
    assert "harden" in dir(analog_eval)
    assert "harden" not in analog_eval.__all__
