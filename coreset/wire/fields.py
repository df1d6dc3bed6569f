"""Fields of a message: bounded reading, varints, blocks, checksums."""

from __future__ import annotations

import zlib


class Reader:
    """Takes fields off the front of bytes that may be hostile; every read is bounded by what is there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, length: int, what: str) -> bytes:
        """The next `length` bytes.

        Raises
        ------
        ValueError
            When fewer are left.
        """
        if length > len(self.data) - self.position:
            raise ValueError(
                f"message is truncated: {what} takes {length} bytes, {len(self.data) - self.position} are left"
            )
        self.position += length
        return self.data[self.position - length : self.position]

    def varint(self, what: str) -> int:
        """The next unsigned LEB128 number, below 2**63.

        Raises
        ------
        ValueError
            When it does not end in nine bytes.
        """
        value = 0
        for shift in range(0, 63, 7):
            (octet,) = self.take(1, what)
            value |= (octet & 127) << shift
            if octet < 128:
                return value
        raise ValueError(f"message is corrupt: {what} is no number below 2**63")

    def block(self, what: str) -> bytes:
        """The next length-prefixed block."""
        return self.take(self.varint(f"the length of {what}"), what)

    def end(self, what: str) -> None:
        """Check that nothing is left.

        Raises
        ------
        ValueError
            When something is.
        """
        if self.position != len(self.data):
            raise ValueError(f"message is corrupt: {len(self.data) - self.position} bytes are left over after {what}")


def varint(value: int) -> bytes:
    """Unsigned LEB128 bytes of a number from 0 to 2**63 - 1."""
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def block(data: bytes) -> bytes:
    """The data after a varint of its length."""
    return varint(len(data)) + data


def seal(data: bytes) -> bytes:
    """The data and its CRC-32."""
    return data + zlib.crc32(data).to_bytes(4, "little")


def unseal(data: bytes) -> bytes:
    """Inverse of `seal`.

    Raises
    ------
    ValueError
        When the checksum does not match.
    """
    if len(data) < 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError("message is corrupt: its checksum does not match")
    return data[:-4]
