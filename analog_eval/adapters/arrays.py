"""Models made of plain arrays and a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

from analog_eval.adapters.base import Adapter, Arrays, Role, Tensor, check_output_axis, winning_labels
from analog_eval.noise import check_weights

__all__ = ["ArrayAdapter", "ArrayModel"]


class ArrayModel:
    """A model made of plain arrays and a function, for what no adapter knows.

    Parameters
    ----------
    arrays : mapping of str to array-like, or sequence of array-likes
        The weights.  `forward` gets them in the same form: a dict or a list.
    forward : callable ``(arrays, X) -> ndarray``
        The output for every row of `X`, along the first axis.  NumPy arrays reach it read-only: to compute in place, it
        has to copy them first.
    roles : mapping of str to role, or sequence of roles, optional
        Role of each array, see `Tensor`.  Default: arrays of two or more dimensions are kernels, the others biases;
        so name the role of a kernel that is a vector.
    output_axis : int, optional
        Axis along which the outputs of every kernel lie, such as 1 where `forward` computes ``X @ kernel``; only the
        drift compensation of single columns needs it.
    classes : array-like of shape (n_classes,), optional
        Makes the model a classifier whose `forward` returns scores: shape (n_rows, n_classes), the greatest wins; or
        (n_rows,), where a positive score means ``classes[1]``.  Without it `forward` returns predictions: labels if
        they are integers, booleans or strings, else numbers of a regression.

    Raises
    ------
    TypeError
        If `forward` is not callable, `output_axis` no int, or an array does not hold real numbers.
    ValueError
        If there are no arrays, an array is not finite, or `roles` or `classes` do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> model = ArrayModel({"w": [[1.0, -1.0]]}, lambda arrays, X: X @ arrays["w"].T[:, 0], classes=["no", "yes"])
    >>> model.predict(np.array([[2.0, 1.0], [1.0, 2.0]])).tolist()
    ['yes', 'no']
    """

    def __init__(
        self,
        arrays: Mapping[str, ArrayLike] | Sequence[ArrayLike],
        forward: Callable[[Any, Any], ArrayLike],
        *,
        roles: Mapping[str, Role] | Sequence[Role] | None = None,
        output_axis: int | None = None,
        classes: ArrayLike | None = None,
    ) -> None:
        if not callable(forward):
            raise TypeError(f"forward must be a function (arrays, X) -> outputs, got {type(forward).__name__}")
        if isinstance(arrays, Mapping):
            self.arrays: Any = {str(name): check_weights(a, f"arrays[{name!r}]") for name, a in arrays.items()}
        else:
            self.arrays = [check_weights(a, f"arrays[{i}]") for i, a in enumerate(arrays)]
        if not self.arrays:
            raise ValueError("arrays is empty; a model needs at least one array")
        self.forward = forward
        self.roles = _roles(self.arrays, roles)
        check_output_axis(output_axis)
        self.output_axis = output_axis
        self.classes_ = None if classes is None else np.asarray(classes)
        if self.classes_ is not None and (self.classes_.ndim != 1 or len(self.classes_) < 2):
            raise ValueError(f"classes must list at least 2 labels, got shape {self.classes_.shape}")
        if self.classes_ is not None and len(set(self.classes_.tolist())) < len(self.classes_):
            raise ValueError(f"classes must list labels that differ, got {self.classes_.tolist()}")

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return what `forward` returns for `X`, an ndarray of shape (n_rows, ...)."""
        if isinstance(self.arrays, dict):
            arrays: Any = {name: _read_only(array) for name, array in self.arrays.items()}
        else:
            arrays = [_read_only(array) for array in self.arrays]
        return np.asarray(self.forward(arrays, _read_only(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels if `classes` were given, else what `forward` returns, of shape (n_rows, ...)."""
        outputs = self.decision_function(X)
        return outputs if self.classes_ is None else winning_labels(outputs, self.classes_)

    def __sklearn_tags__(self) -> Tags:
        # So that scikit-learn's scorers know what they score.
        kind = "regressor" if self.classes_ is None else "classifier"
        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=False),
            classifier_tags=None if self.classes_ is None else ClassifierTags(),
            regressor_tags=RegressorTags() if self.classes_ is None else None,
        )


class ArrayAdapter(Adapter):
    """`ArrayModel`: the tensors are its arrays."""

    def _tensors(self) -> Sequence[Tensor]:
        arrays = self.holder.arrays
        items = arrays.items() if isinstance(arrays, dict) else enumerate(arrays)
        return [
            Tensor(f"arrays[{key!r}]", role, values, output_axis=self.holder.output_axis)
            for (key, values), role in zip(items, self.holder.roles, strict=True)
        ]

    def pack(self, arrays: Arrays) -> dict[str, Any]:
        """Return ``arrays`` in the form that the model keeps them in."""
        names = self.holder.arrays
        return {"arrays": dict(zip(names, arrays, strict=True)) if isinstance(names, dict) else list(arrays)}


def _read_only(array: Any) -> Any:
    """Return a view that cannot be written to, so that one prediction cannot change the next."""
    if not isinstance(array, np.ndarray):
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _roles(arrays: Any, roles: Mapping[str, Role] | Sequence[Role] | None) -> tuple[Role, ...]:
    """Return one role per array, checked."""
    keys: list[Any] = list(arrays) if isinstance(arrays, dict) else list(range(len(arrays)))
    default: list[Role] = ["kernel" if arrays[key].ndim >= 2 else "bias" for key in keys]
    if roles is None:
        return tuple(default)
    if isinstance(roles, Mapping):
        unknown = [key for key in roles if key not in keys]
        if unknown:
            raise ValueError(f"roles names {unknown}, but arrays has {keys}")
        chosen = [roles.get(key, role) for key, role in zip(keys, default, strict=True)]
    else:
        chosen = list(roles)
        if len(chosen) != len(keys):
            raise ValueError(f"roles has {len(chosen)} entries, but arrays has {len(keys)}")
    for key, role in zip(keys, chosen, strict=True):
        if role not in get_args(Role):
            raise ValueError(f"roles: {role!r} of array {key!r} is not one of {', '.join(get_args(Role))}")
    return tuple(chosen)
