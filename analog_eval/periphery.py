"""What surrounds a crossbar: converters, noise, the drop of voltage along its wires, and tiles of limited size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_eval.devices.base import check_number, check_positive

__all__ = ["CLIPPED_SHARE", "InputScale", "Periphery", "wire_loss"]

# Conductance of a wire between two devices over the greatest of a device.
_WIRE = 5.714e5
#: Share of clipped inputs above which there is a warning.
CLIPPED_SHARE = 0.01


@dataclass(frozen=True)
class InputScale:
    """What inputs are divided by before the converter, whose range is -1 to 1.

    Parameters
    ----------
    value : float, optional
        Calibrated: the same number for all inputs; greater ones are clipped.  Default, dynamic: the greatest absolute
        input of each row and tile, which clips nothing and needs a pass over the row before it is converted.

    Raises
    ------
    TypeError
        If `value` is no number.
    ValueError
        If `value` is not finite or not > 0.

    Examples
    --------
    >>> InputScale.calibrated([[0.5, -2.0], [1.0, 0.0]])
    InputScale(value=2.0)
    """

    value: float | None = None

    def __post_init__(self) -> None:
        if self.value is not None:
            check_positive(self.value, "value")

    @classmethod
    def calibrated(cls, X: ArrayLike, share: float = 1.0) -> InputScale:
        """Return the scale that leaves a share of the given inputs unclipped.

        Parameters
        ----------
        X : array-like of any shape
            Inputs of the layer, such as it gets for training rows.
        share : float, default=1.0
            Share of them that must not be clipped, > 0, at most 1.

        Returns
        -------
        InputScale

        Raises
        ------
        TypeError
            If `share` is no number.
        ValueError
            If `share` is out of range, or `X` holds NaN, is empty, or zero in so many places that no scale is > 0.
        """
        check_number(share, "share")
        if not 0.0 < share <= 1.0:
            raise ValueError(f"share={share} must be > 0, at most 1")
        values = np.abs(np.asarray(X, dtype=np.float64))
        if values.size == 0:
            raise ValueError(f"X has shape {values.shape}, and nothing to calibrate by")
        if np.isnan(values).any():
            raise ValueError(f"X holds {int(np.isnan(values).sum())} NaN entries of {values.size}")
        return cls(float(np.quantile(values, share, method="inverted_cdf")))

    def of(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the scale of each row of `X`, of shape (n_rows, 1) and the type of `X`."""
        if self.value is not None:
            # What the type cannot hold would be 0 or infinite.
            limits = np.finfo(X.dtype)
            return np.full((len(X), 1), np.clip(self.value, limits.tiny, limits.max), X.dtype)
        return np.abs(X).max(axis=1, keepdims=True, initial=0.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class Periphery:
    r"""A product of inputs and a matrix, as crossbars of limited exactness compute it.

    For a row x of inputs and a matrix W in units of its greatest absolute weight, with :math:`\xi` standard normal:

    .. math::

        x' &= \mathrm{clip}(\mathrm{round}_{s_{in}}(x / (a b)), \pm 1) + \sigma_{in} \xi, \qquad
            s_{in} = 2 / (2^{in\_bits} - 2) \\
        z_i &= \sum_j w_{ij} x'_j - \Delta_i + \sigma_w \xi \sqrt{\sum_j |w_{ij}| x'^2_j} + \sigma_{out} \xi \\
        y_i &= a b\, \mathrm{clip}(\mathrm{round}_{s_{out}}(z_i), \pm B), \qquad s_{out} = 2 B / (2^{out\_bits} - 2)

    Here a is the input scale, B the bound of the outputs, and b a power of two: where an output of a row reaches the
    bound, the row is sent again at half the size (bound management, of this row alone).  :math:`\Delta_i` is what is
    lost along the wires of a column of n devices: with :math:`\alpha_i = n \sum_j |w_{ij}| |x'_j| / 571400` and
    :math:`c = \alpha (\alpha (0.05 \alpha - 0.2) + 0.5)`,

    .. math:: \Delta_i = ir\_drop \cdot c_i \sum_j w_{ij} x'_j \left(1 - (1 - j/n)^2\right), \quad j = 0, 1, \dots

    A matrix greater than a tile is cut; tiles scale and convert by themselves, and digital sums put them together.

    Parameters
    ----------
    in_bits, out_bits : int or None, default=7, 9
        Bits of the converters, 2 (which knows -1, 0 and 1) to 24; None or 0: exact.  One bit has no meaning here: the
        levels are symmetric around 0, which is one of them.
    out_bound : float, default=12.0
        Greatest output B; infinite only if `out_bits` is None.
    in_noise, out_noise : float, default=0.0, 0.06
        Standard deviations >= 0 of the noise of inputs and outputs.
    read_noise : float, default=0.0
        Factor >= 0 of the short-term noise of reading weights.
    ir_drop : float, default=0.0
        Factor >= 0 of the drop of voltage; 1: as in the formula.
    input_scale : InputScale, default=InputScale()
        How inputs are scaled.
    max_doublings : int, default=10
        How often a row may be sent again at half the size; 0: outputs saturate.
    tile_shape : (int, int) or None, default=(512, 512)
        Outputs and inputs of a tile at most; None: any matrix is one tile.

    Raises
    ------
    TypeError
        If a number of bits, doublings or lines is no int, or another parameter no number.
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Formulas and defaults as in aihwkit's public source, whose "standard" of eight bits is `Periphery.standard`; there
    bound management is by batch in one kind of tile.  A row of zeros gives zeros.

    Examples
    --------
    >>> import numpy as np
    >>> X, W = np.array([[1.0, 0.5]]), np.array([[2.0, -1.0], [0.5, 1.0]])
    >>> Periphery.exact().product(X, W, np.random.default_rng(0)).tolist()
    [[1.5, 1.0]]
    >>> coarse = Periphery(in_bits=2, out_bits=None, out_noise=0.0)
    >>> coarse.product(np.array([[1.0, 0.4]]), W, np.random.default_rng(0)).tolist()
    [[2.0, 0.5]]
    """

    in_bits: int | None = 7
    out_bits: int | None = 9
    out_bound: float = 12.0
    in_noise: float = 0.0
    out_noise: float = 0.06
    read_noise: float = 0.0
    ir_drop: float = 0.0
    input_scale: InputScale = InputScale()
    max_doublings: int = 10
    tile_shape: tuple[int, int] | None = (512, 512)

    def __post_init__(self) -> None:
        for name in ("in_bits", "out_bits"):
            object.__setattr__(self, name, _check_bits(getattr(self, name), name))
        _check_int(self.max_doublings, "max_doublings", 0, 1000)
        for name in ("in_noise", "out_noise", "read_noise", "ir_drop", "out_bound"):
            check_number(getattr(self, name), name)
        for name in ("in_noise", "out_noise", "read_noise", "ir_drop"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name}={getattr(self, name)} must be finite and >= 0")
        if not self.out_bound > 0.0 or (np.isinf(self.out_bound) and self.out_bits is not None):
            raise ValueError(f"out_bound={self.out_bound} must be > 0, and finite with out_bits={self.out_bits}")
        if not isinstance(self.input_scale, InputScale):
            raise TypeError(f"input_scale must be an InputScale, got {self.input_scale!r}")
        if self.tile_shape is not None:
            if np.shape(self.tile_shape) != (2,):
                raise ValueError(f"tile_shape={self.tile_shape!r} must be (outputs, inputs)")
            for lines in self.tile_shape:
                _check_int(lines, "tile_shape", 1, 2**31)

    def __repr__(self) -> str:
        """Return the parameters that are not the usual ones."""
        values = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Periphery({', '.join(f'{name}={value!r}' for name, value in values)})"

    @classmethod
    def exact(cls) -> Periphery:
        """Return a periphery that adds nothing."""
        return cls(in_bits=None, out_bits=None, out_bound=np.inf, out_noise=0.0, tile_shape=None)

    @classmethod
    def standard(cls) -> Periphery:
        """Return converters of eight bits, with noise of outputs and of reading, and with a drop of voltage."""
        return cls(in_bits=8, out_bits=8, out_bound=10.0, out_noise=0.04, read_noise=0.0175, ir_drop=1.0)

    def product(
        self, X: ArrayLike, W: ArrayLike, rng: np.random.Generator, *, peak: float | None = None
    ) -> NDArray[np.float64]:
        """Return what comes of ``X @ W.T``.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_inputs)
            Inputs.
        W : array-like of shape (n_outputs, n_inputs)
            Weights as the devices hold them.
        rng : Generator
            Source of the noise; it is advanced.
        peak : float, optional
            Weight that the greatest conductance stands for, > 0; default: the greatest absolute weight of `W`.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)

        Raises
        ------
        TypeError
            If `rng` is no Generator, or `peak` no number.
        ValueError
            If the shapes do not fit, an entry is not finite, or `peak` is out of range.

        Warns
        -----
        RuntimeWarning
            If more than 1 % of the inputs are clipped.
        """
        inputs, weights = _check_matrix(X, "X"), _check_matrix(W, "W")
        if inputs.shape[1] != weights.shape[1]:
            raise ValueError(f"X has {inputs.shape[1]} columns, but W has {weights.shape[1]}")
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
        if peak is not None:
            check_positive(peak, "peak")
        _warn_of_clipping(self.clipped(inputs) / max(1, inputs.size))
        greatest = float(np.abs(weights).max(initial=0.0)) if peak is None else peak
        return self.unchecked_product(inputs, weights, rng, greatest)

    def unchecked_product(
        self, X: NDArray[Any], W: NDArray[Any], rng: np.random.Generator, peak: float
    ) -> NDArray[Any]:
        """Return what `product` returns, without its checks and its warning; `peak` may be 0 where `W` is.

        It is computed in the precision of `X`, float32 or float64.  The noise of a tile and row depends on `rng` and on
        where they are, not on which rows were sent again: products with weights that are nearly the same have nearly
        the same noise.
        """
        outputs = np.zeros((len(X), len(W)), X.dtype)
        if peak == 0.0:
            return outputs
        tiles = list(self._tiles(*W.shape))
        seeds = rng.integers(0, 2**32, size=(len(tiles), 4)).tolist()
        for (rows, columns), seed in zip(tiles, seeds, strict=True):
            part, weights = X[:, columns], (W[rows, columns] / peak).astype(X.dtype, copy=False)
            outputs[:, rows] += self._tile(part, self.input_scale.of(part), weights, np.random.default_rng(seed))
        outputs *= peak
        return outputs

    def clipped(self, X: NDArray[Any]) -> int:
        """Return how many of the inputs are greater than the input scale."""
        return 0 if self.input_scale.value is None else int(np.count_nonzero(np.abs(X) > self.input_scale.value))

    def _tiles(self, n_outputs: int, n_inputs: int) -> Iterator[tuple[slice, slice]]:
        height, width = (n_outputs, n_inputs) if self.tile_shape is None else self.tile_shape
        for row in range(0, n_outputs, max(1, height)):
            for column in range(0, n_inputs, max(1, width)):
                yield slice(row, row + height), slice(column, column + width)

    def _tile(self, X: NDArray[Any], scale: NDArray[Any], W: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Return the outputs of one tile, rows that reach the bound at half the size until they do not."""
        places = np.arange(W.shape[1], dtype=X.dtype) / max(1, W.shape[1])
        crossbar = _Crossbar(W, np.abs(W), W * (1.0 - (1.0 - places) ** 2))
        # Rows without a scale are rows of zeros.
        divisor = np.where(scale > 0.0, scale, scale.dtype.type(1.0))
        outputs, rows = np.empty((len(X), len(W)), X.dtype), np.arange(len(X))
        pending: slice | NDArray[np.intp] = slice(None)
        for doublings in range(self.max_doublings + 1):
            size = 2.0**doublings
            currents = self._currents(
                X[pending] / (divisor[pending] * size), crossbar, _Normals(rng, len(X), pending, X.dtype)
            )
            reached = self._reached(currents)
            np.multiply(self._converted(currents), size, out=currents)
            outputs[pending] = currents
            pending = rows[pending][reached]
            if pending.size == 0:
                break
        outputs *= scale
        return outputs

    def _currents(self, x: NDArray[Any], crossbar: _Crossbar, noise: _Normals) -> NDArray[Any]:
        """Return what comes out of the tile before the converter; `x` is overwritten."""
        if self.in_bits is not None:
            _round(x, 2.0 / (2**self.in_bits - 2))
        np.clip(x, -1.0, 1.0, out=x)
        if self.in_noise:
            x += self.in_noise * noise(x.shape[1])
        currents = np.asarray(x @ crossbar.weights.T)
        if self.ir_drop:
            lost = wire_loss(np.abs(x) @ crossbar.sizes.T, x.shape[1])
            currents -= self.ir_drop * lost * (x @ crossbar.by_place.T)
        if self.read_noise:
            spread = np.sqrt(x**2 @ crossbar.sizes.T)
            currents += self.read_noise * spread * noise(currents.shape[1])
        if self.out_noise:
            currents += self.out_noise * noise(currents.shape[1])
        return currents

    def _reached(self, currents: NDArray[Any]) -> NDArray[np.intp]:
        """Return the rows of which an output reaches the bound."""
        # Mostly there are none, and whole arrays are looked through faster than rows.
        if max(currents.max(initial=0.0), -currents.min(initial=0.0)) < self.out_bound:
            return np.empty(0, dtype=np.intp)
        return np.flatnonzero((np.abs(currents) >= self.out_bound).any(axis=1))

    def _converted(self, currents: NDArray[Any]) -> NDArray[Any]:
        """Return what the converter makes of the currents, which are overwritten."""
        if self.out_bits is not None:
            _round(currents, 2.0 * self.out_bound / (2**self.out_bits - 2))
        return np.clip(currents, -self.out_bound, self.out_bound, out=currents)


def wire_loss(currents: Any, n_inputs: int) -> Any:
    """Return c in the formula of `Periphery` from the sums of sizes; arrays of NumPy's or tensors."""
    load = (n_inputs / _WIRE) * currents
    return load * (load * (0.05 * load - 0.2) + 0.5)


class _Crossbar(NamedTuple):
    """Weights of a tile, in units of the greatest: as they are, without sign, and times what the wires make of them."""

    weights: NDArray[Any]
    sizes: NDArray[Any]
    by_place: NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Normals:
    """Standard normal numbers for some of the rows; those of a row do not depend on which others are among them."""

    rng: np.random.Generator
    n_rows: int
    rows: slice | NDArray[np.intp]
    dtype: Any

    def __call__(self, width: int) -> NDArray[Any]:
        return self.rng.standard_normal((self.n_rows, width), dtype=self.dtype)[self.rows]


def _round(values: NDArray[Any], step: float) -> None:
    """Replace the values by the nearest multiples of a step."""
    values /= step
    np.rint(values, out=values)
    values *= step


def _warn_of_clipping(share: float) -> None:
    if share > CLIPPED_SHARE:
        warnings.warn(
            f"{share:.1%} of the inputs are greater than the input scale and were clipped; calibrate it on inputs like "
            "these, or leave it dynamic",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_bits(bits: int | None, name: str) -> int | None:
    """Return the bits of a converter, None if there is none."""
    if bits is None:
        return None
    _check_int(bits, name, 0, 24)
    if bits == 1:
        raise ValueError(f"{name}=1 has no meaning: levels symmetric around 0, with 0 among them, take 2 bits or more")
    return bits or None


def _check_int(value: object, name: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name}={value} must be from {low} to {high}")


def _check_matrix(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"{name} must be a matrix, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(array)).sum())} NaN or infinite entries of {array.size}")
    return array
