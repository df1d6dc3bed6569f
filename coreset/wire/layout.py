"""Layout of version 1, little-endian.

A varint is unsigned LEB128, a block is a varint length and that many bytes::

    magic "CSET" | version, 1 byte | varint length of the body | body | CRC-32 of all before it, 4 bytes

    body: flags, 1 byte (1 labels, 2 feature names, 4 numeric target, 8 short numbers, 16 source after zstd,
          32 no total weight, 64 squeezed names) | source dtype, 1 byte
          | varint n_source | varint n_points | varint n_features
          | varint bytes of the source after zstd, if flagged | total weight, float64, unless flagged
          | offset, float64, or its leading half if numbers are short
          | max and total displacement, 2 float32, or their leading halves
          | block of weights | block of labels, if flagged
          | block of names, if flagged | exponent of the target, int16, if flagged
          | quantizer, 1 byte | its configuration, 2 bytes | block of points

Points stand grouped by label, in ascending order, so that labels cost a count a class. There is no pickle in it.

A numeric target, times two to its exponent, is the last column of the points, which then keep their order; messages
have either labels or a target. Decoders from before there were targets refuse the flag.

What the source takes after zstd is there for accounts alone. Without a total weight it is n_source, that of rows which
weigh one each. Squeezed names are a deflated list, in which one that counts on from the name before is a zero byte, and
others are their UTF-8 after a varint, its length plus one. Decoders from before there was one of the flags refuse it.
"""

from __future__ import annotations

import struct

MAGIC = b"CSET"
VERSION = 1
HAS_LABELS, HAS_NAMES, HAS_TARGET = 1, 2, 4
SHORT_NUMBERS, HAS_SOURCE_ZSTD, NO_TOTAL, SQUEEZED_NAMES = 8, 16, 32, 64
KNOWN_FLAGS = HAS_LABELS | HAS_NAMES | HAS_TARGET | SHORT_NUMBERS | HAS_SOURCE_ZSTD | NO_TOTAL | SQUEEZED_NAMES
EXPONENT = struct.Struct("<h")
LEAST_EXPONENT, MOST_EXPONENT = -1074, 1023  # of a double
TOTAL = struct.Struct("<d")
NUMBERS = struct.Struct("<dff")  # offset, max displacement, total displacement
SHORT = struct.Struct("<4s2s2s")  # the same
# Positions are for ever; a type that is not listed travels as float64.
DTYPES = ("<f8", "<f4", "<f2", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "|b1")
