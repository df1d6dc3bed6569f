"""Names of columns, and classes that are texts."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator, Sequence

from .fields import Reader, block, varint

_NUMBER = re.compile(r"[0-9]{1,18}\Z")


def encode_texts(texts: Sequence[str]) -> bytes:
    """Texts as blocks of UTF-8, one after the other."""
    return b"".join(block(_utf8(text)) for text in texts)


def decode_text(reader: Reader, what: str) -> str:
    """The next of such texts.

    Raises
    ------
    ValueError
        When the bytes end before, or are no UTF-8.
    """
    return _text(reader.block(what))


@functools.lru_cache(maxsize=8)  # planners ask again and again what the same names take
def encode_names(names: tuple[str, ...]) -> tuple[bytes, bool]:
    """Names as texts, or in a shorter form, and whether that was done.

    The shorter form is deflated. A name that only counts on from the one before, as p10 does from p9, and c04 from
    c03, is a zero byte; others are their UTF-8 after its length plus one.
    """
    plain = encode_texts(names)
    counted = b"".join(
        b"\0" if before is not None and name == _after(before) else varint(len(_utf8(name)) + 1) + _utf8(name)
        for before, name in zip((None, *names), names, strict=False)
    )
    packer = zlib.compressobj(9, wbits=-15)
    squeezed = packer.compress(counted) + packer.flush()
    return (squeezed, True) if len(squeezed) < len(plain) else (plain, False)


def decode_names(data: bytes, n_features: int, *, squeezed: bool, most_bytes: int) -> tuple[str, ...]:
    """Inverse of `encode_names` for bytes that may be hostile.

    Parameters
    ----------
    data : bytes
    n_features : int
    squeezed : bool
        Whether they are in the shorter form.
    most_bytes : int
        That the names may take; those that are not squeezed take no more than their bytes.

    Raises
    ------
    ValueError
        When the bytes do not hold exactly `n_features` names, or these take more than `most_bytes`.
    """
    if not squeezed:
        reader = Reader(data)
        names = tuple(decode_text(reader, "a feature name") for _ in range(n_features))
    else:
        reader = Reader(_inflated(data, most_bytes))
        names = tuple(_counted(reader, n_features, most_bytes))
    reader.end("the feature names")
    return names


def _counted(reader: Reader, n_features: int, most_bytes: int) -> Iterator[str]:
    name, total = None, 0
    for _ in range(n_features):
        length = reader.varint("the length of a feature name")
        name = _after(name) if length == 0 else _text(reader.take(length - 1, "a feature name"))
        if name is None:
            raise ValueError("message is corrupt: a feature name counts on from one without a number")
        total += len(name)
        _check_room(total, most_bytes)
        yield name


def _after(name: str | None) -> str | None:
    """The name that counts on from another, of which it keeps leading zeros; None where there is no number."""
    found = None if name is None else _NUMBER.search(name)
    if name is None or found is None:
        return None
    return name[: found.start()] + str(int(found[0]) + 1).zfill(len(found[0]))


def _inflated(data: bytes, most_bytes: int) -> bytes:
    reader = zlib.decompressobj(wbits=-15)
    try:
        plain = reader.decompress(data, most_bytes + 1)
    except zlib.error:
        raise ValueError("message is corrupt: its feature names cannot be inflated") from None
    _check_room(len(plain), most_bytes)
    if not reader.eof or reader.unused_data:
        raise ValueError("message is corrupt: its feature names do not end where they should")
    return plain


def _check_room(output: int, most_bytes: int) -> None:
    if output > most_bytes:
        raise ValueError(f"decoding the feature names takes {output} bytes, max_output_bytes leaves {most_bytes}")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise ValueError("message is corrupt: a name is no UTF-8") from None
