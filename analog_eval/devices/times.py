"""Times since programming, in seconds or in words."""

from __future__ import annotations

import re
from numbers import Real
from typing import TypeAlias

__all__ = ["TIME_LABEL", "Time", "in_words", "to_seconds"]

Time: TypeAlias = str | float

#: What a level in seconds is called.
TIME_LABEL = "time since programming (s)"

# A month is 30 days, a year 365.
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "mo": 30 * 86400.0, "y": 365 * 86400.0}
_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
#: No device was watched for a thousandth of it; a greater number is a unit mixed up.
LATEST = 1000 * _UNITS["y"]


def to_seconds(time: Time, name: str = "time") -> float:
    """Return a time in seconds.

    Parameters
    ----------
    time : float or str
        Seconds, or a number with one of the units s, min, h, d, mo (30 days) and y (365 days), such as ``"25s"``.
    name : str, default="time"
        What to call it in an error.

    Returns
    -------
    float
        Seconds, from 0 to 1000 years.

    Raises
    ------
    TypeError
        If `time` is neither a number nor a string.
    ValueError
        If the unit is unknown, or the time is negative, NaN or more than 1000 years.

    Examples
    --------
    >>> to_seconds("1.5h"), to_seconds("1y"), to_seconds(25)
    (5400.0, 31536000.0, 25.0)
    """
    if isinstance(time, str):
        value = _parsed(time, name)
    elif isinstance(time, Real) and not isinstance(time, bool):
        value = float(time)
    else:
        raise TypeError(f"{name}={time!r} is not a number of seconds, nor a time such as '25s' or '1mo'")
    if not 0.0 <= value <= LATEST:
        raise ValueError(f"{name}={time!r} must be from 0 s to 1000 years ({LATEST:g} s) after programming")
    return value


def in_words(seconds: float) -> str:
    """Return a time with the greatest unit of which it is a whole number, or in seconds.

    Examples
    --------
    >>> [in_words(seconds) for seconds in (0.0, 25.0, 90.0, 7200.0, 86400.0, 2592000.0, 31536000.0, 1234567.5)]
    ['0s', '25s', '90s', '2h', '1d', '1mo', '1y', '1234567.5s']
    """
    for unit, size in reversed(_UNITS.items()):
        if seconds >= size and (seconds / size).is_integer():
            return f"{seconds / size:.15g}{unit}"
    return f"{seconds:.15g}s"


def _parsed(time: str, name: str) -> float:
    match = re.fullmatch(rf"\s*({_NUMBER})\s*([A-Za-z]+)\s*", time)
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{name}={time!r} is not a number >= 0 with one of the units {', '.join(_UNITS)}")
    return float(match[1]) * _UNITS[match[2]]
