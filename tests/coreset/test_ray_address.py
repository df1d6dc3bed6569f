"""Addresses at which no Ray cluster answers; Ray would try them for minutes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from coreset import DistributedCoreset
from coreset.ray_driver import address

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.timeout(60), pytest.mark.ray]


@contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a program that does something with the one connection that it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"{host}:{port}"
        thread.join()


def hears_out(connection: socket.socket) -> None:
    """Read until the other side hangs up, as a cluster that is stopped would seem to."""
    while connection.recv(1024):
        pass


def refuses(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(b"HTTP/1.1 400 Bad request\r\n\r\n")


def fit(timeout_s: float) -> None:
    begin = time.monotonic()
    try:
        DistributedCoreset(2000, timeout_s=timeout_s, progress=False).fit([np.eye(3)])
    finally:
        assert time.monotonic() - begin < 5
        assert not ray.is_initialized()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_port_that_nobody_listens_at_is_an_error_at_once(monkeypatch, scheme):
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:9")
    with pytest.raises(ConnectionError, match=f"^RAY_ADDRESS='{scheme}127.0.0.1:9' cannot be reached: "):
        fit(60)


def test_a_program_that_is_not_ray_is_an_error_at_once(monkeypatch):
    with listener(refuses) as place:
        monkeypatch.setenv("RAY_ADDRESS", place)
        with pytest.raises(ConnectionError, match=f"'{place}' cannot be reached: what listens there is not Ray"):
            fit(60)


def test_a_program_that_does_not_answer_is_an_error_in_time(monkeypatch):
    with listener(hears_out) as place:
        monkeypatch.setenv("RAY_ADDRESS", place)
        with pytest.raises(ConnectionError, match=f"'{place}' cannot be reached: timed out"):
            fit(0.5)


def test_auto_without_a_cluster_is_an_error_at_once(monkeypatch):
    def finds_none(place: str) -> str:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", finds_none)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(ConnectionError, match="RAY_ADDRESS='auto', but no Ray cluster was found on this machine"):
        fit(60)


def test_auto_where_a_crashed_cluster_left_its_address_is_an_error_at_once(monkeypatch):
    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", lambda place: "127.0.0.1:9")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(ConnectionError, match=r"'auto', which stands for '127\.0\.0\.1:9', cannot be reached"):
        fit(60)


@pytest.mark.parametrize("place", ["foo", "foo:bar", "localhost:99999", "ray://localhost", "localhost:0", ":6379"])
def test_what_is_no_address_is_an_error(monkeypatch, place):
    monkeypatch.setenv("RAY_ADDRESS", place)
    with pytest.raises(ValueError, match=f"RAY_ADDRESS='{place}' must be 'auto', 'local', 'host:port' or 'ray://"):
        fit(60)


def test_addresses_of_other_schemes_are_left_to_ray():
    address.check_answers("elsewhere://cluster", 1.0)
