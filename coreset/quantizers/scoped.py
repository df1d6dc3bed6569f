"""What codecs share that have a number of bits a value, and levels for each column or for the table."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, Self

from .base import Quantizer, check_bits

Scope = Literal["column", "table"]
SCOPES: tuple[Scope, ...] = ("column", "table")


@dataclasses.dataclass(frozen=True)
class ScopedQuantizer(Quantizer):
    """A codec of `bits` and `scope`; see the subclasses for what they mean there."""

    bits: int
    scope: Scope = "column"

    MOST_BITS: ClassVar[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", check_bits("bits", self.bits, 1, self.MOST_BITS))
        if self.scope not in SCOPES:
            raise ValueError(f"scope={self.scope!r} must be one of {SCOPES}")

    @property
    def nominal_bits(self) -> int:
        """Bits of a value in a column that varies, before they are squeezed where that is done."""
        return self.bits

    @property
    def precision(self) -> int:
        """See `Quantizer.precision`."""
        return self.bits

    def config_bytes(self) -> bytes:
        """Bits, then 0 for columns and 1 for the table."""
        return bytes([self.bits, SCOPES.index(self.scope)])

    @classmethod
    def from_config_bytes(cls, data: bytes) -> Self:
        """Inverse of `config_bytes`."""
        if data[1] >= len(SCOPES):
            raise ValueError(f"scope {data[1]} of the {cls.id} quantizer is unknown")
        return cls(data[0], SCOPES[data[1]])
