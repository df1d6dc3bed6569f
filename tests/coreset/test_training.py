"""Training: where weights go, and which targets fit which estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from coreset import Coreset


@pytest.fixture
def repeated(rng: np.random.Generator) -> tuple[Coreset, np.ndarray, np.ndarray]:
    """A coreset of integer weights, and the rows and targets that it stands for."""
    X, y, weights = rng.normal(size=(30, 2)), rng.normal(size=30), rng.integers(1, 4, 30)
    coreset = Coreset(X, weights, labels=y, target_type="numeric")
    return coreset, np.repeat(X, weights, axis=0), np.repeat(y, weights)


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(
            make_pipeline("passthrough", StandardScaler()), Pipeline([("s", StandardScaler()), ("r", Ridge())])
        ),
        TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge()), func=np.arcsinh, inverse_func=np.sinh),
        TransformedTargetRegressor(),
    ],
    ids=repr,
)
def test_weights_reach_every_step_however_deep(repeated, model):
    coreset, X, y = repeated
    np.testing.assert_allclose(coreset.train(model).predict(X), model.fit(X, y).predict(X), atol=1e-10)


def test_weights_go_where_metadata_routing_sends_them(repeated):
    coreset, X, y = repeated
    with config_context(enable_metadata_routing=True):
        scaler, ridge = (
            StandardScaler().set_fit_request(sample_weight=True),
            Ridge().set_fit_request(sample_weight=True),
        )
        columns = ColumnTransformer([("scaled", scaler, [0, 1])])
        for model in (make_pipeline(scaler, ridge), make_pipeline(columns, ridge), Ridge()):
            np.testing.assert_allclose(coreset.train(model).predict(X), model.fit(X, y).predict(X), atol=1e-10)
        ridge.set_score_request(sample_weight=True)
        search = GridSearchCV(ridge, {"alpha": [1e-3, 1e6]}, cv=3)
        assert coreset.train(search).best_params_ == search.fit(X, y).best_params_
        for model in (make_pipeline(StandardScaler(), Ridge()), make_pipeline(scaler, Ridge())):
            with pytest.raises(TypeError, match=r"requests no sample_weight.*set_fit_request\(sample_weight=True\)"):
                coreset.train(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KNeighborsRegressor(), r"KNeighborsRegressor.fit takes no sample_weight"),
        (make_pipeline(StandardScaler(), KNeighborsRegressor()), "(?s)the final step of .* takes no sample_weight"),
        (
            make_pipeline(ColumnTransformer([("s", StandardScaler(), [0])])),
            "(?s)the final step of .* takes no sample_weight",
        ),
        (Pipeline([("nothing", "passthrough")]), "(?s)the final step of .* takes no sample_weight"),
        (GridSearchCV(Ridge(), {"alpha": [1, 2]}), "GridSearchCV scores its folds without weights: switch"),
        (
            LogisticRegression(),
            "numeric target, but LogisticRegression is a classifier: make it with target_type='class'",
        ),
        (make_pipeline(StandardScaler(), LogisticRegression()), "numeric target, but Pipeline is a classifier"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_that_do_not_fit_are_named(repeated, model, message):
    with pytest.raises(TypeError, match=message):
        repeated[0].train(model)


def test_a_target_that_is_missing_or_of_another_kind_is_named(rng):
    X = rng.normal(size=(6, 2))
    for model in (LinearRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(ValueError, match=r"the coreset has no labels, but \w+ needs a target"):
            Coreset(X, np.ones(6)).train(model)
    assert Coreset(X, np.ones(6)).train(KMeans(2, n_init=1)).cluster_centers_.shape == (2, 2)
    assert Coreset(X, np.ones(6)).train(make_pipeline(StandardScaler())).steps[0][1].n_samples_seen_ == 6
    with pytest.raises(TypeError, match="the coreset's labels are strings, but Ridge is a regressor"):
        Coreset(X, np.ones(6), labels=list("ababab")).train(Ridge())
    # Classes that are numbers do for a regressor.
    assert Coreset(X, np.ones(6), labels=[0, 1, 2, 3, 4, 5]).train(Ridge()).coef_.shape == (2,)


def test_an_estimator_without_tags_is_left_to_itself(rng):
    class Plain(BaseEstimator):
        def fit(self, X, y=None, sample_weight=None):
            self.mass_ = sample_weight.sum()
            return self

    assert Coreset(rng.normal(size=(6, 2)), np.ones(6)).train(Plain()).mass_ == 6
