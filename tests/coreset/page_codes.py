"""Tables of codes of codec 3 as docs/format.md tells them, written from that page alone: simple, not fast."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .page_bytes import Coder

LOGIT = [max(-2047, min(2047, round(256 * math.log(i / (4096 - i))))) for i in range(1, 4096)]
LOGIT = [LOGIT[0], *LOGIT]
CHANCE = {x: round(65536 / (1 + math.exp(-x / 256))) for x in range(2048)}
CHANCE |= {-x: 65536 - chance for x, chance in CHANCE.items() if x}

Key = tuple[int, ...]
Context = tuple[Key, float | None]  # and what it is believed to be followed by


@dataclasses.dataclass(frozen=True)
class Pass:
    number: int
    half: int  # 0 in the first pass
    points: range
    known: range


@dataclasses.dataclass
class Cell:
    """Where a code stands, what is known about it, and as many of its leading bits as were decoded."""

    column: int
    point: int
    pass_: Pass
    same: list[int]  # short codes at the same point
    near: list[int]  # short codes of the column nearby
    bits: int = 0


def groups_of(positions: list[int], m: int, row: int) -> list[list[int]]:
    """Columns, by their numbers in the table, of each group."""
    k = len(positions)
    if row:
        waves = [p % row + 3 * (p // row) for p in positions]
    elif k <= 128:
        waves = positions
    else:
        strips = max(1, min(2048 // m, k // 16))
        waves = [p % math.ceil(k / strips) for p in positions]
    by_wave = collections.defaultdict(list)
    for column, wave in enumerate(waves):
        by_wave[wave].append(column)
    most = max(1, 32768 // m)
    return [by_wave[w][i : i + most] for w in sorted(by_wave) for i in range(0, len(by_wave[w]), most)]


def passes_of(k: int, m: int) -> list[Pass]:
    step = 4
    while k <= 128 and 4 * step < m:
        step *= 2
    found = [Pass(0, 0, range(0, m, step), range(0))]
    while step > 1:
        half = step // 2
        if half < m:
            found.append(Pass(len(found), half, range(half, m, step), range(0, m, step)))
        step = half
    return found


def ranked(scores: list[tuple[float, int]], most: int) -> list[int]:
    """Columns of the largest positive scores, of which the first come first."""
    return [column for score, column in sorted(scores, key=lambda one: -one[0]) if score > 0][:most]


def likeness(own: list[int], other: list[int]) -> float:
    """How like a column another is."""
    n = len(own)
    product = n * sum(x * y for x, y in zip(other, own, strict=True)) - sum(other) * sum(own)
    return product**2 / max(n * sum(x * x for x in other) - sum(other) ** 2, 1)


class Table:
    def __init__(self, positions: list[int], m: int, width: int, row: int) -> None:
        self.m, self.width, self.row = m, width, row
        self.leading = min(width, 4)
        self.groups = groups_of(positions, m, row)
        self.passes = passes_of(len(positions), m)
        self.group_of = {column: g for g, group in enumerate(self.groups) for column in group}
        self.codes = [[0] * m for _ in positions]
        self.counts: list[collections.Counter[tuple[int, int]]] = [collections.Counter() for _ in positions]
        self.ruled = [self.ruled_neighbours(column, positions) for column in range(len(positions))]
        self.learned: list[list[int | None]] = [[None] * 4 for _ in positions]
        self.depths = [Depth(*self.kinds(j)) for j in range(width)]

    def short(self, column: int, point: int) -> int:
        return self.codes[column][point] >> (self.width - self.leading)

    def kinds(self, depth: int) -> tuple[int, int]:
        """How many kinds of contexts, and how many contexts."""
        if depth >= self.leading:
            return 1, 168
        if self.width == 1:
            return 5, 1828
        return 6, (1828 + 4 ** (1 + min(self.leading, 3))) << depth

    def ruled_neighbours(self, column: int, positions: list[int]) -> list[int | None]:
        s, places = self.row, {position: place for place, position in enumerate(positions)}
        distances = list(range(1, 9))
        if s:
            distances = [1, s, s + 1, s - 1, 2, 2 * s, s + 2, s - 2, 2 * s + 1, 2 * s - 1, 3, 3 * s]
        found = []
        for distance in distances:
            other = places.get(positions[column] - distance) if distance > 0 else None
            earlier = other is not None and self.group_of[other] < self.group_of[column]
            found.append(other if earlier else None)
        return found

    def learn_neighbours(self, g: int, part: Pass) -> None:
        k = len(self.codes)
        if (
            self.row
            or not 1 < k <= 1024
            or part.number == 0
            or len(self.passes[part.number - 1].known) >= 128
            or g == 0
        ):
            return
        points = part.known[:: math.ceil(len(part.known) / 512)]
        before = [column for group in self.groups[:g] for column in group]
        others = [[self.short(column, point) for point in points] for column in before]
        for column in self.groups[g]:
            own = [self.short(column, point) for point in points]
            best = ranked([(likeness(own, other), x) for x, other in zip(before, others, strict=True)], 4)
            self.learned[column] = [*best, *[None] * (4 - len(best))]

    def batches(self) -> Iterator[list[Cell]]:
        for t in range(len(self.groups) + len(self.passes) - 1 if self.groups else 0):
            parts = [(t - part.number, part) for part in self.passes if 0 <= t - part.number < len(self.groups)]
            for g, part in parts:
                self.learn_neighbours(g, part)
            yield [self.cell(c, i, part) for g, part in parts for c in self.groups[g] for i in part.points]

    def cell(self, column: int, point: int, part: Pass) -> Cell:
        around = self.ruled[column] + ([] if self.row else self.learned[column])
        same = [0 if other is None else self.short(other, point) for other in around]
        places = [point + part.half * odd for odd in range(-7, 8, 2)] if part.half else []
        return Cell(column, point, part, same, [self.short(column, i) for i in places if 0 <= i < self.m])

    def contexts(self, cell: Cell, j: int) -> list[Context]:
        bits, is_leading = cell.bits, j < self.leading
        if not is_leading and 1 << self.width > 16 * self.m:
            return [((1,), 0.5)]
        counts = [self.counts[cell.column]]
        if cell.pass_.number == 0 and is_leading:
            counts = [self.counts[other] for other in self.ruled[cell.column][:2] if other is not None]
        seen, ones = sum(c[j, bits] for c in counts), sum(c[j + 1, 2 * bits + 1] for c in counts)
        y = 1 + (LOGIT[(2 * ones + 1) * 4096 // (2 * seen + 2)] + 2047) * 20 // 4095
        share = CHANCE[(2 * y - 1) * 4095 // 40 - 2047] / 65536
        if not is_leading:
            return [((1, y, min(7, seen.bit_length())), share)]
        height = self.leading - j - 1
        digits = "".join(str(int(x >> height >= 2 * bits + 1)) for x in cell.same)
        e, g = int(digits[:8], 2), int(digits[8:], 2)
        f, n, h = e // 16, e // 64, g // 4
        among = [x >> height & 1 for x in cell.near if x >> (height + 1) == bits]
        u, o = len(among), sum(among)
        window = (2 * o + 1) / (2 * u + 2)
        found: list[Context] = [
            ((1, bits, e), None),
            ((2, bits, u, o, n), window),
            ((3, bits, y, n, h), share),
            ((4, bits, u, o, g), window),
            ((5, bits, y, f), share),
        ]
        if self.width > 1:
            first, second = (x >> max(self.leading - 3, 0) for x in cell.same[:2])
            found.append(((6, bits, first, second, h), None))
        return found

    def decode(self, coder: Coder) -> list[list[int]]:
        for batch in self.batches():
            for j, depth in enumerate(self.depths):
                sets = [min(cell.pass_.number, 4) for cell in batch]
                chances = depth.predict([self.contexts(cell, j) for cell in batch], sets)
                run = [int(bit) for bit in coder.run(chances)]
                depth.learn(run)
                for cell, bit in zip(batch, run, strict=True):
                    cell.bits = 2 * cell.bits + bit
            for cell in batch:
                self.codes[cell.column][cell.point] = cell.bits
                self.counts[cell.column].update((j, cell.bits >> (self.width - j)) for j in range(self.width + 1))
        return self.codes


class Depth:
    """Counts, weights and matrices of one depth of a table."""

    def __init__(self, n_kinds: int, n_contexts: int) -> None:
        self.n_contexts = n_contexts
        self.counts: dict[Key, list[float]] = {}
        self.weights = np.full((5, n_kinds), 65536.0 if n_kinds == 1 else 81920 // n_kinds)
        self.matrices = np.zeros((5, n_kinds, n_kinds))

    def predict(self, contexts: list[list[Context]], sets: list[int]) -> list[int]:
        for key, belief in (context for kinds in contexts for context in kinds):
            if key not in self.counts:
                self.counts[key] = [0.0, 0.0] if belief is None else [6.0, 6.0 * belief]
        self.keys = [[key for key, _ in kinds] for kinds in contexts]
        self.sets = np.array(sets)
        self.inputs = np.array([[self.logit(key) for key in keys] for keys in self.keys], dtype=float)
        mixed = np.rint((self.weights[self.sets] * self.inputs).sum(axis=1) / 65536).clip(-2047, 2047)
        self.chances = np.array([CHANCE[int(x)] for x in mixed])
        return [int(chance) // 16 for chance in self.chances]

    def logit(self, key: Key) -> int:
        seen, ones = self.counts[key]
        return LOGIT[int((5 * ones + 2) * 4096 / (5 * seen + 4))]

    def learn(self, bits: list[int]) -> None:
        spread = self.chances * (65536 - self.chances) // 2**18
        errors = 65536 * np.array(bits) - self.chances
        for s in np.unique(self.sets):
            own = self.sets == s
            self.matrices[s] *= 4096 / (4096 + int(own.sum()))
            self.matrices[s] += self.inputs[own].T @ (self.inputs[own] * spread[own, None])
            steps = solved(self.matrices[s], self.inputs[own].T @ errors[own])
            self.weights[s] = (self.weights[s] + np.rint(steps * 2**22)).clip(-(2**18), 2**18)
        for keys, bit in zip(self.keys, bits, strict=True):
            for key in keys:
                self.counts[key][0] += 1
                self.counts[key][1] += bit
        occurred = {key for keys in self.keys for key in keys}
        for key in occurred if 4 * self.inputs.size < self.n_contexts else self.counts:
            if self.counts[key][0] > 1023:
                self.counts[key] = [math.floor(part / 2) for part in self.counts[key]]


def solved(matrix: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    system = np.column_stack([matrix + 2.0**36 * np.eye(len(matrix)), side])
    for r in range(len(system)):
        system[r, r:] /= system[r, r]
        for other in range(len(system)):
            if other != r:
                system[other, r:] -= system[other, r] * system[r, r:]
    return system[:, -1]
