"""Losses of training: labels, logits, functions of a user, and agreement with the digital model."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional

from analog_eval.training import (  # noqa: E402 (needs torch)
    Distillation,
    harden,
)
from analog_eval.training.losses import Criterion  # noqa: E402

from .training_nets import close, net, same, sgd  # noqa: E402


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(48, 5))
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


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


def test_a_loss_that_is_no_number(rows):
    X, y = rows
    message = "the loss is (nan|inf) in batch [0-9]+ of epoch [0-9]+; a lower learning_rate"
    with pytest.raises(ValueError, match=message):
        harden(nn.Linear(5, 1), X, X[:, 0], loss="mse", optimizer=sgd(1e18), epochs=9)
    with pytest.raises(ValueError, match="the loss is nan in batch 1 of epoch 1"):
        harden(net(), X, y, loss=lambda outputs, y: outputs[:, 0] * float("nan"))


def test_distillation_settings():
    for change, message in (
        ({"temperature": 0.0}, "temperature=0 must be > 0"),
        ({"share": 1.5}, "share=1.5 must be from 0 to 1"),
        ({"temperature": float("nan")}, "temperature=nan"),
    ):
        with pytest.raises(ValueError, match=message):
            Distillation(**change)
