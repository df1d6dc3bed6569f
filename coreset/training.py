"""Weighted training: sample weights go to every step that takes them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Estimator = TypeVar("Estimator")


def fit_weighted(
    estimator: Estimator,
    X: Any,
    y: NDArray[Any] | None,
    weights: NDArray[np.float64],
    *,
    target_type: str | None = None,
) -> Estimator:
    """Fit a clone of an estimator on weighted rows.

    Parameters
    ----------
    estimator : scikit-learn estimator or Pipeline
    X : array or DataFrame of shape (n, d)
    y : ndarray of shape (n,) or None
    weights : ndarray of shape (n,)
    target_type : {"class", "numeric"}, optional
        What `y` is.

    Returns
    -------
    estimator
        A fitted clone; the argument stays as it was.

    Raises
    ------
    TypeError
        When no sample weights reach the final step, or the target is not of the estimator's kind.
    ValueError
        When the estimator needs a target and there is none.
    """
    from sklearn.base import clone

    _check_target(estimator, y, target_type)
    fitted: Any = clone(estimator)
    target = () if y is None else (y,)
    return fitted.fit(X, *target, **dict.fromkeys(_weight_keywords(fitted), weights))


def _check_target(estimator: Any, y: NDArray[Any] | None, target_type: str | None) -> None:
    from sklearn.base import is_classifier, is_regressor
    from sklearn.utils import get_tags

    name = type(estimator).__name__
    if y is None:
        if is_classifier(estimator) or is_regressor(estimator) or get_tags(estimator).target_tags.required:
            raise ValueError(f"the coreset has no labels, but {name} needs a target: make it with y")
        return
    if target_type == "numeric" and is_classifier(estimator):
        raise TypeError(
            f"the coreset has a numeric target, but {name} is a classifier: make it with target_type='class'"
        )
    if y.dtype.kind == "U" and is_regressor(estimator):
        raise TypeError(f"the coreset's labels are strings, but {name} is a regressor")


def _weight_keywords(estimator: Any) -> list[str]:
    """Arguments of ``fit`` by which weights reach an estimator and its steps."""
    from sklearn import get_config

    if get_config()["enable_metadata_routing"]:
        return _routed_keywords(estimator)
    keywords, reach_the_end = _unrouted_keywords(estimator)
    if not reach_the_end:
        raise TypeError(f"{_culprit(estimator)} takes no sample_weight, so it cannot train on a coreset")
    return keywords


def _unrouted_keywords(estimator: Any) -> tuple[list[str], bool]:
    """Arguments, and whether the final step is among those that get weights."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if isinstance(estimator, BaseSearchCV):
        raise TypeError(
            f"{type(estimator).__name__} scores its folds without weights: switch scikit-learn's metadata routing on "
            "(set_config(enable_metadata_routing=True)) and request sample_weight for fit and score"
        )
    if isinstance(estimator, TransformedTargetRegressor):
        return (["sample_weight"], True) if estimator.regressor is None else _unrouted_keywords(estimator.regressor)
    if not isinstance(estimator, Pipeline):
        return (["sample_weight"], True) if has_fit_parameter(estimator, "sample_weight") else ([], False)
    keywords: list[str] = []
    reach_the_end = False
    for name, step in estimator.steps:
        if step is not None and not isinstance(step, str):  # "passthrough"
            inner, reach_the_end = _unrouted_keywords(step)
            keywords += [f"{name}__{keyword}" for keyword in inner]
    return keywords, reach_the_end


def _culprit(estimator: Any) -> str:
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        return f"the final step of {estimator!r}"
    return f"{type(estimator).__name__}.fit"


def _routed_keywords(estimator: Any) -> list[str]:
    from sklearn.pipeline import Pipeline
    from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object
    from sklearn.utils.validation import has_fit_parameter

    routing = get_routing_for_object(estimator)
    if isinstance(routing, MetadataRouter):
        last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
        reaches_the_end = bool(get_routing_for_object(last).consumes("fit", ["sample_weight"]))
    else:
        reaches_the_end = has_fit_parameter(estimator, "sample_weight")
    if not reaches_the_end:
        raise TypeError(
            f"{type(estimator).__name__} requests no sample_weight, so it cannot train on a coreset: with metadata "
            "routing on, its steps request it by set_fit_request(sample_weight=True)"
        )
    return ["sample_weight"]
