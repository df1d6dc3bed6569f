"""Adapters: the functional forward agrees with scikit-learn, and every tensor has its role."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn import linear_model, svm
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from analog_eval import ArrayModel, GaussianNoise
from analog_eval.adapters import adapt, target_indices
from analog_eval.adapters.estimators import LINEAR_MODELS
from analog_eval.injection import NoisyTensors

# A few iterations are enough to have weights; that they have not converged is no news.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSIFIERS = [
    linear_model.LogisticRegression(),
    linear_model.LogisticRegression(fit_intercept=False),
    linear_model.RidgeClassifier(),
    linear_model.SGDClassifier(random_state=0),
    linear_model.SGDClassifier(average=True, random_state=0),
    linear_model.Perceptron(random_state=0),
    svm.LinearSVC(),
    svm.LinearSVC(fit_intercept=False),
    LinearDiscriminantAnalysis(),
]
REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.LinearRegression(fit_intercept=False),
    linear_model.Ridge(),
    linear_model.Lasso(alpha=0.01),
    linear_model.ElasticNet(alpha=0.01),
    linear_model.BayesianRidge(),
    linear_model.HuberRegressor(),
    linear_model.SGDRegressor(random_state=0),
    linear_model.TheilSenRegressor(random_state=0, max_subpopulation=100),
    linear_model.OrthogonalMatchingPursuit(),
    svm.LinearSVR(random_state=0),
]


def classification(n_classes, n_rows=60):
    return make_classification(
        n_rows, 8, n_informative=6, n_redundant=0, n_classes=n_classes, class_sep=0.7, random_state=n_classes
    )


def assert_parity(model, X, level=0.3):
    """The functional prediction equals that of a copy into which the noisy arrays were written."""
    adapter = adapt(model)
    noisy = NoisyTensors(adapter, GaussianNoise("absmax"), "parameters", 0)
    predict = adapter.predictor(adapter.transform(X))
    for arrays in (noisy.clean, noisy.at(level, noisy.draw()), noisy.at(level, noisy.draw())):
        truth = copy.deepcopy(model)
        for name, value in adapter.pack(arrays).items():
            setattr(adapt(truth).holder, name, value)
        expected, got = truth.predict(X), predict(arrays)
        assert got.shape == expected.shape
        if expected.dtype.kind == "f" and adapter.classes is None:
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * max(1.0, np.abs(expected).max()))
        else:
            assert got.dtype == expected.dtype
            assert (got == expected).all()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
def test_linear_classifiers(model, n_classes):
    X, y = classification(n_classes)
    assert_parity(copy.deepcopy(model).fit(X, np.array(["ant", "bee", "cat"])[y]), X)


@pytest.mark.parametrize("model", REGRESSORS, ids=repr)
def test_linear_regressors(model):
    X, y = make_regression(60, 8, noise=1.0, random_state=0)
    assert_parity(copy.deepcopy(model).fit(X, y / y.std()), X)


@pytest.mark.parametrize(
    "model", [linear_model.LinearRegression(), linear_model.Ridge(), linear_model.MultiTaskLasso()]
)
def test_several_outputs(model):
    X, y = make_regression(60, 8, n_targets=3, random_state=0)
    assert_parity(copy.deepcopy(model).fit(X, y), X)


def test_links_and_labels_that_only_scikit_learn_decodes():
    X, y = make_regression(60, 8, random_state=0)
    assert_parity(linear_model.PoissonRegressor().fit(X, np.exp(y / y.std())), X, 0.1)
    if "loss" in MLPRegressor().get_params():
        poisson = MLPRegressor(loss="poisson", hidden_layer_sizes=(5,), max_iter=20, random_state=0)
        assert_parity(poisson.fit(X, np.exp(y / y.std())), X, 0.1)
    X, labels = make_multilabel_classification(60, 8, n_classes=3, random_state=0)
    assert_parity(linear_model.RidgeClassifier().fit(X, labels), X)
    assert_parity(MLPClassifier((6,), max_iter=20, random_state=0).fit(X, labels), X)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_mlp_classifiers(activation, n_classes):
    X, y = classification(n_classes)
    model = MLPClassifier((9, 5), activation=activation, max_iter=20, random_state=0)
    assert_parity(model.fit(X, y + 3), X)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_mlp_regressors(activation, n_targets):
    X, y = make_regression(60, 8, n_targets=n_targets, random_state=0)
    model = MLPRegressor(hidden_layer_sizes=(9,), activation=activation, max_iter=20, random_state=0)
    assert_parity(model.fit(X, y / y.std()), X)


def test_softmax_ties_go_to_scikit_learns_winner():
    X, y = classification(3)
    model = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
    arrays = [tensor.values.copy() for tensor in adapt(model).tensors]
    # The last logit is greater by less than the softmax can show, so scikit-learn answers with the first class.
    arrays[2][:] = 0.0
    arrays[3][:] = [0.0, 0.0, 1e-17]
    got = adapt(model).predictor(X)(arrays)
    model.coefs_, model.intercepts_ = arrays[0::2], arrays[1::2]
    assert (got == model.predict(X)).all()
    assert set(got) == {0}


def test_single_precision_and_sparse_rows():
    X, y = classification(3)
    X = X.astype(np.float32)
    model = MLPClassifier((6,), max_iter=20, random_state=0).fit(X, y)
    assert model.coefs_[0].dtype == np.float32
    assert_parity(model, X)
    assert_parity(model, csr_matrix(X))
    assert_parity(linear_model.LogisticRegression().fit(X, y), csr_matrix(X))


def test_pipelines_and_searches():
    X, y = classification(3)
    inner = make_pipeline(StandardScaler(), linear_model.LogisticRegression())
    assert_parity(make_pipeline(MinMaxScaler(), "passthrough", inner).fit(X, y), X)
    assert_parity(GridSearchCV(inner, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(X, y), X)
    frame = pytest.importorskip("pandas").DataFrame(X).add_prefix("column")
    assert_parity(make_pipeline(linear_model.LogisticRegression()).fit(frame, y), frame)
    assert_parity(linear_model.RidgeClassifier().fit(frame, y), frame)


def test_a_subclass_that_predicts_otherwise_is_believed():
    class Contrary(linear_model.LogisticRegression):
        def predict(self, X):
            return 1 - super().predict(X)

    X, y = classification(2)
    assert_parity(Contrary().fit(X, y), X)


def test_roles_and_targets():
    X, y = classification(2)
    model = MLPClassifier((5,), max_iter=5).fit(X, y)
    tensors = adapt(model).tensors
    assert [(t.name, t.role) for t in tensors] == [
        ("coefs_[0]", "kernel"),
        ("intercepts_[0]", "bias"),
        ("coefs_[1]", "kernel"),
        ("intercepts_[1]", "bias"),
    ]
    assert tensors[0].values is model.coefs_[0]
    assert target_indices(tensors, "weights") == [0, 2]
    assert target_indices(tensors, "parameters") == [0, 1, 2, 3]
    vector = linear_model.LinearRegression().fit(X, y)
    assert adapt(vector).tensors[0].role == "kernel"
    assert len(adapt(linear_model.LinearRegression(fit_intercept=False).fit(X, y)).tensors) == 1


def test_every_linear_model_has_the_attributes_that_are_replaced():
    X, y = classification(2)
    for kind in LINEAR_MODELS:
        if kind.__module__.endswith(("_passive_aggressive", "_logistic")) or "CV" in kind.__name__:
            continue
        target = np.c_[y, y] if kind.__name__.startswith("MultiTask") else y + 1
        model = kind().fit(X, target)
        assert adapt(model).tensors[0].name == "coef_"
        assert_parity(model, X, 0.1)


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(), svm.SVC(kernel="linear"), "a string", None, linear_model.LinearRegression]
)
def test_unsupported_models_are_told_what_is_supported(model):
    with pytest.raises(TypeError, match=r"Supported: .*MLPClassifier.*ArrayModel"):
        adapt(model)


def test_unfitted_models():
    for model in (
        linear_model.LogisticRegression(),
        MLPClassifier(),
        make_pipeline(StandardScaler(), linear_model.Ridge()),
    ):
        with pytest.raises(ValueError, match="not fitted"):
            adapt(model)
    with pytest.raises(ValueError, match="refit=True"):
        adapt(GridSearchCV(linear_model.Ridge(), {"alpha": [1.0]}))


def test_weights_that_are_no_numbers():
    X, y = classification(2)
    model = linear_model.LogisticRegression().fit(X, y)
    model.coef_[0, 0] = np.nan
    with pytest.raises(ValueError, match="coef_ holds 1 NaN"):
        adapt(model)
    sparse = linear_model.LogisticRegression().fit(X, y).sparsify()
    with pytest.raises(TypeError, match="densify"):
        adapt(sparse)


class TestArrayModel:
    def test_forms(self, rng):
        X, w, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
        named = ArrayModel({"w": w, "b": b}, lambda a, X: X @ a["w"] + a["b"])
        listed = ArrayModel([w, b], lambda a, X: X @ a[0] + a[1])
        assert np.array_equal(named.predict(X), listed.predict(X))
        assert [t.role for t in adapt(named).tensors] == ["kernel", "bias"]
        assert adapt(listed).tensors[0].values is w

    def test_classes(self, rng):
        X, w = rng.normal(size=(6, 3)), rng.normal(size=(3, 2))
        two = ArrayModel([w], lambda a, X: X @ a[0], classes=["no", "yes"])
        assert (two.predict(X) == np.where((X @ w).argmax(1) == 1, "yes", "no")).all()
        one = ArrayModel([w], lambda a, X: X @ a[0][:, 0], classes=["no", "yes"])
        assert (one.predict(X) == np.where(X @ w[:, 0] > 0, "yes", "no")).all()
        with pytest.raises(ValueError, match=r"\(6, 2\) do not fit 3 classes"):
            ArrayModel([w], lambda a, X: X @ a[0], classes=[0, 1, 2]).predict(X)

    def test_roles(self):
        model = ArrayModel([np.ones(3), np.ones(2)], lambda a, X: X, roles=["kernel", "shift"])
        assert [t.role for t in adapt(model).tensors] == ["kernel", "shift"]
        named = ArrayModel({"w": np.ones(3), "m": np.ones(2)}, lambda a, X: X, roles={"m": "statistic"})
        with pytest.raises(
            ValueError, match=r"targets='parameters' names none of the model's tensors: .*m.* \(statistic\)"
        ):
            target_indices(adapt(named).tensors[1:], "parameters")
        assert target_indices(adapt(named).tensors, "state") == [0, 1]

    @pytest.mark.parametrize(
        ("arguments", "error", "match"),
        [
            (([], len), ValueError, "arrays is empty"),
            (([np.ones(2)], "f"), TypeError, "forward"),
            (([["a"]], len), TypeError, r"arrays\[0\] must hold real numbers"),
            (({"w": [np.inf]}, len), ValueError, r"arrays\['w'\] holds 1 NaN or infinite"),
        ],
    )
    def test_bad_arguments(self, arguments, error, match):
        with pytest.raises(error, match=match):
            ArrayModel(*arguments)

    def test_bad_roles_and_classes(self):
        with pytest.raises(ValueError, match="roles has 2 entries, but arrays has 1"):
            ArrayModel([np.ones(2)], len, roles=["kernel", "bias"])
        with pytest.raises(ValueError, match=r"roles names \['v'\]"):
            ArrayModel({"w": np.ones(2)}, len, roles={"v": "bias"})
        with pytest.raises(ValueError, match="'wheel'"):
            ArrayModel([np.ones(2)], len, roles=["wheel"])
        with pytest.raises(ValueError, match="at least 2 labels"):
            ArrayModel([np.ones(2)], len, classes=[1])
        with pytest.raises(ValueError, match=r"labels that differ, got \[0, 1, 0\]"):
            ArrayModel([np.ones(2)], len, classes=[0, 1, 0])
        with pytest.raises(TypeError, match="output_axis must be an int or None, got 'a'"):
            ArrayModel([np.ones((2, 2))], len, output_axis="a")
