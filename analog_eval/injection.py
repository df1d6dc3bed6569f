"""Noisy weights: drawing them, putting them into a model, and taking them out again bit-exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from analog_eval.adapters import Adapter, Targets, adapt, target_indices
from analog_eval.noise import RandomState, WeightNoise, check_random_state, generators

__all__ = ["NoisyTensors", "inject_noise"]

Model = TypeVar("Model")


class NoisyTensors:
    """Noisy copies of one model's tensors; the model itself is only read.

    Each tensor has its own stream of random numbers, given by the seed and by its place among all the model's tensors.
    So draw number ``d`` of a tensor is the same at every level, for every choice of `targets`, and for every model
    whose tensors have the same shapes.

    Parameters
    ----------
    adapter : Adapter
        View of the model.
    noise : WeightNoise
        What to add.
    targets : {"weights", "parameters", "state"}
        Which tensors get noise.
    random_state : None, int, RandomState or Generator
        Source of the random numbers.

    Raises
    ------
    ValueError
        If `targets` names no tensor of the model.
    """

    def __init__(self, adapter: Adapter, noise: WeightNoise, targets: Targets, random_state: RandomState) -> None:
        self._noise = noise
        self.clean: list[NDArray[Any]] = [tensor.values for tensor in adapter.tensors]
        self._targets = target_indices(adapter.tensors, targets)
        streams = generators(random_state, len(self.clean))
        self._streams = {i: streams[i] for i in self._targets}
        self._noises = {i: noise.along(adapter.tensors[i].output_axis) for i in self._targets}
        self._measured = {i: self._noises[i].measure(self.clean[i]) for i in self._targets}
        self._lowest = {i: adapter.tensors[i].lowest for i in self._targets if adapter.tensors[i].lowest > -np.inf}

    def draw(self) -> dict[int, Any]:
        """Return the random numbers of the next draw, for use at every level."""
        return {i: self._noises[i].draw(self.clean[i].shape, self._streams[i]) for i in self._targets}

    def at(self, level: float, units: dict[int, Any]) -> list[NDArray[Any]]:
        """Return all the tensors at `level`: new arrays for the targets, the model's own for the others."""
        arrays = list(self.clean)
        for i in self._targets:
            arrays[i] = self._noises[i].perturb(self.clean[i], level, units[i], self._measured[i])
        for i, lowest in self._lowest.items():
            arrays[i] = np.maximum(arrays[i], lowest, dtype=arrays[i].dtype)
        return arrays

    def read_at(self, level: float, units: dict[int, Any]) -> dict[int, tuple[NDArray[Any], NDArray[np.float64]]]:
        """Return for each target what is stored and the digital factors of its outputs, see `WeightNoise.read`."""
        return {i: self._noises[i].read(self.clean[i], level, units[i], self._measured[i]) for i in self._targets}

    def untouched(self, level: float) -> list[int]:
        """Return the targets that get no noise although `level` is not clean, such as constant tensors."""
        if self._noise.is_clean(level):
            return []
        rng = np.random.default_rng(0)
        noisy = self.at(level, {i: self._noises[i].draw(self.clean[i].shape, rng) for i in self._targets})
        return [i for i in self._targets if np.array_equal(noisy[i], self.clean[i])]


def inject_noise(
    model: Model,
    noise: WeightNoise,
    level: float | str,
    *,
    targets: Targets = "weights",
    random_state: RandomState = None,
) -> AbstractContextManager[Model]:
    """Give a model noisy weights for the length of a ``with`` block.

    Parameters
    ----------
    model : fitted scikit-learn estimator, torch.nn.Module, or ArrayModel
        See `analog_eval.adapters.adapt` for what is supported.  In a pipeline the last step gets the noise.
    noise : WeightNoise
        Such as ``GaussianNoise("std")``.
    level : float or str
        Noise level; its meaning belongs to `noise`, and times may be such as ``"1d"``.
    targets : {"weights", "parameters", "state"}, default="weights"
        ``weights``: kernels only; ``parameters``: also biases (and gains and shifts of normalizations); ``state``: also
        running statistics.
    random_state : None, int, RandomState or Generator, default=None
        With an int the noise is that of the first draw of `noise_sweep` with the same seed.

    Returns
    -------
    context manager
        Entering it returns `model`, now noisy.  Leaving it, by an exception too, puts back the very array objects that
        were there before; they are never written to.  The tensors of a torch module stay the same objects: they are
        written to, and get their bits back.

    Raises
    ------
    TypeError
        If the model is not supported or `noise` is not a `WeightNoise`.
    ValueError
        If the model is not fitted, a weight is not finite, or `level`, `targets` or `random_state` are out of range.

    Notes
    -----
    Blocks nest: the inner noise is added to the outer one's weights.  Leave them in reverse order, as ``with`` does.
    The model is shared: other threads see the noise too (`noise_sweep` leaves the model as it is).
    Do not fit the model inside a block: leaving it would put the old weights back.

    A torch module stays in train or eval mode, on its device.  Gradients computed inside the block are those at the
    noisy weights and stay on the module's own parameters, so an optimizer can use them after the block.  Leaving the
    block between ``forward`` and ``backward`` is an error that torch reports.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from analog_eval import GaussianNoise, inject_noise
    >>> model = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> with inject_noise(model, GaussianNoise("absmax"), 0.5, random_state=0) as noisy:
    ...     inside = noisy.coef_.copy()
    >>> bool(inside[0] != model.coef_[0]), bool(abs(model.coef_[0] - 2.0) < 1e-12)
    (True, True)
    """
    check_noise(noise)
    target_indices(adapt(model).tensors, targets)
    check_random_state(random_state)
    return _injected(model, noise, noise.check_level(level), targets, random_state)


@contextmanager
def _injected(
    model: Model, noise: WeightNoise, level: float, targets: Targets, random_state: RandomState
) -> Iterator[Model]:
    # Looked at here, not when the block was set up, because an outer block may have changed the weights since.
    adapter = adapt(model)
    noisy = NoisyTensors(adapter, noise, targets, random_state)
    with adapter.holding(noisy.at(level, noisy.draw())):
        yield model


def check_noise(noise: object) -> None:
    """Raise ``TypeError`` unless `noise` is a noise model."""
    if not isinstance(noise, WeightNoise):
        raise TypeError(f"noise must be a noise model such as GaussianNoise('std'), got {noise!r}")
