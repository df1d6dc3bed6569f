"""Bytes from strangers: mutated messages are errors or valid coresets, soon, and within what was allowed.

The slow test decodes as many as CORESET_FUZZ_MESSAGES says, 20,000 by default. Every mutation is drawn from a seed of
its own, so that ``mutated(corpus(), number)`` gives the message that an error names.
"""

from __future__ import annotations

import functools
import os
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coreset import ContextQuantizer, Coreset, Quantizer, RoundingQuantizer, UniformQuantizer, decode, encode, inspect
from coreset.quantizers.base import _REGISTRY
from coreset.wire import Reader, seal, varint
from coreset.wire.decoding import _read_fields

FIXTURES = Path(__file__).parent / "messages"
MAX_OUTPUT = 1 << 20
MOST_SECONDS = 1.0
MOST_TIMES = 8  # the bytes that are sent and those that are allowed
MODEL_BYTES_A_POINT = 400  # of the context quantizer, beside that
CODECS: dict[str, list[Quantizer]] = {
    "context": [ContextQuantizer(bits, scope) for bits in (1, 2, 4, 8) for scope in ("column", "table")],
    "rounding": [RoundingQuantizer(bits, layout) for bits in (0, 3, 52) for layout in ("packed", "paper")],
    "uniform": [UniformQuantizer(bits, scope) for bits in (1, 4, 32) for scope in ("column", "table")],
}
LABELS = {
    "no labels": None,
    "int": (3, -1, 2**40),
    "str": ("b", "a", "é" * 9),
    "float": (0.5, -2.0),
    "bool": (True, False),
}
ABSURD = [0, 1, 2, 127, 128, 255, 2**16, 2**20, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1]
EXTREMES = [0.0, -0.0, 1.0, 5e-324, 2.2e-308, 1e-160, 1e160, 1e308, sys.float_info.max, -1e308, np.inf, np.nan]
Spans = list[tuple[str, bytes]]


def coresets() -> list[Coreset]:
    """One of every kind that messages tell apart."""
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(12, 3)), rng.uniform(1, 50, 12)
    known = {"n_source": 300, "source_dtype": np.float32, "max_displacement": 1.0, "total_displacement": 20.0}
    made = [
        Coreset(points, weights, labels=None if labels is None else np.resize(np.array(labels), 12), **known)
        for labels in LABELS.values()
    ]
    images = rng.integers(0, 3, size=(150, 16)) * np.linspace(0, 1, 150)[:, None]
    clusters = np.repeat(100 * rng.normal(size=(4, 8)), 40, axis=0) + rng.normal(size=(160, 8))
    mixed = np.column_stack(
        [rng.normal(size=(120, 2)), np.eye(20)[rng.integers(0, 20, 120)], np.eye(3)[np.arange(120) % 3]]
    )
    return [
        *made,
        Coreset(mixed, rng.integers(1, 9, 120), labels=np.resize(["x", "y"], 120), **known),
        Coreset(clusters, np.ones(160), labels=rng.integers(0, 2, 160), **known),
        Coreset(points, weights, labels=1e3 * weights, target_type="numeric", label_scale=0.01, **known),
        Coreset(points, np.ones(12), feature_names=("a", "höhe", ""), source_zstd_bytes=70_000, **known),
        Coreset(points, np.where(np.arange(12) % 3, weights, 0.0), labels=np.resize(["x", "y"], 12)),
        Coreset(points, np.zeros(12)),
        Coreset(points * [0, 1, 0] + [7, 0, 0], weights),
        Coreset(points[:1], [5.0], labels=["only"], feature_names=("p", "q", "r")),
        Coreset(1e9 + rng.normal(size=(2, 2000)), [1.0, 2.0]),
        Coreset(images, rng.integers(1, 3, 150), labels=rng.integers(0, 2, 150), source_dtype=np.uint8),
    ]


@functools.cache
def corpus() -> list[bytes]:
    """Messages of every codec and kind, and those that are stored."""
    codecs = [codec for examples in CODECS.values() for codec in examples]
    fresh = [encode(coreset, codec) for coreset in coresets() for codec in codecs]
    return [*fresh, *(path.read_bytes() for path in sorted(FIXTURES.glob("*.cset")))]


@functools.cache
def bombs() -> list[bytes]:
    """Messages of nearly as much output as is allowed, in as few bytes as their codec takes for it."""
    most = MAX_OUTPUT // 8 - 4096
    column = np.arange(most // 2)[:, None] // (most // 4) * 3.0
    tables = [column, np.full((most // 17, 16), 3.0), np.full((1, most), 3.0)]
    codecs = [codec for examples in CODECS.values() for codec in examples[2:4] + examples[6:8]]
    made = [encode(Coreset(points, np.ones(len(points))), codec) for points in tables for codec in codecs]
    return [message for message in made if len(message) < MAX_OUTPUT // 16]


class _Recorder(Reader):
    """Remembers where each field of a body is, by whatever the decoder calls it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.spans: Spans = []

    def take(self, length: int, what: str) -> bytes:
        taken = super().take(length, what)
        self.spans.append((what, taken))
        return taken

    def varint(self, what: str) -> int:
        first = len(self.spans)
        value = super().varint(what)
        self.spans[first:] = [("varint: " + what, b"".join(octet for _, octet in self.spans[first:]))]
        return value


@functools.cache
def body_of(message: bytes) -> bytes:
    reader = Reader(message[5:])
    return reader.block("the body")


@functools.cache
def spans_of(message: bytes) -> Spans:
    recorder = _Recorder(body_of(message))
    _read_fields(recorder)
    return recorder.spans


def mended(body: bytes) -> bytes:
    return seal(b"CSET\x01" + varint(len(body)) + body)


def flip_bits(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Without mending the checksum: damage on the way."""
    changed = bytearray(message)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def cut_or_extend(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    if rng.random() < 0.5:
        return message[: rng.integers(len(message))]
    return message + (rng.bytes(rng.integers(1, 30)) if rng.random() < 0.5 else messages[rng.integers(len(messages))])


def flip_bits_and_mend(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    return mended(flip_bits(rng, messages, body_of(message)))


def cut_or_extend_and_mend(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    body = body_of(message)
    if rng.random() < 0.5:
        return mended(body[: rng.integers(len(body))])
    place = int(rng.integers(len(body) + 1))
    return mended(body[:place] + rng.bytes(rng.integers(1, 30)) + body[place:])


def overwrite_and_mend(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    changed = bytearray(body_of(message))
    for _ in range(rng.integers(1, 4)):
        place, length = rng.integers(len(changed)), rng.integers(1, 10)
        changed[place : place + length] = bytes([rng.choice([0, 1, 127, 128, 255])]) * len(
            changed[place : place + length]
        )
    return mended(bytes(changed))


def splice(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """The first fields of one message and the others of another."""
    one, other = spans_of(message), spans_of(messages[rng.integers(len(messages))])
    kept = one[: rng.integers(1, len(one))]
    return mended(joined(kept + other[int(rng.integers(1, len(other))) :]))


def absurd_sizes(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Counts and lengths that are not so; the length of a block stays right half the time."""
    spans = list(spans_of(message))
    places = [i for i, (what, _) in enumerate(spans) if what.startswith("varint: ")]
    for _ in range(rng.integers(1, 3)):
        place = int(rng.choice(places[:3])) if rng.random() < 0.5 else int(rng.choice(places))
        size = ABSURD[rng.integers(len(ABSURD))] if rng.random() < 0.6 else int(rng.integers(1, 2**17))
        spans[place] = (spans[place][0], varint(size))
    return mended(joined(spans))


def absurd_labels(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Random bytes inside of a block, whose length is right."""
    spans = list(spans_of(message))
    blocks = [i for i in range(1, len(spans)) if spans[i - 1][0] == "varint: the length of " + spans[i][0]]
    place = int(rng.choice(blocks))
    changed = bytearray(spans[place][1])
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(min(len(changed), 40) + 1))
        changed[at : at + rng.integers(3)] = (
            varint(ABSURD[rng.integers(len(ABSURD))]) if rng.random() < 0.5 else rng.bytes(8)
        )
    spans[place] = (spans[place][0], bytes(changed))
    spans[place - 1] = (spans[place - 1][0], varint(len(changed)))
    return mended(joined(spans))


def swap_blocks(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Fields of the same name from another message, of another codec mostly, with the lengths that they need."""
    spans, other = list(spans_of(message)), dict(spans_of(messages[rng.integers(len(messages))]))
    for place, (what, _) in enumerate(spans):
        if what in other and rng.random() < 0.4:
            spans[place] = (what, other[what])
            if place and spans[place - 1][0] == "varint: the length of " + what:
                spans[place - 1] = (spans[place - 1][0], varint(len(other[what])))
    return mended(joined(spans))


def bomb(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Few bytes for much output, damaged a little."""
    spans = list(spans_of(bombs()[rng.integers(len(bombs()))]))
    for _ in range(rng.integers(3)):
        place = int(rng.integers(len(spans)))
        changed = bytearray(spans[place][1])
        if changed:
            changed[rng.integers(min(len(changed), 64))] = rng.integers(256)
        spans[place] = (spans[place][0], bytes(changed))
    return mended(joined(spans))


def extreme_numbers(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Totals, offsets and certificates at the ends of their types, in one message or in two that are merged."""
    made = b""
    for _ in range(rng.integers(1, 3)):
        spans = list(spans_of(message))
        for place, (what, _) in enumerate(spans):
            total, offset, *certificate = rng.choice(EXTREMES, 4)
            if what == "the total weight":
                spans[place] = (what, struct.pack("<d", abs(total) if rng.random() < 0.9 else total))
            elif what == "the totals":
                numbers = struct.pack("<dff", offset, *np.clip(certificate, -3e38, 3e38))
                short = numbers[4:8] + numbers[10:12] + numbers[14:16]
                spans[place] = (what, short if len(spans[place][1]) == len(short) else numbers)
        made += mended(joined(spans))
    return made


def two_at_once(rng: np.random.Generator, messages: list[bytes], message: bytes) -> bytes:
    """Two damaged messages of the same origin, so that some can be merged."""
    mutators = [overwrite_and_mend, flip_bits_and_mend, absurd_sizes, extreme_numbers]
    return b"".join(mutators[rng.integers(4)](rng, messages, message) for _ in range(2))


def joined(spans: Spans) -> bytes:
    return b"".join(data for _, data in spans)


MUTATORS: list[Callable[[np.random.Generator, list[bytes], bytes], bytes]] = [
    flip_bits,
    cut_or_extend,
    flip_bits_and_mend,
    flip_bits_and_mend,
    cut_or_extend_and_mend,
    overwrite_and_mend,
    splice,
    absurd_sizes,
    absurd_labels,
    swap_blocks,
    bomb,
    extreme_numbers,
    two_at_once,
]


def mutated(messages: list[bytes], number: int) -> bytes:
    """The mutation of this number."""
    rng = np.random.default_rng([20260101, number])
    message = messages[rng.integers(len(messages))]
    return MUTATORS[number % len(MUTATORS)](rng, messages, message)


def outcome(message: bytes) -> str:
    """What came of it; anything but a ValueError or a valid coreset raises."""
    try:
        received = decode(message, max_output_bytes=MAX_OUTPUT)
    except ValueError:
        return "refused"
    assert received.nbytes <= MAX_OUTPUT
    assert np.isfinite(received.points).all()
    assert np.isfinite(received.weights).all()
    assert (received.weights >= 0).all()
    assert sum(row["message_bytes"] for row in inspect(message)) == len(message)
    return "valid"


def most_memory(message: bytes) -> int:
    try:
        squeezed = any(isinstance(row["quantizer"], ContextQuantizer) for row in inspect(message))
    except ValueError:
        squeezed = False
    return MOST_TIMES * (len(message) + MAX_OUTPUT) + squeezed * MODEL_BYTES_A_POINT * (MAX_OUTPUT // 16)


def check_all(n_messages: int, *, memory_every: int) -> dict[str, float]:
    """Decode that many mutations; the longest time and the most memory beside the counts."""
    messages = corpus()
    found: dict[str, float] = {"refused": 0, "valid": 0, "seconds": 0.0, "bytes": 0.0}
    for number in range(n_messages):
        message = mutated(messages, number)
        measured = number % memory_every == 0
        if measured:
            tracemalloc.start()
        start = time.process_time()
        try:
            found[outcome(message)] += 1
        except Exception as error:
            raise AssertionError(f"mutation {number}, message {message[:2000].hex()}: {error!r}") from error
        seconds = time.process_time() - start
        if measured:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak <= most_memory(message), f"mutation {number} took {peak} bytes, message {message[:2000].hex()}"
            found["bytes"] = max(found["bytes"], peak)
        else:
            assert seconds <= MOST_SECONDS, f"mutation {number} took {seconds} s, message {message[:2000].hex()}"
            found["seconds"] = max(found["seconds"], seconds)
    return found


def test_every_registered_codec_is_in_the_corpus():
    assert set(CODECS) == set(_REGISTRY)
    assert all(decode(message).nbytes for message in corpus())


def test_some_mutated_messages():
    found = check_all(2_000, memory_every=20)
    assert min(found["refused"], found["valid"]) >= 100  # mutations that are all refused at the door try nothing


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_mutated_messages():
    n_messages = int(os.environ.get("CORESET_FUZZ_MESSAGES", "20000"))
    start = time.perf_counter()
    found = check_all(n_messages, memory_every=50)
    print(f"{n_messages} messages in {time.perf_counter() - start:.0f} s: {found}")
    assert found["refused"] + found["valid"] == n_messages
