"""Layout of version 1, little-endian.

A varint is unsigned LEB128, a block is a varint length and that many bytes::

    magic "CSET" | version, 1 byte | varint length of the body | body | CRC-32 of all before it, 4 bytes

    body: flags, 1 byte (1 labels, 2 feature names, 4 numeric target, 16 source after zstd) | source dtype, 1 byte
          | varint n_source | varint n_points | varint n_features
          | varint bytes of the source after zstd, if flagged | total weight, float64 | offset, float64
          | max and total displacement, 2 float32 | block of weights | block of labels, if flagged
          | block of names, if flagged | exponent of the target, int16, if flagged
          | quantizer, 1 byte | its configuration, 2 bytes | block of points

Points stand grouped by label, in ascending order, so that labels cost a count a class. There is no pickle in it.

A numeric target, times two to its exponent, is the last column of the points, which then keep their order; messages
have either labels or a target. Decoders from before there were targets refuse the flag.

What the source takes after zstd is there for accounts alone. Messages without it have the bytes that they had before
there was that flag, which older decoders refuse.
"""

from __future__ import annotations

import struct

MAGIC = b"CSET"
VERSION = 1
HAS_LABELS, HAS_NAMES, HAS_TARGET = 1, 2, 4
HAS_SOURCE_ZSTD = 16
KNOWN_FLAGS = HAS_LABELS | HAS_NAMES | HAS_TARGET | HAS_SOURCE_ZSTD
EXPONENT = struct.Struct("<h")
LEAST_EXPONENT, MOST_EXPONENT = -1074, 1023  # of a double
NUMBERS = struct.Struct("<ddff")  # total weight, offset, max displacement, total displacement
# Positions are for ever; a type that is not listed travels as float64.
DTYPES = ("<f8", "<f4", "<f2", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "|b1")
