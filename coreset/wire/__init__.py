"""The message: a coreset and a quantizer to bytes, and back from bytes that may be hostile."""

from .decoding import DEFAULT_MAX_OUTPUT_BYTES, decode, inspect, merge_within
from .drafts import Draft, arranged, calibrated_offset, columns_sent
from .encoding import encode, encoded_size, max_encoded_size
from .fields import Reader, seal, unseal, varint
from .names import held_bytes
from .rough import from_rough, roughly

__all__ = [
    "DEFAULT_MAX_OUTPUT_BYTES",
    "Draft",
    "Reader",
    "arranged",
    "calibrated_offset",
    "columns_sent",
    "decode",
    "encode",
    "encoded_size",
    "from_rough",
    "held_bytes",
    "inspect",
    "max_encoded_size",
    "merge_within",
    "roughly",
    "seal",
    "unseal",
    "varint",
]
