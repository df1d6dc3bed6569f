"""Accounts of messages: what they take, and next to what."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ..quantizers import Quantizer
from ..raw import raw_bytes, target_dtype
from ..targets import NUMERIC
from ..wire import inspect


@dataclasses.dataclass(frozen=True)
class Accounting:
    """Bytes of one message, or of several together, by every count that is in use.

    Parameters
    ----------
    n_messages, n_points, n_features, n_source : int
    quantizers : tuple of Quantizer
        Those of the messages, each once.
    published_bits : int or None
        What the published framework counts: points x bits a value x features, a numeric target being one feature more,
        and weights, labels, levels and headers nothing. None where a codec has no nominal width.
    message_bytes : int
        Everything.
    parts : dict of str to int
        Bytes by part, which sum to `message_bytes`: ``header`` (checksum included) and the blocks that there are, such
        as ``weights``, ``labels``, ``names`` and ``points``. A numeric target is among the points.
    raw_bytes : int
        The source in its own type: rows x (features x bytes a value + bytes of the target).
    raw_target : str
        How the target is counted in that, which messages do not tell: a class as the least whole bytes that number all
        classes of the message, a numeric target like one feature more of a table of floats and as 8 bytes elsewhere.
    source_zstd_bytes : int or None
        The source after zstd of level 3, measured on at most 8 MiB of each message's rows; None where a message does
        not tell.
    messages : tuple of Accounting
        One each, where it is about several.

    References
    ----------
    The published count: Lu et al., "Joint Coreset Construction and Quantization for Distributed Machine Learning", IFIP
    Networking 2020 (arXiv 2204.06652).
    """

    n_messages: int
    n_points: int
    n_features: int
    n_source: int
    quantizers: tuple[Quantizer, ...]
    published_bits: int | None
    message_bytes: int
    parts: dict[str, int]
    raw_bytes: int
    raw_target: str
    source_zstd_bytes: int | None
    messages: tuple[Accounting, ...] = ()

    @property
    def raw_ratio(self) -> float:
        """Message over raw bytes; nan where the summary stands for no row."""
        return _ratio(self.message_bytes, self.raw_bytes)

    @property
    def zstd_ratio(self) -> float:
        """Message bytes over those of the source after zstd; nan where these are not known."""
        return _ratio(self.message_bytes, self.source_zstd_bytes)

    def to_dict(self) -> dict[str, Any]:
        """All of it as what JSON can hold; nan is None.

        Returns
        -------
        dict
        """
        names = [field.name for field in dataclasses.fields(self) if field.name not in ("quantizers", "messages")]
        counts = {name: getattr(self, name) for name in names}
        ratios = {name: getattr(self, name) for name in ("raw_ratio", "zstd_ratio")}
        return {
            **counts,
            **{name: None if math.isnan(ratio) else ratio for name, ratio in ratios.items()},
            "quantizers": [quantizer.get_config() for quantizer in self.quantizers],
            "messages": [message.to_dict() for message in self.messages],
        }

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {size:,}" for name, size in self.parts.items())
        lines = [
            ("summary", f"{self.n_points:,} points x {self.n_features:,} features of {self.n_source:,} rows"),
            ("codec", ", ".join(map(str, self.quantizers))),
            ("published count", _published(self.published_bits)),
            ("message", f"{self.message_bytes:,} bytes: {parts}"),
            ("raw data", f"{self.raw_bytes:,} bytes in their own type ({self.raw_target}); {_share(self.raw_ratio)}"),
            ("raw data, zstd", _zstd(self.source_zstd_bytes, self.zstd_ratio)),
        ]
        return "\n".join(f"{name:<16} {text}" for name, text in lines)


def accounting(message: bytes) -> Accounting:
    """Count what messages take; neither their points are decoded nor are the data needed.

    Parameters
    ----------
    message : bytes-like
        One message, or several one after the other.

    Returns
    -------
    Accounting
        Of the whole, with one for each message in `messages` where they are several.

    Raises
    ------
    ValueError
        When the bytes are truncated, corrupt, or of an unknown version.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import BudgetedCoreset, UniformQuantizer, accounting
    >>> X = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    >>> message = BudgetedCoreset(2048, quantizer=UniformQuantizer(4), random_state=0).fit(X).message_
    >>> counted = accounting(message)
    >>> counted.message_bytes == sum(counted.parts.values()) == len(message)
    True
    >>> counted.raw_bytes, counted.raw_target, counted.published_bits == 32 * counted.n_points
    (160000, 'no target', True)
    """
    each = tuple(_accounting_of(fields) for fields in inspect(message))
    if len(each) == 1:
        return each[0]
    published = [one.published_bits for one in each]
    compressed = [one.source_zstd_bytes for one in each]
    return Accounting(
        n_messages=len(each),
        n_points=sum(one.n_points for one in each),
        n_features=max(one.n_features for one in each),
        n_source=sum(one.n_source for one in each),
        quantizers=tuple(dict.fromkeys(quantizer for one in each for quantizer in one.quantizers)),
        published_bits=_sum_if_known(published),
        message_bytes=sum(one.message_bytes for one in each),
        parts=_summed_parts(each),
        raw_bytes=sum(one.raw_bytes for one in each),
        raw_target="; ".join(dict.fromkeys(one.raw_target for one in each)),
        source_zstd_bytes=_sum_if_known(compressed),
        messages=each,
    )


def _accounting_of(fields: dict[str, Any]) -> Accounting:
    quantizer: Quantizer = fields["quantizer"]
    n_columns = fields["n_features"] + (fields["target_type"] == NUMERIC)
    width = quantizer.nominal_bits
    dtype, target_type, n_classes = (fields[name] for name in ("source_dtype", "target_type", "n_classes"))
    target = target_dtype(dtype, target_type, n_classes)
    return Accounting(
        n_messages=1,
        n_points=fields["n_points"],
        n_features=fields["n_features"],
        n_source=fields["n_source"],
        quantizers=(quantizer,),
        published_bits=None if width is None else fields["n_points"] * width * n_columns,
        message_bytes=fields["message_bytes"],
        parts=fields["parts"],
        raw_bytes=raw_bytes(fields["n_source"], fields["n_features"], dtype, target_type, n_classes),
        raw_target=_raw_target(target_type, 0 if target is None else target.itemsize),
        source_zstd_bytes=fields["source_zstd_bytes"],
    )


def _raw_target(target_type: str | None, itemsize: int) -> str:
    if target_type is None:
        return "no target"
    kind = "a numeric target" if target_type == NUMERIC else "a class"
    return f"{kind} as {itemsize} byte{'s' * (itemsize > 1)}"


def _summed_parts(each: tuple[Accounting, ...]) -> dict[str, int]:
    names = dict.fromkeys(name for one in each for name in one.parts)
    return {name: sum(one.parts.get(name, 0) for one in each) for name in names}


def _sum_if_known(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _ratio(n_bytes: int, of: int | None) -> float:
    return n_bytes / of if of else math.nan


def _share(ratio: float) -> str:
    return "no ratio" if math.isnan(ratio) else f"the message is {100 * ratio:.4g} %"


def _published(bits: int | None) -> str:
    if bits is None:
        return "none: a codec has no nominal width"
    return f"{bits:,} bits (points x bits a value x features) = {-(-bits // 8):,} bytes"


def _zstd(n_bytes: int | None, ratio: float) -> str:
    if n_bytes is None:
        return "unknown: the message does not tell"
    return f"{n_bytes:,} bytes, measured on at most 8 MiB a message; {_share(ratio)}"
