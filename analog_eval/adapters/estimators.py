"""Linear models and multi-layer perceptrons of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.special import expit
from sklearn import discriminant_analysis, linear_model, svm
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_array

from analog_eval.adapters.base import Adapter, Arrays, Predictor, Tensor, winning_labels

__all__ = ["LINEAR_MODELS", "LinearAdapter", "MLPAdapter"]

_LINEAR_NAMES = (
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "Lars",
    "LarsCV",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LinearRegression",
    "LogisticRegression",
    "LogisticRegressionCV",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "PassiveAggressiveClassifier",
    "PassiveAggressiveRegressor",
    "Perceptron",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "SGDClassifier",
    "SGDRegressor",
    "TheilSenRegressor",
)
# Not every release has every one of them, so look them up by name.
_PLAIN_LINEAR: tuple[type, ...] = (
    svm.LinearSVC,
    svm.LinearSVR,
    discriminant_analysis.LinearDiscriminantAnalysis,
    *(getattr(linear_model, name) for name in _LINEAR_NAMES if hasattr(linear_model, name)),
)
# Linear models whose prediction is more than coef_ and intercept_: a link function, or several labels a row.
_OTHER_LINEAR: tuple[type, ...] = (
    linear_model.GammaRegressor,
    linear_model.PoissonRegressor,
    linear_model.RidgeClassifier,
    linear_model.RidgeClassifierCV,
    linear_model.TweedieRegressor,
)
_FLAT_OUTPUT = tuple(
    getattr(linear_model, name)
    for name in ("SGDRegressor", "PassiveAggressiveRegressor")
    if hasattr(linear_model, name)
)
LINEAR_MODELS: tuple[type, ...] = (*_PLAIN_LINEAR, *_OTHER_LINEAR)


class LinearAdapter(Adapter):
    """Linear models of scikit-learn: ``coef_`` is a kernel even where it is a vector, ``intercept_`` a bias."""

    def _tensors(self) -> Sequence[Tensor]:
        if issparse(self.holder.coef_):
            raise TypeError("model: coef_ is sparse; call its densify() method first")
        coef = np.asarray(self.holder.coef_)
        tensors = [Tensor("coef_", "kernel", coef, output_axis=0 if coef.ndim == 2 else None)]
        if getattr(self.holder, "fit_intercept", True):
            tensors.append(Tensor("intercept_", "bias", np.asarray(self.holder.intercept_)))
        return tensors

    def pack(self, arrays: Arrays) -> dict[str, Any]:
        """Return ``coef_`` and, if it is fitted, ``intercept_``."""
        # [()] turns a 0-d array into the scalar that scikit-learn keeps.
        return dict(zip(("coef_", "intercept_"), (a if a.ndim else a[()] for a in arrays), strict=False))

    def predictor(self, inputs: Any) -> Predictor:
        """Return scikit-learn's own arithmetic without its checks, or its ``predict`` where that does more."""
        if type(self.holder) not in _PLAIN_LINEAR or issparse(inputs):
            return super().predictor(inputs)
        x, constant = _dense(inputs), self.holder.intercept_
        flat = type(self.holder) in _FLAT_OUTPUT
        classes = self.classes

        def predict(arrays: Arrays) -> NDArray[Any]:
            coef = arrays[0]
            # The same operations in the same order as scikit-learn, so that the bits agree.
            outputs = x @ (coef.T if coef.ndim == 2 else coef) + (arrays[1] if len(arrays) > 1 else constant)
            if classes is None:
                return outputs.ravel() if flat else outputs
            return winning_labels(outputs, classes)

        return predict


class MLPAdapter(Adapter):
    """Multi-layer perceptrons of scikit-learn: kernel and bias of each layer, in the order of the layers."""

    _ACTIVATIONS: ClassVar[dict[str, Callable[..., Any]]] = {
        "identity": lambda a, out: a,
        "logistic": expit,
        "tanh": np.tanh,
        "relu": lambda a, out: np.maximum(a, 0, out=out),
    }

    def _tensors(self) -> Sequence[Tensor]:
        tensors = []
        for i, (kernel, bias) in enumerate(zip(self.holder.coefs_, self.holder.intercepts_, strict=True)):
            tensors.append(Tensor(f"coefs_[{i}]", "kernel", kernel, output_axis=1))
            tensors.append(Tensor(f"intercepts_[{i}]", "bias", bias))
        return tensors

    def pack(self, arrays: Arrays) -> dict[str, Any]:
        """Return ``coefs_`` and ``intercepts_``."""
        return {"coefs_": list(arrays[0::2]), "intercepts_": list(arrays[1::2])}

    def predictor(self, inputs: Any) -> Predictor:
        """Return scikit-learn's own arithmetic without its checks, or its ``predict`` where that does more."""
        return self.predictor_after(inputs, 0)

    def scores(self, inputs: Any) -> Predictor:
        """Return the outputs before the output activation, which keeps their order."""
        x = inputs if issparse(inputs) else _dense(inputs)
        hidden = self._ACTIVATIONS[self.holder.activation]
        return lambda arrays: _forward(x, arrays, hidden)

    def predictor_after(self, inputs: Any, first: int) -> Predictor:
        """Return a `predictor` that runs the layers before tensor number `first` once."""
        decode = self._decoder(inputs)
        if decode is None:
            return super().predictor(inputs)
        x, hidden, layer = _dense(inputs), self._ACTIVATIONS[self.holder.activation], first // 2
        if layer:
            x = _forward(x, [tensor.values for tensor in self.tensors], hidden, stop=layer)
        return lambda arrays: decode(_forward(x, arrays, hidden, start=layer))

    def row_predictor(self, inputs: Any) -> Callable[[Arrays, NDArray[np.intp]], NDArray[Any]]:
        """Return a function from arrays and row numbers to predictions, which checks `inputs` once."""
        decode = self._decoder(inputs)
        if decode is None:
            return super().row_predictor(inputs)
        x, hidden = _dense(inputs), self._ACTIVATIONS[self.holder.activation]
        return lambda arrays, rows: decode(_forward(x[rows], arrays, hidden))

    def _decoder(self, inputs: Any) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
        """Return what makes predictions of outputs before the activation; None where scikit-learn does more."""
        model = self.holder
        classes, one_output = self.classes, model.n_outputs_ == 1
        # Several logistic outputs are a multi-label model; scikit-learn's own code decodes those.
        multilabel = classes is not None and not one_output and model.out_activation_ == "logistic"
        plain = type(model) in (MLPClassifier, MLPRegressor) and model.out_activation_ in (
            "identity",
            "logistic",
            "softmax",
        )
        if not plain or multilabel or issparse(inputs) or (classes is not None and len(classes) < 2):
            return None
        if classes is None:
            return np.ravel if one_output else np.asarray
        if one_output:
            # Through the sigmoid, not by the sign: scikit-learn compares the rounded probability with a half.
            return lambda outputs: classes[(expit(outputs.ravel()) > 0.5).view(np.int8)]
        return lambda outputs: classes[_softmax_argmax(outputs)]


def _dense(inputs: Any) -> NDArray[Any]:
    return np.asarray(check_array(inputs, dtype="numeric", input_name="X"))


def _forward(
    x: NDArray[Any], arrays: Arrays, hidden: Callable[..., Any], start: int = 0, stop: int | None = None
) -> NDArray[Any]:
    """Return what layers `start` to `stop` make of `x`; the last one of all has no activation."""
    n_layers = len(arrays) // 2
    for i in range(start, n_layers if stop is None else stop):
        x = x @ arrays[2 * i]
        x += arrays[2 * i + 1]
        if i < n_layers - 1:
            hidden(x, out=x)
    return x


def _softmax_argmax(logits: NDArray[Any]) -> NDArray[np.intp]:
    """Return what ``argmax`` of the rounded softmax returns, without the exponentials where no tie is near."""
    winners = logits.argmax(axis=1)
    top = logits[np.arange(len(logits)), winners]
    near = np.count_nonzero(logits >= (top - 64 * np.finfo(logits.dtype).eps)[:, None])
    if near == len(logits):
        return winners
    # Two logits within rounding of each other can become equal probabilities, and then the first one wins.
    exponentials = np.exp(logits - logits.max(axis=1)[:, None])
    return np.asarray((exponentials / exponentials.sum(axis=1)[:, None]).argmax(axis=1))
