"""What is trained on: weight = repetition, loaders like arrays, and orders that follow the seed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional

from analog_eval.training import (  # noqa: E402 (needs torch)
    AddNormal,
    DropConnect,
    harden,
)

from .training_nets import close, net, same, sgd  # noqa: E402


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(48, 5))
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


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


def test_held_out_rows_are_not_trained_on(rows):
    X, y = rows
    batches = []

    def loss(outputs, y):
        batches.append(len(y))
        return functional.cross_entropy(outputs, y, reduction="none")

    harden(net(), X, y, loss=loss, validation=0.25, epochs=1, batch_size=48, n_draws=2, random_state=0)
    # Clean and two draws before and after the epoch.
    assert batches == [12] * 3 + [36] + [12] * 3


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


def test_batches_are_as_equal_as_they_can_be(rows):
    sizes = []

    def loss(outputs, y):
        sizes.append(len(y))
        return functional.cross_entropy(outputs, y, reduction="none")

    harden(net(), rows[0][:33], rows[1][:33], loss=loss, epochs=1, batch_size=16)
    assert sizes == [11, 11, 11]
