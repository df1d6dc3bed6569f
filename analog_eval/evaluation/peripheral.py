"""A model whose kernels sit in crossbars with a periphery."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from analog_eval.adapters import (
    AnalogKernel,
    Orient,
    exact_product,
    further_uses,
    further_uses_note,
    of_memory,
    target_indices,
)
from analog_eval.evaluation.metrics import Evaluation
from analog_eval.evaluation.subject import Subject
from analog_eval.noise import RandomState, generators
from analog_eval.periphery import CLIPPED_SHARE, InputScale, Periphery

__all__ = ["AnalogSubject", "check_periphery", "in_words", "warn_of_clipping", "with_periphery"]

# So many rows calibrate by themselves, and tell what a kernel is used for.
_FIRST_ROWS = 256


@dataclass(frozen=True, eq=False)
class AnalogSubject(Subject):
    """A model whose kernels are multiplied by the inputs in crossbars.

    Parameters
    ----------
    crossbars : dict of int to Crossbar
        By the position of the kernel among the tensors.
    notes : tuple of str
        What there is to know about scales and uses of the kernels.
    """

    crossbars: dict[int, Crossbar]
    notes: tuple[str, ...]

    def draw(self, levels: Sequence[float]) -> list[Evaluation]:
        """Return the next draw's evaluation at each level; the noise of the periphery is the same at all of them."""
        units = self.noisy.draw()
        for crossbar in self.crossbars.values():
            crossbar.draw()
        return [self.metric(self._kernels(level, units)) for level in levels]

    def _kernels(self, level: float, units: dict[int, Any]) -> list[NDArray[Any]]:
        arrays = list(self.noisy.clean)
        for i, (stored, factors) in self.noisy.read_at(level, units).items():
            # What is done with a kernel besides products sees what a sweep without periphery shows.
            values = (stored * factors).astype(stored.dtype, copy=False)
            arrays[i] = AnalogKernel.of(values, self.crossbars[i].holding(stored, factors))
        return arrays

    def analog_layers(self) -> tuple[str, ...]:
        """Return the names of the kernels whose products went through the periphery."""
        return tuple(self.adapter.tensors[i].name for i, crossbar in self.crossbars.items() if crossbar.n_inputs)

    def digital_layers(self) -> tuple[str, ...]:
        """Return the names of all other kernels, and of the layers that have gains, shifts or statistics."""
        analog, names = self.analog_layers(), []
        for tensor in self.adapter.tensors:
            if tensor.role == "kernel" and tensor.name not in analog:
                names.append(tensor.name)
            elif tensor.role not in ("kernel", "bias"):
                names.append(tensor.name.rpartition(".")[0] or tensor.name)
        return tuple(dict.fromkeys(names))


class Crossbar:
    """One kernel's place in crossbars, with the noise of a draw, and how many inputs it got.

    Parameters
    ----------
    periphery : Periphery
        What surrounds it.
    peak : float
        Weight that the greatest conductance stands for.
    stream : Generator
        Source of the noise.
    """

    def __init__(self, periphery: Periphery, peak: float, stream: np.random.Generator) -> None:
        self.periphery, self._peak, self._stream = periphery, peak, stream
        self.n_inputs = self.n_clipped = 0

    def draw(self) -> None:
        """Take the random numbers of the next draw."""
        self._entropy = self._stream.integers(0, 2**32, size=4).tolist()

    def holding(
        self, stored: NDArray[Any], factors: NDArray[np.float64]
    ) -> Callable[[NDArray[Any], Orient], NDArray[Any]]:
        """Return the product with what is stored, for one prediction; see `analog_eval.adapters.analog.Multiply`."""
        rng = np.random.default_rng(self._entropy)

        def multiply(rows: NDArray[Any], orient: Orient) -> NDArray[Any]:
            self.n_inputs += rows.size
            self.n_clipped += self.periphery.clipped(rows)
            inputs = rows.astype(np.result_type(rows, stored, np.float32), copy=False)
            outputs = self.periphery.unchecked_product(inputs, orient(stored), rng, self._peak)
            if factors.size == 1:
                return outputs * factors.item()
            outputs *= _by_output(orient(np.broadcast_to(factors, stored.shape)))
            return outputs

        return multiply


def check_periphery(periphery: Periphery | None, calibration: Any) -> None:
    """Raise unless the arguments of a sweep go together."""
    if periphery is not None and not isinstance(periphery, Periphery):
        raise TypeError(f"periphery must be a Periphery or None, got {periphery!r}")
    if calibration is None:
        return
    if periphery is None:
        raise ValueError("calibration needs a periphery, whose input scales it sets; got periphery=None")
    if periphery.input_scale.value is not None:
        raise ValueError(f"calibration and periphery both set the input scale: {periphery.input_scale!r}; give one")
    if isinstance(calibration, str) and calibration != "test":
        raise ValueError(f"calibration={calibration!r} is neither 'test' nor rows nor scales")
    if isinstance(calibration, Mapping):
        for name, scale in calibration.items():
            if isinstance(scale, bool) or not isinstance(scale, int | float | np.number) or not 0.0 < scale < np.inf:
                raise ValueError(f"calibration[{name!r}]={scale!r} must be a finite number > 0")


def with_periphery(subject: Subject, periphery: Periphery, calibration: Any, seed: RandomState) -> AnalogSubject:
    """Return the subject with crossbars around its kernels; see `drift_sweep` for the arguments."""
    if issparse(subject.data.inputs):
        raise TypeError("X is sparse where it reaches the model; a periphery needs dense rows")
    positions = target_indices(subject.adapter.tensors, "weights")
    n_tensors = len(subject.adapter.tensors)
    # The first generators are the devices'.
    streams = generators(seed, 2 * n_tensors)[n_tensors:]
    greatest = _greatest_inputs(subject, positions, None if isinstance(calibration, Mapping) else calibration)
    scales = _scales(subject, positions, calibration, greatest)
    crossbars = {}
    for i in positions:
        own = replace(periphery, input_scale=InputScale(scales[i])) if i in scales else periphery
        crossbars[i] = Crossbar(own, float(np.abs(subject.noisy.clean[i]).max(initial=0.0)), streams[i])
    notes = [_dynamic(subject, greatest, calibration, scales), _further_uses(subject, greatest)]
    return AnalogSubject(**vars(subject), crossbars=crossbars, notes=tuple(filter(None, notes)))


def _scales(
    subject: Subject, positions: Sequence[int], calibration: Any, greatest: Mapping[int, float]
) -> dict[int, float]:
    """Return the input scales that are not the periphery's, by the position of the kernel."""
    if calibration is None:
        return {}
    if not isinstance(calibration, Mapping):
        # A layer whose inputs are all 0 has no scale to calibrate.
        return {i: peak for i, peak in greatest.items() if peak}
    by_name = {subject.adapter.tensors[i].name: i for i in positions}
    unknown = [name for name in calibration if name not in by_name]
    if unknown:
        remapped = any(re.sub(r"(\w+)$", r"product.\1", name) in by_name for name in map(str, unknown))
        raise ValueError(
            f"calibration names {unknown}, but the kernels of the model are {list(by_name)}"
            + ("; scales by the names after remap_channels are those of Hardened.remapped()" if remapped else "")
        )
    return {by_name[name]: float(scale) for name, scale in calibration.items()}


def _dynamic(subject: Subject, multiplied: Iterable[int], calibration: Any, scales: Mapping[int, float]) -> str:
    """Say which kernels a calibration leaves without a scale."""
    left = [] if calibration is None else [i for i in multiplied if i not in scales]
    why = "calibration gives them none" if isinstance(calibration, Mapping) else "all their calibration inputs are 0"
    return f"input scales stay dynamic, as {why}: {_names(subject, left)}" if left else ""


def _further_uses(subject: Subject, multiplied: Collection[int]) -> str:
    """Say which kernels reach the outputs by another way than products through the periphery, too."""
    adapter = subject.adapter
    predict = (adapter.predictor if adapter.classes is None else adapter.scores)(_first_rows(subject))
    also = further_uses(predict, subject.noisy.clean, multiplied)
    return further_uses_note(adapter.tensors[i].name for i in also) if also else ""


def _names(subject: Subject, positions: Iterable[int]) -> str:
    return ", ".join(subject.adapter.tensors[i].name for i in sorted(positions))


def _greatest_inputs(subject: Subject, positions: Sequence[int], calibration: Any) -> dict[int, float]:
    """Return the greatest absolute input of each kernel that is seen to be multiplied, in the digital model."""
    arrays = list(subject.noisy.clean)
    greatest: dict[int, float] = {}

    def watched(i: int, kernel: NDArray[Any]) -> NDArray[Any]:
        exactly = exact_product(kernel)

        def multiply(rows: NDArray[Any], orient: Orient) -> NDArray[Any]:
            peak = float(np.abs(rows).max(initial=0.0))
            if calibration is not None and not np.isfinite(peak):
                raise ValueError(f"inputs of {subject.adapter.tensors[i].name} are NaN or infinite")
            greatest[i] = max(greatest.get(i, 0.0), peak)
            return exactly(rows, orient)

        return AnalogKernel.of(kernel, multiply)

    for i in positions:
        arrays[i] = watched(i, arrays[i])
    inputs = _calibration_rows(subject, calibration)
    with _blamed_on(calibration):
        subject.adapter.predictor(inputs)(arrays)
    if not greatest:
        raise ValueError(
            "periphery: the model was not seen to multiply inputs by a whole kernel; it has "
            f"{_names(subject, positions)}"
        )
    return greatest


def _calibration_rows(subject: Subject, calibration: Any) -> Any:
    if calibration is None or isinstance(calibration, str):
        return _first_rows(subject)
    try:
        rows = calibration if hasattr(calibration, "shape") else np.asarray(calibration)
    except ValueError as error:
        raise ValueError(
            f"calibration must be rows such as X, without y; got a {type(calibration).__name__}: {error}"
        ) from error
    if not rows.shape:
        raise TypeError(
            f"calibration must be rows, 'test', or scales by the name of a kernel, got {calibration!r}; one scale for "
            "all kernels is the input_scale of Periphery"
        )
    if rows.shape[0] == 0:
        raise ValueError(f"calibration must have rows, got shape {rows.shape}")
    with _blamed_on(calibration):
        inputs = subject.adapter.transform(rows)
    if issparse(inputs):
        raise TypeError("calibration is sparse where it reaches the model; a periphery needs dense rows")
    return inputs


def _first_rows(subject: Subject) -> Any:
    inputs = subject.data.inputs
    return getattr(inputs, "iloc", inputs)[:_FIRST_ROWS]


@contextmanager
def _blamed_on(calibration: Any) -> Iterator[None]:
    """Name the argument where the model, which has seen `X` before, refuses the rows of a calibration."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        if calibration is None or of_memory(error):
            raise
        raise ValueError(f"calibration does not suit the model: {error}") from error


def _by_output(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factor of each output, or raise if they differ among inputs, where nothing can multiply."""
    if (factors != factors[:, :1]).any():
        raise ValueError(
            "compensation='column': the model multiplies a kernel so that its outputs lie along another axis than "
            "output_axis says"
        )
    return factors[:, 0]


def in_words(calibration: Any) -> str:
    """Return what a calibration was, for the settings of a report."""
    if isinstance(calibration, Mapping):
        return ", ".join(f"{name} {scale:.4g}" for name, scale in calibration.items()) or "no scales"
    return calibration if isinstance(calibration, str) else "none" if calibration is None else "rows"


def warn_of_clipping(subject: AnalogSubject, model: str = "") -> None:
    """Warn of the layers whose input scale was too small for more than 1 % of their inputs."""
    shares = {
        subject.adapter.tensors[i].name: crossbar.n_clipped / crossbar.n_inputs
        for i, crossbar in subject.crossbars.items()
        if crossbar.n_clipped > CLIPPED_SHARE * crossbar.n_inputs
    }
    if shares:
        told = ", ".join(f"{share:.1%} of {name}'s" for name, share in shares.items())
        warnings.warn(
            f"inputs{model and f' of {model}'} are greater than the input scale and were clipped: {told}; "
            "calibrate on rows like these, or leave the scale dynamic",
            UserWarning,
            stacklevel=3,
        )
