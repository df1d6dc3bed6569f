"""Codecs: points to bytes and back, with their exact size known before encoding."""

from .base import (
    Quantizer,
    Shape,
    check_points,
    check_quantizer,
    get_quantizer,
    quantizer_from_wire,
    register_quantizer,
)
from .bits import pack_bits, packed_size, unpack_bits
from .context import ContextQuantizer
from .one_hot import has_one_hot_columns
from .rounding import RoundingQuantizer
from .scoped import SCOPES
from .uniform import UniformQuantizer

__all__ = [
    "SCOPES",
    "ContextQuantizer",
    "Quantizer",
    "RoundingQuantizer",
    "Shape",
    "UniformQuantizer",
    "check_points",
    "check_quantizer",
    "get_quantizer",
    "has_one_hot_columns",
    "pack_bits",
    "packed_size",
    "quantizer_from_wire",
    "register_quantizer",
    "unpack_bits",
]
