"""Hardware-aware training: steps worked out by hand, weight = repetition, and what is kept of a run."""

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
    DropConnect,
    Recipe,
    Simulated,
    harden,
)
from analog_eval.training.losses import Criterion  # noqa: E402


class Shift(Recipe):
    """Adds a constant, and notes every tensor that it saw."""

    def __init__(self, by):
        self.by, self.seen = by, []

    def perturb(self, weights, clean, output_axis, generator):
        self.seen.append(clean.clone())
        return weights + self.by


def sgd(rate, **options):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, **options)


def tensors(module):
    return {name: values.clone() for name, values in module.state_dict().items()}


def same(a, b):
    a, b = tensors(a), tensors(b)
    return a.keys() == b.keys() and all(torch.equal(values, b[name]) for name, values in a.items())


def close(a, b, **options):
    a, b = tensors(a), tensors(b)
    return all(torch.allclose(values, b[name], **options) for name, values in a.items())


def net(seed=0, *, norm=False, dtype=torch.float64):
    torch.manual_seed(seed)
    parts = [nn.Linear(5, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.ReLU(), nn.Linear(8, 3)]
    return nn.Sequential(*parts).to(dtype)


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


# Weights of rows


@pytest.mark.parametrize("recipe", [None, AddNormal(0.1), DropConnect(0.1)], ids=repr)
def test_a_weight_is_repetition(rows, rng, recipe):
    """With batches of all rows, exactly: one draw of noise a step, so both runs see the same."""
    X, y = rows
    counts = rng.integers(0, 4, size=len(X))
    options = {"recipe": recipe, "optimizer": sgd(0.2), "epochs": 5, "batch_size": 1000, "random_state": 0}
    weighted = harden(net(), X, y, sample_weight=counts, **options)
    repeated = harden(net(), np.repeat(X, counts, axis=0), np.repeat(y, counts), **options)
    assert close(weighted.model, repeated.model, rtol=1e-9, atol=1e-12)
    assert np.allclose(weighted.history["train_loss"], repeated.history["train_loss"], rtol=1e-10)
    scaled = harden(net(), X, y, sample_weight=counts * 1e6, **options)
    assert close(weighted.model, scaled.model, rtol=1e-9, atol=1e-12)
    assert not close(weighted.model, harden(net(), X, y, **options).model)


def test_batches_add_up_to_the_weighted_mean(rng):
    """A loss that is linear in the weights has one gradient everywhere, so the steps of an epoch tell their mean."""
    X, y, weights = rng.normal(size=(40, 3)), rng.normal(size=40), rng.gamma(0.5, size=40)
    layer = nn.Linear(3, 1, bias=False).double()
    options = {"recipe": None, "optimizer": sgd(0.1), "epochs": 1, "batch_size": 8}

    def loss(outputs, y):
        return outputs[:, 0] * y

    done = harden(layer, X, y, sample_weight=weights, loss=loss, **options)
    step = (done.model.weight - layer.weight).detach().numpy()[0]
    assert np.allclose(step, -0.1 * 5 * np.average(X * y[:, None], axis=0, weights=weights), rtol=1e-10)


def test_a_loader_is_like_arrays(rows, rng):
    X, y = rows
    weights = rng.uniform(0.5, 3.0, size=len(X))
    options = {"recipe": AddNormal(0.1), "optimizer": sgd(0.2), "epochs": 4, "random_state": 0}
    arrays = harden(net(), X, y, sample_weight=weights, batch_size=48, **options)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*map(torch.from_numpy, (X, y, weights))), batch_size=48
    )
    # Rows are added up in another order.
    assert close(arrays.model, harden(net(), loader, **options).model, rtol=1e-9, atol=1e-12)
    halves = [(X[part], y[part], weights[part]) for part in (slice(0, 24), slice(24, 48))]
    # Clean weights that stay: the mean over batches is the weighted mean over rows.
    still = {"recipe": None, "optimizer": sgd(0.0), "epochs": 1}
    losses = functional.cross_entropy(net()(torch.tensor(X)), torch.tensor(y), reduction="none").detach().numpy()
    halved = harden(net(), halves, **still).history["train_loss"].item()
    assert halved == pytest.approx(np.average(losses, weights=weights), rel=1e-12)


def test_validation_rows_have_weights_too(rows):
    X, y = rows
    counts = np.arange(48) % 3
    options = {"epochs": 1, "random_state": 0, "n_draws": 2}
    weighted = harden(net(), X, y, validation=(X, y, counts), **options).history
    repeated = harden(net(), X, y, validation=(np.repeat(X, counts, axis=0), np.repeat(y, counts)), **options).history
    assert np.allclose(weighted, repeated, rtol=1e-10, equal_nan=True)


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


def test_a_shuffling_loader_follows_the_seed(rows):
    dataset = torch.utils.data.TensorDataset(*map(torch.from_numpy, rows))
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True)
    runs = []
    for _ in range(2):
        torch.rand(7)  # whatever else the program does with torch's random numbers
        runs.append(harden(net(), loader, epochs=2, random_state=0).model)
    assert same(*runs)


def with_generators(rows, kind, seed):
    """Return a loader, and the generators that it, its sampler or its data set has."""
    dataset, generator = torch.utils.data.TensorDataset(*map(torch.from_numpy, rows)), torch.Generator()
    generator.manual_seed(seed)
    if kind == "loader":
        options = {"shuffle": True, "generator": generator}
    elif kind == "sampler":
        weights = torch.arange(1.0, 49.0)
        options = {"sampler": torch.utils.data.WeightedRandomSampler(weights, 48, generator=generator)}
    elif kind == "batch_sampler":
        sampler = torch.utils.data.RandomSampler(dataset, generator=generator)
        options = {"batch_sampler": torch.utils.data.BatchSampler(sampler, 16, drop_last=True)}
    else:
        dataset, options = Noisy(*rows, generator), {"shuffle": True}
    options |= {} if kind == "batch_sampler" else {"batch_size": 16}
    return torch.utils.data.DataLoader(dataset, **options), generator


class Noisy(torch.utils.data.Dataset):
    def __init__(self, X, y, generator):
        self.X, self.y, self.generator = X, y, generator

    def __len__(self):
        return len(self.y)

    def __getitem__(self, row):
        return self.X[row] + torch.randn(5, generator=self.generator).numpy(), self.y[row]


@pytest.mark.parametrize("kind", ["loader", "sampler", "batch_sampler", "dataset"])
def test_generators_of_a_loader_follow_the_seed(rows, kind):
    """Whatever they start from, and they are where they were afterwards; epochs differ, and so do other seeds."""
    runs = []
    for own_seed, seed in ((1, 0), (2, 0), (1, 1)):
        seen = []

        def loss(outputs, y, seen=seen):
            seen.append(outputs.detach().clone())
            return functional.cross_entropy(outputs, y, reduction="none")

        loader, generator = with_generators(rows, kind, own_seed)
        before = generator.get_state()
        harden(net(), loader, loss=loss, recipe=None, optimizer=sgd(0.0), epochs=2, random_state=seed)
        assert torch.equal(generator.get_state(), before)
        runs.append(torch.stack(seen))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert not torch.equal(*runs[0].chunk(2))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_loader_that_leaves_out_rows_depends_on_the_seed_alone(rows, rng, weighted):
    """Which rows the pass for the mean weight sees depends on the order; the program's own stream stays where it is."""
    parts = [*rows, rng.exponential(size=48) ** 3] if weighted else rows
    dataset = torch.utils.data.TensorDataset(*map(torch.from_numpy, parts))
    loader = torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True, drop_last=True)
    model, runs = net(), []
    for start in (1, 2):
        torch.manual_seed(start)
        before = torch.get_rng_state()
        runs.append(harden(model, loader, optimizer=sgd(0.5), epochs=2, random_state=0).model)
        assert torch.equal(torch.get_rng_state(), before)
    assert same(*runs)


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


def test_held_out_rows_are_not_trained_on(rows):
    X, y = rows
    batches = []

    def loss(outputs, y):
        batches.append(len(y))
        return functional.cross_entropy(outputs, y, reduction="none")

    harden(net(), X, y, loss=loss, validation=0.25, epochs=1, batch_size=48, n_draws=2, random_state=0)
    # Clean and two draws before and after the epoch.
    assert batches == [12] * 3 + [36] + [12] * 3


# Losses and distillation


def test_cross_entropy_of_one_logit():
    logits, y = torch.tensor([[2.0], [-1.0]], dtype=torch.float64), torch.tensor([1, 1])
    losses = Criterion("cross_entropy").rows(logits, y, weighted=True)
    assert np.allclose(losses.numpy(), np.log1p(np.exp([-2.0, 1.0])))
    assert Criterion.hits(logits, y).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [int, float])
def test_labels_in_a_column_are_labels(rows, dtype):
    X, y = rows
    options = {"validation": 0.25, "epochs": 2, "random_state": 0, "progress": False}
    flat, column = harden(net(), X, y, **options), harden(net(), X, y[:, None].astype(dtype), **options)
    assert column.history.equals(flat.history)
    assert same(column.model, flat.model)


@pytest.mark.parametrize("width", [1, 3])
def test_distillation_is_a_divergence_of_probabilities(width, rng):
    outputs, taught = rng.normal(size=(2, 4, width))
    y, temperature, share = np.array([0, 1, 1, 0]), 3.0, 0.7
    criterion = Criterion("cross_entropy", Distillation(temperature, share))
    losses = criterion.training_rows(*map(torch.tensor, (outputs, y, taught)), weighted=True).numpy()

    def shares(logits, t):
        logits = np.column_stack([np.zeros(4), logits]) if width == 1 else logits
        exponentials = np.exp(logits / t)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    p, q = shares(taught, temperature), shares(outputs, temperature)
    divergence = temperature**2 * (p * np.log(p / q)).sum(axis=1)
    hard = -np.log(shares(outputs, 1.0)[np.arange(4), y])
    assert np.allclose(losses, (1 - share) * hard + share * divergence)


def test_all_of_a_share_leaves_the_labels_out(rows):
    X, y = rows
    options = {"distillation": Distillation(share=1.0), "epochs": 3, "random_state": 0}
    assert same(harden(net(), X, y, **options).model, harden(net(), X, (y + 1) % 3, **options).model)
    # Without noise the copy agrees with the digital model already.
    assert close(harden(net(), X, y, recipe=None, optimizer=sgd(1.0), **options).model, net(), atol=1e-9)
    numbers = harden(net(), X, rows[0][:, :3], loss="mse", recipe=None, optimizer=sgd(1.0), **options)
    assert close(numbers.model, net(), atol=1e-9)


def test_functions_may_return_a_mean_if_there_are_no_weights(rows):
    X, y = rows
    options = {"epochs": 2, "random_state": 0}
    named = harden(net(), X, y, **options)
    assert close(named.model, harden(net(), X, y, loss=functional.cross_entropy, **options).model, rtol=1e-9)
    with pytest.raises(ValueError, match=r"loss returns shape \(\) for 48 rows"):
        harden(net(), X, y, sample_weight=np.ones(48), loss=functional.cross_entropy, **options)


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


def test_a_loss_that_is_no_number(rows):
    X, y = rows
    message = "the loss is (nan|inf) in batch [0-9]+ of epoch [0-9]+; a lower learning_rate"
    with pytest.raises(ValueError, match=message):
        harden(nn.Linear(5, 1), X, X[:, 0], loss="mse", optimizer=sgd(1e18), epochs=9)
    with pytest.raises(ValueError, match="the loss is nan in batch 1 of epoch 1"):
        harden(net(), X, y, loss=lambda outputs, y: outputs[:, 0] * float("nan"))


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


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        ([], ValueError, "X holds no batches: it is empty, or drop_last leaves none"),
        ([np.zeros((4, 5))], TypeError, r"a batch must be \(X, y\) or \(X, y, sample_weight\), got ndarray"),
        ([(np.zeros((4, 5)),)], TypeError, "got 1 parts"),
        ([(np.zeros((4, 5)), [0] * 3)], ValueError, "batch y has shape"),
        ([(np.zeros((4, 5)), [0] * 4), (np.zeros((4, 5)), [0] * 4, [1] * 4)], ValueError, "3 parts, but the first"),
        ([(np.zeros((4, 5)), [0] * 4, [0] * 4)], ValueError, "no batches with weights above 0"),
    ],
)
def test_bad_batches(batches, error, message):
    class Loader:
        def __iter__(self):
            return iter(batches)

    with pytest.raises(error, match=message):
        harden(net(), Loader(), epochs=1)


def test_what_a_loader_goes_without(rows):
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*map(torch.from_numpy, rows)))
    with pytest.raises(ValueError, match="no share of a loader"):
        harden(net(), loader, validation=0.2)
    with pytest.raises(TypeError, match=r"X is a DataLoader, whose batches are .* leave y out"):
        harden(net(), loader, rows[1])


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "1.running_var"])
def test_weights_that_are_no_numbers_are_named(rows, name):
    model = net(norm=True)
    model.state_dict()[name].view(-1)[1] = float("nan")
    size = model.state_dict()[name].numel()
    with pytest.raises(ValueError, match=f"model: {name} holds 1 NaN or infinite entries of {size}"):
        harden(model, *rows, epochs=1)


def test_distillation_settings():
    for change, message in (
        ({"temperature": 0.0}, "temperature=0 must be > 0"),
        ({"share": 1.5}, "share=1.5 must be from 0 to 1"),
        ({"temperature": float("nan")}, "temperature=nan"),
    ):
        with pytest.raises(ValueError, match=message):
            Distillation(**change)


def test_harden_is_handed_out_when_asked_for():
    assert analog_eval.harden is harden
    assert "harden" in dir(analog_eval)
    assert "harden" not in analog_eval.__all__


def test_batches_are_as_equal_as_they_can_be(rows):
    sizes = []

    def loss(outputs, y):
        sizes.append(len(y))
        return functional.cross_entropy(outputs, y, reduction="none")

    harden(net(), rows[0][:33], rows[1][:33], loss=loss, epochs=1, batch_size=16)
    assert sizes == [11, 11, 11]
