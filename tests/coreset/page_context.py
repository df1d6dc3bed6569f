"""Blocks of points of codec 3 as docs/format.md tells them, written from that page alone."""

from __future__ import annotations

import dataclasses
import itertools
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from .page_bytes import Bytes, Coder
from .page_codes import Table, likeness, ranked

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Levels:
    """Active columns, the value of every code in every column, and the columns' scales."""

    active: list[int]
    values: Floats
    scales: Floats


def mask(block: Bytes, n: int) -> list[int]:
    """The columns that are in it."""
    kind = block.unpack("B")
    if kind == 0:
        plain = block.codes(n, 1)
    elif kind == 1:
        inflater = zlib.decompressobj(wbits=-15)
        inflated = Bytes(inflater.decompress(block.data))
        plain, block.data = inflated.codes(n, 1), inflater.unused_data
    else:
        plain = counted(int.from_bytes(block.take(block.unpack("B")), "little"), n, kind - 2)
    return [j for j, bit in enumerate(plain) if bit]


def counted(number: int, n: int, row: int) -> list[int]:
    pairs = [[1, 1] for _ in range(8)]
    found: list[int] = []
    for j in range(n):
        near = found[j - 1] if j else 0
        if row > 1 and j >= row:
            near += 2 * found[j - row] + 4 * found[j - row + 1]
        zeros, ones = pairs[near]
        quotient, rest = divmod(number, zeros + ones)
        one = int(rest >= zeros)
        number = quotient * ones + rest - zeros if one else quotient * zeros + rest
        pairs[near][one] += 2
        found.append(one)
    assert number == 0
    return found


def column_levels(block: Bytes, n_columns: int, bits: int) -> Levels:
    flags = block.unpack("B")
    active = mask(block, n_columns)
    still = [j for j in range(n_columns) if j not in set(active)]
    values = np.zeros((n_columns, 2**bits))
    for place in mask(block, len(still)):
        values[still[place]] = block.unpack("d" if flags & 1 else "f")
    low, high = np.zeros(n_columns), np.zeros(n_columns)
    if active:
        base, exponent_bits, length_bits = block.unpack("H") - 2048, block.unpack("B"), block.unpack("B")
        exponents, steps = block.codes(len(active), exponent_bits), block.codes(len(active), bits + 3)
        firsts = block.digits(block.codes(len(active), length_bits))
        for j, exponent, step, first in zip(active, exponents, steps, firsts, strict=True):
            signed = -((first + 1) // 2) if first % 2 else first // 2
            low[j] = math.ldexp(signed, base + exponent)
            high[j] = math.ldexp(signed + step + 2 ** (bits + 3), base + exponent)
    spacings = block.codes(len(active), 2) if flags & 2 else [0] * len(active)
    for j, spacing in zip(active, spacings, strict=True):
        places = np.array([place_of(code / (2**bits - 1), spacing) for code in range(2**bits)])
        values[j] = low[j] * (1 - places) + high[j] * places
    return Levels(active, values, high - low)


def place_of(t: float, spacing: int) -> float:
    if spacing == 3:
        return 0.5 + math.sinh(2.5 * (2 * t - 1)) / (2 * math.sinh(2.5))
    if spacing == 2:
        return 1 - place_of(1 - t, 1)
    return math.expm1(2.5 * t) / math.expm1(2.5) if spacing else t


def table_levels(block: Bytes, n_columns: int, bits: int) -> Levels:
    form = "d" if block.unpack("B") else "f"
    active = mask(block, n_columns)
    if bits <= 4:
        levels = np.array([block.unpack(form) for _ in range(2**bits)])
    else:
        low, high = block.unpack(form), block.unpack(form)
        shares = np.arange(2**bits) / (2**bits - 1)
        levels = low * (1 - shares) + high * shares
    return Levels(active, np.tile(levels, (n_columns, 1)), np.full(n_columns, levels[-1] - levels[0]))


def table(coder: Coder, positions: list[int], m: int, width: int, row: int = 0) -> Codes:
    return np.array(Table(positions, m, width, row).decode(coder), dtype=np.int64).reshape(len(positions), m)


def single_table(block: Bytes, positions: list[int], m: int, width: int, row: int = 0) -> Codes:
    """A table with a coder of its own, to the end of the block."""
    coder = Coder(block, len(positions) * m * width)
    codes = table(coder, positions, m, width, row)
    coder.end()
    return codes


def from_centers(block: Bytes, n_columns: int, m: int, bits: int) -> Codes:
    n_groups, form, least, size = block.unpack("B") + 1, block.unpack("B"), block.unpack("h"), block.unpack("I")
    dropped, width = divmod(form, 16)
    n_runs, length_bits = block.unpack("I"), block.unpack("B")
    lengths = block.codes(n_runs, length_bits)
    runs = [2**length + rest for length, rest in zip(lengths, block.digits(lengths), strict=True)]
    owners = block.codes(n_runs, (n_groups - 1).bit_length()) if n_runs > n_groups else range(n_groups)
    groups = [owner for owner, run in zip(owners, runs, strict=True) for _ in range(run)]
    assert len(groups) == m
    columns = list(range(n_columns))
    centers = single_table(Bytes(block.take(size)), columns, n_groups, bits - dropped)
    distances = single_table(block, columns, m, width)
    return (distances + (centers[:, groups] << dropped) + (1 << dropped) // 2 + least) % 2**bits


def from_choices(block: Bytes, n_columns: int, m: int, bits: int) -> tuple[Codes, list[int]]:
    """Codes, and which columns are chosen."""
    low, high = block.unpack("B"), block.unpack("B")
    chosen = mask(block, n_columns)
    starts = mask(block, len(chosen))
    runs = [chosen[start:stop] for start, stop in itertools.pairwise([*starts, len(chosen)])]
    always = mask(block, len(runs))
    first = [0 if run in always else 1 for run in range(len(runs))]
    widths = [next(w for w in (1, 2, 4, 8) if len(run) + one <= 2**w) for run, one in zip(runs, first, strict=True)]
    others = [j for j in range(n_columns) if j not in set(chosen)]
    coder = Coder(block, m * (sum(widths) + bits * len(others)))
    codes = np.zeros((n_columns, m), dtype=np.int64)
    for width in (1, 2, 4, 8):
        some = [run for run in range(len(runs)) if widths[run] == width]
        for run, choices in zip(some, table(coder, list(range(len(some))), m, width), strict=True):
            assert max(choices) < len(runs[run]) + first[run]
            for place, column in enumerate(runs[run]):
                codes[column] = np.where(choices == place + first[run], high, low)
    codes[others] = table(coder, list(range(len(others))), m, bits)
    coder.end()
    return codes, chosen


def correction(codes: Codes, coefficients: Floats, bits: int, row: int) -> Floats:
    """What is added to values, in units of their columns' scales."""
    n_columns, m = codes.shape
    shares = codes / (2**bits - 1)
    means = shares.mean(axis=1)
    z = shares - means[:, None]
    z[(codes == codes[:, :1]).all(axis=1)] = 0  # but for rounding, the mean of equal shares is each
    lists = image_lists(n_columns, row) if row else table_lists(codes)
    added = np.zeros(codes.shape)
    for j, own in enumerate(z):
        beside = np.concatenate([[0], own[:-1]]) + np.concatenate([own[1:], [0]])
        terms = [np.ones(m), own, np.full(m, means[j]), beside]
        for others in lists[j]:
            near = [z[x] * (own @ z[x] / (z[x] @ z[x])) for x in others if z[x].any()]
            terms.append(np.sum(near, axis=0) if near else np.zeros(m))
        of = coefficients[codes[j] if len(coefficients) > 1 else np.zeros(m, dtype=int)]
        added[j] = np.sum(of * np.stack(terms, axis=1), axis=1).clip(-1, 1)
    return added


def image_lists(n_columns: int, s: int) -> list[list[list[int]]]:
    distances = [[-1, 1], [-s, s], [1 - s, s - 1, -s - 1, s + 1], [-2, 2, -2 * s, 2 * s]]
    return [[[j + x for x in some if 0 <= j + x < n_columns] for some in distances] for j in range(n_columns)]


def table_lists(codes: Codes) -> list[list[list[int]]]:
    n_columns, m = codes.shape
    some = codes[:, :: math.ceil(m / 1024)].tolist()
    found = []
    for j, own in enumerate(some):
        scores = [(likeness(own, other), x) for x, other in enumerate(some) if x != j]
        best = ranked(scores, 4) if n_columns <= 1024 else []
        found.append([best[:1], best[1:2], best[2:], []])
    return found


def context(block: Bytes, configuration: bytes, m: int, n_columns: int) -> list[list[float]]:
    bits, scope = configuration[0], configuration[1] & ~2
    flags = block.unpack("B")
    assert flags in ((0, 1, 9, 3, 11) if bits <= 4 else (0, 1, 9, 5))
    row = block.unpack("H") if flags & 1 else 0
    n_sets = 2**bits if bits <= 2 else 1
    coefficients = np.array([block.unpack("e") for _ in range(8 * n_sets if flags & 2 else 0)]).reshape(-1, 8)
    levels = {0: column_levels, 1: table_levels}[scope](block, n_columns, bits)
    active = levels.active
    codes, chosen = np.zeros((n_columns, m), dtype=np.int64), list[int]()
    if flags & 4:
        codes[active] = from_centers(block, len(active), m, bits)
    elif flags & 8:
        codes[active], chosen = from_choices(block, len(active), m, bits)
    elif flags & 1:
        codes[active] = single_table(block, active if row else list(range(len(active))), m, bits, row)
    else:
        codes[active] = np.reshape(block.codes(len(active) * m, bits), (len(active), m))
    values = np.take_along_axis(levels.values, codes, axis=1)
    if flags & 2:
        left = np.delete(np.arange(n_columns), np.array(active)[chosen] if chosen else [])
        values[left] += levels.scales[left, None] * correction(codes[left], coefficients, bits, row)
    return values.T.tolist()
