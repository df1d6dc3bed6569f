"""Whether a Ray cluster answers at an address, asked before Ray is, which would try for minutes."""

from __future__ import annotations

import os
import re
import socket

_MOST_S = 10.0
_HOST_AND_PORT = re.compile(r"\[?(?P<host>[^/\[\]]+?)\]?:(?P<port>\d{1,5})")
# Ray's servers speak HTTP/2: each side begins with a frame of its settings, which may be empty; a client greets first.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_FRAME_HEADER_BYTES, _KIND_BYTE, _SETTINGS = 9, 3, 4


def check_answers(address: str, timeout_s: float) -> None:
    """Check that a cluster answers.

    Parameters
    ----------
    address : str
        As in ``RAY_ADDRESS``: "local", which needs no check, "auto", "host:port" or "ray://host:port". Those of other
        schemes are left to Ray.
    timeout_s : float
        Seconds to wait, at most ten.

    Raises
    ------
    ValueError
        When the address is none of these.
    ConnectionError
        When nobody answers there, or somebody else than Ray.
    """
    place = _found() if address == "auto" else address
    scheme, _, rest = place.rpartition("://")
    if place == "local" or scheme not in ("", "ray"):
        return
    named = f"RAY_ADDRESS={address!r}" + (f", which stands for {place!r}," if place != address else "")
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None or not 0 < int(match["port"]) < 1 << 16:
        raise ValueError(f"{named} must be 'auto', 'local', 'host:port' or 'ray://host:port'")
    try:
        _greet(match["host"], int(match["port"]), min(_MOST_S, timeout_s))
    except OSError as error:
        raise ConnectionError(f"{named} cannot be reached: {error}") from error


def _found() -> str:
    """The address of the cluster on this machine that Ray would join; a stale one, maybe, of a cluster that crashed."""
    try:
        from ray._private.services import canonicalize_bootstrap_address
    except ImportError:  # not a public name; without it there is just no check
        return "local"
    try:
        return canonicalize_bootstrap_address("auto") or "local"
    except ConnectionError as error:
        raise ConnectionError("RAY_ADDRESS='auto', but no Ray cluster was found on this machine") from error


def _greet(host: str, port: int, timeout_s: float) -> None:
    """Connect and, where the connection is not encrypted, see whether the other side speaks Ray's protocol.

    A process that listens there may be another program, or a cluster that is stopped.
    """
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        connection.sendall(_GREETING)
        answer = b""
        while len(answer) < _FRAME_HEADER_BYTES and (more := connection.recv(_FRAME_HEADER_BYTES - len(answer))):
            answer += more
    if len(answer) < _FRAME_HEADER_BYTES or answer[_KIND_BYTE] != _SETTINGS:
        raise ConnectionError("what listens there is not Ray")
