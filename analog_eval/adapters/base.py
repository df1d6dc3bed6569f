"""What an adapter is: tensors with roles, and predictions with replacements for them."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from analog_eval.noise import check_weights

__all__ = [
    "Adapter",
    "Arrays",
    "Predictor",
    "Role",
    "Targets",
    "Tensor",
    "as_array",
    "check_output_axis",
    "of_memory",
    "target_indices",
    "winning_labels",
]

Role: TypeAlias = Literal["kernel", "bias", "gain", "shift", "statistic"]
Targets: TypeAlias = Literal["weights", "parameters", "state"]
Arrays: TypeAlias = Sequence[NDArray[Any]]
Predictor: TypeAlias = Callable[[Arrays], NDArray[Any]]

_TARGET_ROLES: dict[str, frozenset[str]] = {
    "weights": frozenset({"kernel"}),
    "parameters": frozenset({"kernel", "bias", "gain", "shift"}),
    "state": frozenset(get_args(Role)),
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One named array of a model and what it is used for.

    Parameters
    ----------
    name : str
        Where the model keeps it, such as ``"coefs_[0]"``.
    role : {"kernel", "bias", "gain", "shift", "statistic"}
        ``kernel``: multiplies inputs, in a crossbar; ``bias``: added to outputs; ``gain`` and ``shift``: the affine
        part of a normalization; ``statistic``: its running mean or variance.
    values : ndarray of any shape
        The model's own array; a copy only where NumPy cannot look at it (another device, bfloat16).
    lowest : float, default=-inf
        Least value that means anything, such as 0 for a running variance.  Noisy values below it are set to it, as a
        device that stores no negative values would.
    output_axis : int, optional
        Axis along which a kernel's outputs lie; None where that is not known, or there is one output.
    """

    name: str
    role: Role
    values: NDArray[Any]
    lowest: float = -np.inf
    output_axis: int | None = None


class Adapter(ABC):
    """A model's tensors, and predictions with replacements for them.  Made by `adapt`.

    Replacements are lists of arrays in the order of `tensors`, of the same shapes.
    """

    def __init__(self, holder: Any, prefixes: Sequence[Any] = ()) -> None:
        self.holder, self._prefixes = holder, tuple(prefixes)
        self.tensors: tuple[Tensor, ...] = tuple(self._tensors())
        for tensor in self.tensors:
            check_weights(tensor.values, f"model: {tensor.name}")

    @property
    def name(self) -> str:
        """Name of the model's class."""
        return type(self.holder).__name__

    @property
    def classes(self) -> NDArray[Any] | None:
        """Labels the model can predict, of shape (n_classes,), or None for a regression."""
        return getattr(self.holder, "classes_", None) if is_classifier(self.holder) else None

    def transform(self, X: Any) -> Any:
        """Run the steps before the model itself (the front of a pipeline); they hold no noisy weights."""
        for prefix in self._prefixes:
            X = prefix.transform(X)
        return X

    def suited_to(self, inputs: Any, truth: NDArray[Any]) -> Adapter:
        """Return a view that predicts what `truth` holds, labels or numbers, for models that do not say it themselves.

        `inputs` is the output of `transform`, `truth` has shape (n_rows,) or (n_rows, n_outputs).
        """
        return self

    @contextmanager
    def holding(self, arrays: Arrays) -> Iterator[None]:
        """Put `arrays` into the model itself for the length of a ``with`` block."""
        replacements = self.pack(arrays)
        originals = {name: getattr(self.holder, name) for name in replacements}
        try:
            for name, value in replacements.items():
                setattr(self.holder, name, value)
            yield
        finally:
            for name, value in originals.items():
                setattr(self.holder, name, value)

    def rebuilt(self, arrays: Arrays) -> Any:
        """Return a shallow copy of the innermost model that holds `arrays`; the model itself stays as it is."""
        stand_in = copy.copy(self.holder)
        for name, value in self.pack(arrays).items():
            setattr(stand_in, name, value)
        return stand_in

    def predictor(self, inputs: Any) -> Predictor:
        """Return a function from arrays to predictions for `inputs` (the output of `transform`)."""
        return lambda arrays: np.asarray(self.rebuilt(arrays).predict(inputs))

    def predictor_after(self, inputs: Any, first: int) -> Predictor:
        """Return a `predictor` for arrays of which those before number `first` are the model's own, bit by bit.

        An adapter that knows the order of its layers can then run those before it once.
        """
        return self.predictor(inputs)

    def row_predictor(self, inputs: Any) -> Callable[[Arrays, NDArray[np.intp]], NDArray[Any]]:
        """Return a function from arrays and row numbers to predictions for those rows of `inputs`."""
        by_row = getattr(inputs, "iloc", inputs)
        return lambda arrays, rows: self.predictor(by_row[rows])(arrays)

    def scores(self, inputs: Any) -> Predictor:
        """Return a function from arrays to the scores of all classes, as ``decision_function`` returns them."""
        return lambda arrays: np.asarray(self.rebuilt(arrays).decision_function(inputs))

    @abstractmethod
    def pack(self, arrays: Arrays) -> dict[str, Any]:
        """Return the attributes of `holder` that hold the tensors, filled with `arrays`."""

    @abstractmethod
    def _tensors(self) -> Sequence[Tensor]: ...


def target_indices(tensors: Sequence[Tensor], targets: str) -> list[int]:
    """Return the positions of the tensors that `targets` names.

    Parameters
    ----------
    tensors : sequence of Tensor
        A model's tensors.
    targets : {"weights", "parameters", "state"}
        ``weights``: kernels; ``parameters``: also biases, gains and shifts; ``state``: also running statistics.

    Returns
    -------
    list of int
        At least one position.

    Raises
    ------
    ValueError
        If `targets` is unknown or names no tensor of the model.
    """
    if not isinstance(targets, str) or targets not in _TARGET_ROLES:
        raise ValueError(f"targets={targets!r} is not one of {', '.join(map(repr, _TARGET_ROLES))}")
    chosen = [i for i, tensor in enumerate(tensors) if tensor.role in _TARGET_ROLES[targets] and tensor.values.size]
    if not chosen:
        found = ", ".join(f"{tensor.name} ({tensor.role})" for tensor in tensors) or "no tensors"
        raise ValueError(f"targets={targets!r} names none of the model's tensors: {found}")
    return chosen


def check_output_axis(axis: Any) -> None:
    """Raise unless `axis` is an int or None."""
    if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int | np.integer)):
        raise TypeError(f"output_axis must be an int or None, got {axis!r}")


def as_array(values: Any) -> NDArray[Any]:
    """Return `values` as NumPy sees them, tensors of any device included."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def of_memory(error: Exception) -> bool:
    """Whether an error tells that there was not enough memory, for which torch has no class but on accelerators."""
    told = re.search("out of memory|to allocate|ALLOC_FAILED", str(error)) is not None
    return told or isinstance(error, MemoryError)


def winning_labels(scores: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the winning label of each row of decision scores, by scikit-learn's rule."""
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores.ravel()
    if scores.ndim == 1 and len(classes) == 2:
        return np.asarray(classes[(scores > 0).view(np.int8)])
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ValueError(f"scores of shape {scores.shape} do not fit {len(classes)} classes")
    return np.asarray(classes[scores.argmax(axis=1)])
