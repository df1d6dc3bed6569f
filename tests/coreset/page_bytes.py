"""Primitives and the entropy coder as docs/format.md tells them, written from that page alone."""

from __future__ import annotations

import itertools
import math
import struct
from typing import Any


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, n: int) -> bytes:
        assert n <= len(self.data)
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def unpack(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def varint(self) -> int:
        value = 0
        for place in range(9):
            octet = self.unpack("B")
            value += (octet & 127) << (7 * place)
            if octet < 128:
                return value
        raise AssertionError("a varint of more than nine bytes")

    def zigzag(self) -> int:
        value = self.varint()
        return -((value + 1) // 2) if value % 2 else value // 2

    def block(self) -> Bytes:
        return Bytes(self.take(self.varint()))

    def codes(self, n: int, width: int) -> list[int]:
        size = math.ceil(n * width / 8)
        number = int.from_bytes(self.take(size), "big") >> (8 * size - n * width)
        return [number >> (width * (n - 1 - i)) & (2**width - 1) for i in range(n)]

    def digits(self, lengths: list[int]) -> list[int]:
        """Numbers of so many binary digits each, filled up to a whole byte."""
        digits = "".join(map(str, self.codes(sum(lengths), 1)))
        ends = list(itertools.accumulate(lengths, initial=0))
        return [int("0" + digits[start:end], 2) for start, end in itertools.pairwise(ends)]


class Coder:
    def __init__(self, block: Bytes, n_bits: int) -> None:
        self.n_bits = self.left = n_bits
        self.lanes = block.unpack("H") if n_bits >= 4096 else 1
        digits = "".join(f"{octet:08b}" for octet in block.data)
        lengths, end = [int(digits[4 * i : 4 * i + 4], 2) for i in range(self.lanes)], 4 * self.lanes
        heads = []
        for length in lengths:
            heads.append(int("1" + digits[end : end + length], 2))
            end += length
        block.take(math.ceil(end / 8))
        self.words = [block.unpack("H") for _ in range(len(block.data) // 2)]
        self.states = [65536 * head + self.words.pop(0) for head in heads]

    def run(self, chances: list[int]) -> str:
        stay = max(1, min(self.lanes, 8 * self.lanes * self.left // self.n_bits))
        dropped, self.states = self.states[stay:], self.states[:stay]
        assert all(state // 65536 == 1 for state in dropped)
        self.words = [state % 65536 for state in dropped] + self.words
        self.left -= len(chances)
        bits = ""
        for j, ones in enumerate(chances):
            quotient, rest = divmod(self.states[j % len(self.states)], 4096)
            one = rest < ones
            state = ones * quotient + rest if one else (4096 - ones) * quotient + rest - ones
            if state < 65536:
                state = 65536 * state + self.words.pop(0)
            self.states[j % len(self.states)] = state
            bits += str(int(one))
        return bits

    def end(self) -> None:
        assert set(self.states) == {65536}
        assert not any(self.words)
