"""A codec that does not encode the same points twice."""

from __future__ import annotations

import hashlib
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..quantizers import ContextQuantizer, Quantizer, Shape


def remembering(quantizer: Quantizer) -> Quantizer:
    """A stand-in that keeps the blocks it wrote, for a codec that finds its size by encoding; others as they are."""
    return _Remembering(quantizer) if isinstance(quantizer, ContextQuantizer) else quantizer


_MOST_KNOWN = 2  # tables that a codec remembers, each with its values: a search comes back to one of the last


@final
class _Remembering(Quantizer):
    """Writes what another codec writes; it is never registered itself."""

    def __init__(self, quantizer: Quantizer) -> None:
        self._quantizer = quantizer
        self._known: dict[bytes, tuple[bytes, NDArray[np.float64]]] = {}

    @property
    def wire_id(self) -> int:  # type: ignore[override]
        """That of the other codec."""
        return self._quantizer.wire_id

    def encode(self, points: NDArray[np.float64]) -> bytes:
        """See `Quantizer.encode`."""
        return self.encode_and_decode(points)[0]

    def encode_and_decode(self, points: NDArray[np.float64]) -> tuple[bytes, NDArray[np.float64]]:
        """See `Quantizer.encode_and_decode`."""
        key = repr(points.shape).encode() + hashlib.sha256(np.ascontiguousarray(points).tobytes()).digest()
        found = self._known.pop(key, None) or self._quantizer.encode_and_decode(points)
        self._known[key] = found  # at the end, so that the one used longest ago is first
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return found

    def decode(self, data: bytes, shape: Shape) -> NDArray[np.float64]:
        """See `Quantizer.decode`."""
        return self._quantizer.decode(data, shape)

    def encoded_size(self, points: NDArray[np.float64]) -> int:
        """See `Quantizer.encoded_size`."""
        return len(self.encode(points))

    def max_encoded_size(self, shape: Shape) -> int:
        """See `Quantizer.max_encoded_size`."""
        return self._quantizer.max_encoded_size(shape)

    @property
    def precision(self) -> int:
        """See `Quantizer.precision`."""
        return self._quantizer.precision

    def arrangement(self, points: NDArray[np.float64]) -> NDArray[np.intp] | None:
        """See `Quantizer.arrangement`."""
        return self._quantizer.arrangement(points)

    def config_bytes(self) -> bytes:
        """See `Quantizer.config_bytes`."""
        return self._quantizer.config_bytes()

    @classmethod
    def from_config_bytes(cls, data: bytes) -> Quantizer:
        """Messages name the other codec."""
        raise ValueError("no message has this codec")

    def get_config(self) -> dict[str, Any]:
        """See `Quantizer.get_config`."""
        return self._quantizer.get_config()
