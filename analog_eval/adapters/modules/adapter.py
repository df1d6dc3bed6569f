"""The adapter of torch modules, and the estimator that scikit-learn's scorers see."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags
from torch import nn

from analog_eval.adapters.base import Adapter, Arrays, Predictor, Tensor, as_array, of_memory
from analog_eval.adapters.modules.readings import Reading, reading_for
from analog_eval.adapters.modules.stand_in import StandIn
from analog_eval.adapters.modules.tensors import grouped, module_rows, numpy_view, unwrapped

__all__ = ["ModuleAdapter", "ModulePredictor"]


class ModuleAdapter(Adapter):
    """A torch module: parameters and running statistics; see the description of this package.

    Parameters
    ----------
    module : torch.nn.Module
        The model.
    prefixes : sequence of transformers
        Steps before it, of a pipeline.

    Attributes
    ----------
    reading : Reading
        How its outputs become predictions: as they are, until `suited_to` knows better.
    """

    def __init__(self, module: nn.Module, prefixes: Sequence[Any] = ()) -> None:
        self._module, self.reading = unwrapped(module), Reading()
        super().__init__(ModulePredictor(self), prefixes)

    @property
    def name(self) -> str:
        """Name of the module's class."""
        return type(self._module).__name__

    def transform(self, X: Any) -> torch.Tensor:
        """Run the steps before the module and return a tensor of the type that the module computes in."""
        if self._prefixes:
            X = super().transform(as_array(X))
        return module_rows(self._module, X)

    def suited_to(self, inputs: torch.Tensor, truth: NDArray[Any]) -> ModuleAdapter:
        """Return a view that reads the outputs for `inputs` as what `truth` holds."""
        try:
            outputs = self.outputs([tensor.values for tensor in self.tensors], inputs)
        except (RuntimeError, IndexError) as error:
            if of_memory(error):
                raise
            raise ValueError(f"the model {self.name} refuses X of shape {tuple(inputs.shape)}: {error}") from error
        view = copy.copy(self)
        view.reading = reading_for(outputs, truth)
        view.holder = ModulePredictor(view)
        return view

    def rebuilt(self, arrays: Arrays) -> ModulePredictor:
        """Return a predictor with `arrays` for tensors."""
        return ModulePredictor(self, arrays)

    def predictor(self, inputs: torch.Tensor) -> Predictor:
        """Return a function from arrays to predictions for `inputs`."""
        return lambda arrays: self.reading.predictions(self.outputs(arrays, inputs))

    def outputs(self, arrays: Arrays, inputs: torch.Tensor) -> NDArray[Any]:
        """Return what the module answers with `arrays` for tensors, of shape (n_rows,) or (n_rows, n_outputs)."""
        return self._stand_in(arrays, inputs)

    @contextmanager
    def holding(self, arrays: Arrays) -> Iterator[None]:
        """Write `arrays` into the module's own tensors for the length of a ``with`` block."""
        changed = [
            (own, values)
            for tensor, owns, values in zip(self.tensors, self._own, arrays, strict=True)
            if values is not tensor.values
            for own in owns
        ]
        originals = [own.detach().clone() for own, _ in changed]
        try:
            for own, values in changed:
                _write(own, torch.from_numpy(values))
            yield
        finally:
            for (own, _), original in zip(changed, originals, strict=True):
                _write(own, original)

    def pack(self, arrays: Arrays) -> dict[str, Any]:
        """Return `arrays` by the names that the module's ``state_dict`` has for them."""
        return {tensor.name: values for tensor, values in zip(self.tensors, arrays, strict=True)}

    def _tensors(self) -> Sequence[Tensor]:
        groups = grouped(self._module)
        self._own = [[own for _, own in group.members] for group in groups]
        self._names = [[name for name, _ in group.members] for group in groups]
        return [Tensor(g.members[0][0], g.role, numpy_view(g.members[0][1]), g.lowest, g.output_axis) for g in groups]

    @cached_property
    def _stand_in(self) -> StandIn:
        return StandIn(self._module, self._names)


class ModulePredictor:
    """What scikit-learn's scorers see of a torch module with given tensors: an estimator.

    Parameters
    ----------
    adapter : ModuleAdapter
        View of the module.
    arrays : sequence of ndarray, optional
        Its tensors; default: the module's own.
    """

    def __init__(self, adapter: ModuleAdapter, arrays: Arrays | None = None) -> None:
        self._adapter, self._arrays = adapter, arrays

    @property
    def classes_(self) -> NDArray[Any]:
        """Class numbers, of shape (n_classes,)."""
        if self._adapter.reading.classes is None:
            raise AttributeError("a regression has no classes_")
        return self._adapter.reading.classes

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return scores of shape (n_rows, n_classes); for two classes (n_rows,), positive for the second one."""
        return self._adapter.reading.decisions(self._outputs(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return class numbers of shape (n_rows,), or the numbers of a regression."""
        return self._adapter.reading.predictions(self._outputs(X))

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return probabilities of shape (n_rows, n_classes): the softmax of logits, or outputs that already are."""
        return self._adapter.reading.probabilities(self._outputs(X))

    def _outputs(self, X: Any) -> NDArray[Any]:
        arrays = self._arrays
        if arrays is None:
            arrays = [tensor.values for tensor in self._adapter.tensors]
        return self._adapter.outputs(arrays, X)

    def __sklearn_tags__(self) -> Tags:
        classifier = self._adapter.reading.classes is not None
        return Tags(
            estimator_type="classifier" if classifier else "regressor",
            target_tags=TargetTags(required=False),
            classifier_tags=ClassifierTags() if classifier else None,
            regressor_tags=None if classifier else RegressorTags(),
        )


def _write(own: torch.Tensor, values: torch.Tensor) -> None:
    with torch.no_grad():
        own.copy_(values)
