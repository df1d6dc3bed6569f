"""One view of a model's tensors, whatever library the model comes from.

``adapt(model)`` returns an `Adapter`: the model's tensors, each with a role, and three things that can be done with
replacements for them: predict without touching the model, build a stand-in that holds them, or put them into the model.
"""

from __future__ import annotations

import sys
from typing import Any

from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline

from analog_eval.adapters.analog import AnalogKernel, Orient, exact_product
from analog_eval.adapters.arrays import ArrayAdapter, ArrayModel
from analog_eval.adapters.base import (
    Adapter,
    Arrays,
    Predictor,
    Role,
    Targets,
    Tensor,
    as_array,
    check_output_axis,
    of_memory,
    target_indices,
)
from analog_eval.adapters.estimators import LINEAR_MODELS, LinearAdapter, MLPAdapter
from analog_eval.adapters.further_uses import further_uses, further_uses_note

__all__ = [
    "Adapter",
    "AnalogKernel",
    "ArrayModel",
    "Arrays",
    "Orient",
    "Predictor",
    "Role",
    "Targets",
    "Tensor",
    "adapt",
    "as_array",
    "check_output_axis",
    "exact_product",
    "further_uses",
    "further_uses_note",
    "of_memory",
    "target_indices",
]

_SUPPORTED = (
    "scikit-learn linear models (LogisticRegression, LinearSVC, SGDClassifier, LinearRegression, Ridge, Lasso, ...), "
    "MLPClassifier and MLPRegressor, torch.nn.Module, a Pipeline or a fitted GridSearchCV or RandomizedSearchCV that "
    "ends in one of them, and analog_eval.ArrayModel(arrays, forward) for everything else"
)


def adapt(model: Any) -> Adapter:
    """Return the view of a fitted model's tensors.

    Parameters
    ----------
    model : fitted scikit-learn estimator, torch.nn.Module, or ArrayModel
        A linear model, an MLPClassifier or MLPRegressor, a torch module, a Pipeline or a search over parameters that
        ends in one of them, or an `ArrayModel`.  Only the tensors of the last step count as weights; the steps before
        it stay exact.

    Returns
    -------
    Adapter
        Whose ``tensors`` are the model's own arrays.

    Raises
    ------
    TypeError
        If the model is of a kind that is not supported; the message lists those that are.
    ValueError
        If the model is not fitted, or a weight is NaN or infinite.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> model = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> [(tensor.name, tensor.role) for tensor in adapt(model).tensors]
    [('coef_', 'kernel'), ('intercept_', 'bias')]
    """
    holder, prefixes = _unwrap(model)
    kinds: tuple[tuple[Any, type[Adapter], str], ...] = (
        (ArrayModel, ArrayAdapter, "arrays"),
        ((MLPClassifier, MLPRegressor), MLPAdapter, "coefs_"),
        (LINEAR_MODELS, LinearAdapter, "coef_"),
    )
    for types, adapter, attribute in kinds:
        if isinstance(holder, types):
            if not hasattr(holder, attribute):
                raise ValueError(f"model: {type(holder).__name__} is not fitted; call its fit method first")
            return adapter(holder, prefixes)
    if _is_torch_module(holder):
        from analog_eval.adapters.modules import ModuleAdapter

        return ModuleAdapter(holder, prefixes)
    kind = f"class {holder.__name__}, not a fitted object" if isinstance(holder, type) else type(holder).__name__
    raise TypeError(f"model: cannot see the weights of {kind}. Supported: {_SUPPORTED}")


def _is_torch_module(model: Any) -> bool:
    # Who has a module has imported torch; nobody else should wait for it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _unwrap(model: Any) -> tuple[Any, list[Any]]:
    """Walk through pipelines and searches to the model that holds the weights, collecting the steps before it."""
    prefixes = []
    while isinstance(model, Pipeline | GridSearchCV | RandomizedSearchCV):
        if isinstance(model, Pipeline):
            if len(model.steps) > 1:
                prefixes.append(model[:-1])
            model = model.steps[-1][1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            raise ValueError(f"model: {type(model).__name__} has no best_estimator_; fit it with refit=True")
    return model, prefixes
