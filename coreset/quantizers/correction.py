"""Values from codes and the codes around them: a linear model that the encoder fits and the decoder applies."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .modelling import correlated_columns

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
_SAMPLE = 1 << 17  # values to which a model is fitted
_LEAST_VALUES = 2048  # a smaller table would be spent on coefficients
_RIDGE = 1e-6
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
        chosen = np.arange(0, n_columns, max(1, -(-n_columns * n_points // _SAMPLE)))
        terms = np.concatenate([neighbours.terms(column) for column in chosen.tolist()], axis=1).astype(np.float64)
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
        for column, scale in enumerate(scales.tolist()):
            if scale:
                sets = _set_of(codes[column], bits)
                values[column] += scale * _applied(neighbours.terms(column), self.coefficients, sets)


class _Neighbours:
    """Codes as shares of the last one, less their column's mean, and who stands next to whom."""

    def __init__(self, codes: Codes, bits: int, stride: int) -> None:
        self._shares = codes.astype(np.float32) / np.float32(2**bits - 1)
        self._means = self._shares.mean(axis=1, dtype=np.float64).astype(np.float32)
        self._shares -= self._means[:, None]
        self._variances = np.einsum("ij,ij->i", self._shares, self._shares) / np.float32(codes.shape[1])
        self._stride = stride
        n_columns = len(codes)
        if stride == 0:
            self._learned = correlated_columns(codes, np.arange(n_columns), earlier=False)

    def _groups(self, column: int) -> list[list[int]]:
        """Neighbours that share a coefficient."""
        if self._stride == 0:
            first, second, *others = self._learned[column].tolist()
            return [[c for c in group if c >= 0] for group in ([first], [second], others, [])]
        s = self._stride
        reaches = ((1,), (s,), (s - 1, s + 1), (2, 2 * s))
        places = [[column + sign * offset for offset in reach for sign in (-1, 1)] for reach in reaches]
        return [[c for c in group if 0 <= c < len(self._shares)] for group in places]

    def terms(self, column: int) -> NDArray[np.float32]:
        """The terms of one column's values, of shape (8, n)."""
        own = self._shares[column]
        terms = np.zeros((_N_TERMS, len(own)), dtype=np.float32)
        terms[0] = 1
        terms[1] = own
        terms[2] = self._means[column]
        terms[3, 1:] = own[:-1]
        terms[3, :-1] += own[1:]
        for place, group in enumerate(self._groups(column), start=4):
            for other in group:
                variance = self._variances[other]
                if variance > 0:
                    slope = np.float32(np.dot(own, self._shares[other]) / len(own) / variance)
                    terms[place] += slope * self._shares[other]
        return terms


def _n_sets(bits: int) -> int:
    return 1 << bits if 1 << bits <= _MOST_SETS else 1


def _set_of(codes: Codes, bits: int) -> Codes:
    return codes if _n_sets(bits) > 1 else np.zeros_like(codes)


def _applied(terms: NDArray[np.floating], coefficients: Floats, sets: Codes) -> Floats:
    """The linear function, within one scale on either side."""
    totals = coefficients.astype(terms.dtype) @ terms
    found = totals[0] if len(totals) == 1 else np.take_along_axis(totals, sets[None].astype(np.intp), axis=0)[0]
    return np.clip(found, -1, 1).astype(np.float64)
