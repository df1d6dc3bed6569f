"""Kernels that a model also uses otherwise than to multiply inputs by them, such as by a transpose in a decoder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_eval.adapters.analog import AnalogKernel, exact_product
from analog_eval.adapters.base import Arrays, Predictor, of_memory

__all__ = ["further_uses", "further_uses_note"]

# What a hidden kernel is replaced by: the first shows in what is odd, such as a sum, the second in what is even, as
# squares are.  Both keep the greatest absolute value, by which models scale inputs and outputs.
_HIDDEN = (np.negative, np.flip)


def further_uses(predict: Predictor, clean: Arrays, multiplied: Collection[int]) -> list[int]:
    """Return which kernels reach the outputs by another way than products with inputs, too.

    Products keep the kernel, and all else finds another in its place, which then shows in the outputs.

    Parameters
    ----------
    predict : callable
        From arrays to outputs, for some rows.
    clean : sequence of ndarray
        The model's own arrays.
    multiplied : collection of int
        Positions of the kernels that inputs are multiplied by.

    Returns
    -------
    list of int
        Positions, ascending; none where the model itself is random, of which differences tell nothing.
    """

    def outputs(hidden: Collection[int] = (), hide: Callable[..., NDArray[Any]] = np.negative) -> NDArray[Any]:
        arrays = list(clean)
        for i in multiplied:
            shown = hide(clean[i]).copy() if i in hidden else clean[i]
            arrays[i] = AnalogKernel.of(shown, exact_product(clean[i]))
        with np.errstate(all="ignore"):
            return predict(arrays)

    usual = outputs()

    def reached(hidden: Collection[int]) -> bool:
        for hide in _HIDDEN:
            try:
                if not _alike(outputs(hidden, hide), usual):
                    return True
            except Exception as error:
                # What refuses such a kernel has looked at it, which is no use of it.
                if of_memory(error):
                    raise
        return False

    # Most models have none, which all at once tell.
    if not _alike(outputs(), usual) or not reached(multiplied):
        return []
    return [i for i in sorted(multiplied) if reached([i])]


def further_uses_note(names: Iterable[str]) -> str:
    """Return what to tell of these kernels."""
    return (
        "used outside of products through the periphery, too (such as by a transpose), and exact there: "
        f"{', '.join(names)}"
    )


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether outputs are the same but for rounding."""
    if one.shape != other.shape or one.dtype.kind != "f":
        return np.array_equal(one, other)
    size = np.abs(other).max(initial=0.0, where=np.isfinite(other))
    return np.allclose(one, other, rtol=0.0, atol=float(np.finfo(one.dtype).eps ** 0.5 * size), equal_nan=True)
