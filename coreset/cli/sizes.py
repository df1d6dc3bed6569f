"""Sizes, counts and seeds as people write them."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

_UNITS = {"": 1, "b": 1, **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}}
_UNITS |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*|%)", re.IGNORECASE)


def parse_budget(text: str, n_raw_bytes: Callable[[], int]) -> int:
    """Bytes that a budget stands for.

    Parameters
    ----------
    text : str
        Such as 65536, 64KiB, 2kB (of 1000 bytes), or 0.1% of the raw data.
    n_raw_bytes : callable
        Says what the raw data take, when that is needed.

    Returns
    -------
    int
        Rounded down.

    Raises
    ------
    ValueError
        When it is no budget.

    Examples
    --------
    >>> from coreset.cli import parse_budget
    >>> parse_budget("64KiB", lambda: 0), parse_budget("2.5kB", lambda: 0), parse_budget("0.1%", lambda: 5_000_000)
    (65536, 2500, 5000)
    """
    number, unit = _parsed_size(text)
    return int(number * n_raw_bytes() / 100) if unit == "%" else int(number * _UNITS[unit])


def _parsed_size(text: str) -> tuple[float, str]:
    found = _SIZE.fullmatch(text.strip())
    if not found or found[2].lower() not in (*_UNITS, "%"):
        raise ValueError(f"{text!r} is no size such as 65536, 64KiB, 2kB or 0.1%")
    number, unit = float(found[1]), found[2].lower()
    if not 0 < number < 1e18:
        raise ValueError(f"{text!r} must be more than nothing and less than 10**18")
    if number * _UNITS.get(unit, 1) < 1 and unit != "%":
        raise ValueError(f"{text!r} is less than a byte")
    return number, unit


def budget(text: str) -> str:
    """The text, if it is a budget; the data say later what a share of them is."""
    try:
        _parsed_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def size(text: str) -> int:
    """Bytes."""
    try:
        number, unit = _parsed_size(text)
        return int(number * _UNITS[unit])
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 65536, 64KiB or 2kB") from None


def count(text: str) -> int:
    """An integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive integer")
    return int(text)


def seed(text: str) -> int:
    """An integer of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no integer of at least 0")
    return int(text)


def seconds(text: str) -> float:
    """A positive, finite time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return value
