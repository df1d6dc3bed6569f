"""Fitted models and data that several tests use."""

from __future__ import annotations

import warnings

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale


def quiet_fit(model, X, y):
    """Fit without the warning that a few iterations are few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


@pytest.fixture(scope="session")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="session")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), y


@pytest.fixture
def logistic(cancer):
    X, y = cancer
    return LogisticRegression().fit(X[:300], y[:300])


@pytest.fixture
def linear(diabetes):
    X, y = diabetes
    return LinearRegression().fit(X[:300], y[:300])


@pytest.fixture(scope="session")
def mlp(digits):
    X, y = digits
    return quiet_fit(MLPClassifier((32, 16), max_iter=30, random_state=0), X[:1000], y[:1000])


@pytest.fixture(scope="session")
def trained(digits):
    """One architecture by two recipes, and another architecture."""
    X, y = digits[0][:1000], digits[1][:1000]
    recipes = {"plain": {}, "decayed": {"alpha": 1.0}, "wide": {"hidden_layer_sizes": (48, 16)}}
    usual = {"hidden_layer_sizes": (32, 16), "max_iter": 30, "random_state": 0}
    return {name: quiet_fit(MLPClassifier(**(usual | recipe)), X, y) for name, recipe in recipes.items()}
