"""Layout of version 1, little-endian.

A varint is unsigned LEB128, a block is a varint length and that many bytes::

    magic "CSET" | version, 1 byte | varint length of the body | body | CRC-32 of all before it, 4 bytes

    body: flags, 1 byte (1 labels, 2 feature names) | source dtype, 1 byte | varint n_source | varint n_points
          | varint n_features | total weight, float64 | offset, float64 | max and total displacement, 2 float32
          | block of weights | block of labels, if flagged | block of names, if flagged
          | quantizer, 1 byte | its configuration, 2 bytes | block of points

Points stand grouped by label, in ascending order, so that labels cost a count a class. There is no pickle in it.
"""

from __future__ import annotations

import struct

MAGIC = b"CSET"
VERSION = 1
HAS_LABELS, HAS_NAMES = 1, 2
NUMBERS = struct.Struct("<ddff")  # total weight, offset, max displacement, total displacement
# Positions are for ever; a type that is not listed travels as float64.
DTYPES = ("<f8", "<f4", "<f2", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "|b1")
