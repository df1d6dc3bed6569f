"""Values from codes and the codes around them: a linear model that the encoder fits and the decoder applies."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .parents import correlated_columns

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
_SAMPLE = 1 << 17  # values to which a model is fitted
_LEAST_VALUES = 2048  # a smaller table would be spent on coefficients
_RIDGE = 1e-6
_BLOCK = 1 << 14  # values whose terms are held at a time
_N_TERMS = 8
_MOST_SETS = 4  # own codes with coefficients of their own; with more codes one set serves all


@dataclasses.dataclass(frozen=True)
class Correction:
    """What to add to each value, in units of its column's scale: a linear function of the codes about it.

    The terms are the value's own code, the column's mean code, the codes of the points before and after it in the same
    column, and those of neighbouring columns. A neighbour's code counts by the slope of the regression of the column's
    codes on the neighbour's, which the decoder computes from the codes, so that a few coefficients serve all columns.

    Parameters
    ----------
    coefficients : ndarray of shape (n_sets, 8)
        One set for each code a value can have, where these are at most four, and else one for all.
    stride : int
        Columns a row of an image, or 0 for tables, whose neighbours are the columns that correlate most.
    """

    coefficients: Floats
    stride: int

    @staticmethod
    def n_bytes(bits: int) -> int:
        """Bytes that the coefficients take."""
        return 2 * _N_TERMS * _n_sets(bits)

    @classmethod
    def fit(
        cls, codes: Codes, residuals: Callable[[NDArray[np.intp]], Floats], bits: int, stride: int, n_bytes: int
    ) -> Correction | None:
        """Least squares over part of the columns; None where the error falls too little for the bytes.

        Parameters
        ----------
        codes : ndarray of shape (d, n)
        residuals : callable
            Takes columns and returns what their values miss, of shape (len(columns), n), in units of their scales.
        bits : int
        stride : int
        n_bytes : int
            What the block takes without coefficients.
        """
        n_columns, n_points = codes.shape
        if n_columns * n_points < _LEAST_VALUES:
            return None
        neighbours = _Neighbours(codes, bits, stride)
        step = max(1, -(-n_columns * n_points // _SAMPLE))
        chosen = np.arange(0, n_columns, step)
        terms = np.concatenate([neighbours.terms(block) for block in _blocks(codes.shape, step)], axis=1)
        terms = terms.astype(np.float64)
        wanted = residuals(chosen).ravel()
        sets = _set_of(codes[chosen].ravel(), bits)
        coefficients = np.zeros((_n_sets(bits), _N_TERMS))
        for index in range(len(coefficients)):
            own, target = terms[:, sets == index], wanted[sets == index]
            gram = own @ own.T + _RIDGE * (1 + own.shape[1]) * np.eye(_N_TERMS)
            coefficients[index] = np.linalg.solve(gram, own @ target)
        coefficients = coefficients.clip(-1000, 1000).astype("<f2").astype(np.float64)
        after = np.square(wanted - _applied(terms, coefficients, sets)).sum()
        before = np.square(wanted).sum()
        # At best, the error falls with the square of the bytes: what coefficients take has to bring that much.
        if not after * math.exp(2 * cls.n_bytes(bits) / n_bytes) < before:
            return None
        return cls(coefficients, stride)

    def to_bytes(self) -> bytes:
        """The coefficients in half precision."""
        return self.coefficients.astype("<f2").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, bits: int, stride: int) -> Correction:
        """Inverse of `to_bytes` for bytes that may be hostile."""
        coefficients = np.frombuffer(data, "<f2").astype(np.float64).reshape(_n_sets(bits), _N_TERMS)
        if not np.isfinite(coefficients).all():
            raise ValueError("the point block's header has coefficients that are NaN or infinite")
        return cls(coefficients, stride)

    def add_to(self, values: Floats, codes: Codes, scales: Floats, bits: int) -> None:
        """Correct values of shape (d, n) in place."""
        neighbours = _Neighbours(codes, bits, self.stride)
        for columns in _blocks(codes.shape):
            found = _applied(neighbours.terms(columns), self.coefficients, _set_of(codes[columns].ravel(), bits))
            values[columns] += scales[columns, None] * found.reshape(-1, codes.shape[1])


def _blocks(shape: tuple[int, int], step: int = 1) -> list[slice]:
    """Columns, or each of so many, in blocks that are small beside the table yet worth a call."""
    size = max(1, _BLOCK // shape[1]) * step
    return [slice(start, min(start + size, shape[0]), step) for start in range(0, shape[0], size)]


class _Neighbours:
    """Codes as shares of the last one, less their column's mean, and who stands next to whom."""

    def __init__(self, codes: Codes, bits: int, stride: int) -> None:
        n_columns, n_points = codes.shape
        # A column more, of zeros, stands for neighbours that are not there.
        self._shares = np.zeros((n_columns + 1, n_points), dtype=np.float32)
        np.divide(codes, np.float32(2**bits - 1), out=self._shares[:-1])
        means = self._shares.mean(axis=1, dtype=np.float64).astype(np.float32)
        self._means = means[:-1]
        self._shares -= means[:, None]
        self._squares = np.einsum("ij,ij->i", self._shares, self._shares)
        self._squares[self._squares == 0] = np.inf
        self._groups = _image_groups(n_columns, stride) if stride else _table_groups(codes)

    def terms(self, columns: slice) -> NDArray[np.float32]:
        """The terms of some columns' values, of shape (8, n)."""
        own = self._shares[:-1][columns]
        terms = np.zeros((_N_TERMS, *own.shape), dtype=np.float32)
        terms[0] = 1
        terms[1] = own
        terms[2] = self._means[columns, None]
        terms[3, :, 1:] = own[:, :-1]
        terms[3, :, :-1] += own[:, 1:]
        for term, group in zip(terms[4:], self._groups, strict=False):
            for others in group[:, columns]:
                near = self._shares[others]
                near *= (np.einsum("ij,ij->i", own, near) / self._squares[others])[:, None]
                term += near
        return terms.reshape(_N_TERMS, -1)


def _image_groups(n_columns: int, stride: int) -> list[NDArray[np.intp]]:
    """Neighbours that share a coefficient, in rows; the number of columns where there is none."""
    s = stride
    groups = []
    for reach in ((1,), (s,), (s - 1, s + 1), (2, 2 * s)):
        offsets = np.array([sign * offset for offset in reach for sign in (-1, 1)])
        places = np.arange(n_columns) + offsets[:, None]
        groups.append(np.where((places >= 0) & (places < n_columns), places, n_columns))
    return groups


def _table_groups(codes: Codes) -> list[NDArray[np.intp]]:
    learned = correlated_columns(codes)
    return [learned[:1], learned[1:2], learned[2:]]


def _n_sets(bits: int) -> int:
    return 1 << bits if 1 << bits <= _MOST_SETS else 1


def _set_of(codes: Codes, bits: int) -> Codes:
    return codes if _n_sets(bits) > 1 else np.zeros_like(codes)


def _applied(terms: NDArray[np.floating], coefficients: Floats, sets: Codes) -> NDArray[np.floating]:
    """The linear function, within one scale on either side."""
    totals = coefficients.astype(terms.dtype) @ terms
    found = totals[0]
    for index, total in enumerate(totals[1:], start=1):
        np.copyto(found, total, where=sets == index)
    return np.clip(found, -1, 1, out=found)
