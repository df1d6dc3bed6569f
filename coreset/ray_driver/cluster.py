"""The Ray cluster that a run uses: joined or started, what its actors may take of it, and left as it was."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import needed
from .address import check_answers

_BUSY_CPUS = 0.75  # share of a node's CPUs that actors may hold
_FREE_CPUS = 1.0  # of a node of two CPUs and more stay free: a task asks for one unless its author says otherwise
_LEAST_CPUS = 1e-4  # Ray counts CPUs in such steps


@contextmanager
def connection(nbytes: int, timeout_s: float) -> Iterator[None]:
    """A connection to Ray: the one that there is, or one to the cluster of ``RAY_ADDRESS``, or to one of its own.

    Parameters
    ----------
    nbytes : int
        Bytes of data that a cluster of its own is to hold.
    timeout_s : float
        Seconds to wait for an address that does not answer; at most ten.

    Raises
    ------
    ImportError
        When ray is missing.
    ConnectionError
        When ``RAY_ADDRESS`` names a cluster that does not answer, or "auto" and there is none on this machine.
    ValueError
        When ``RAY_ADDRESS`` is no address.
    """
    with needed("ray", "backend='ray' needs ray: pip install 'coreset-eval[ray]'"):
        import ray
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS") or "local"
    check_answers(address, timeout_s)
    try:
        _connect(address, nbytes)
        yield
    finally:
        ray.shutdown()  # stops a cluster that was started here, and only leaves one that was not


def _connect(address: str, nbytes: int) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        settings |= {"include_dashboard": False, "object_store_memory": (256 << 20) + 2 * nbytes}
    ray.init(address=address, **settings)


def free_cpus() -> float:
    """CPUs of the cluster that nobody holds."""
    import ray

    return float(ray.available_resources().get("CPU", 0.0))


def node_cpus() -> list[float]:
    """CPUs of every node that is alive."""
    import ray

    return [float(node["Resources"].get("CPU", 0.0)) for node in ray.nodes() if node["Alive"]]


def check_cpus(num_workers: int | None, n_shards: int) -> int:
    """The number of actors: those that are asked for, or one a CPU; never more than shards.

    Raises
    ------
    RuntimeError
        When the cluster has too few CPUs, even for small parts of one.
    """
    cpus = node_cpus()
    if not sum(cpus):
        raise RuntimeError(f"workers want CPUs, but the Ray cluster has none on its {len(cpus)} nodes")
    n_actors = min(n_shards, num_workers or max(1, int(sum(cpus))))
    if cpus_for_each(cpus, n_actors) < _LEAST_CPUS:
        raise RuntimeError(
            f"{n_actors} workers want at least {n_actors * _LEAST_CPUS:g} CPUs of the Ray cluster, which has "
            f"{sum(cpus):g} on {len(cpus)} nodes, {sum(map(_room, cpus)):g} of them for workers: "
            "set num_workers, or add CPUs"
        )
    return n_actors


def cpus_for_each(cpus: Sequence[float], n_actors: int) -> float:
    """The most CPUs that each of some actors can hold, at most one, so that all find room and tasks do, too.

    Tasks rebuild what a lost node held, and a loader may wait for some of its own. A node of one CPU cannot keep a
    whole one for them: there they depend on other nodes.

    Parameters
    ----------
    cpus : sequence of float
        Of each node; an actor is on one.
    n_actors : int

    Returns
    -------
    float
        0 when there is no room.

    Examples
    --------
    >>> from coreset.ray_driver.cluster import cpus_for_each
    >>> cpus_for_each([1, 1], 2), cpus_for_each([1, 1], 3)
    (0.75, 0.375)
    >>> cpus_for_each([2], 2), cpus_for_each([8], 6)
    (0.5, 1.0)
    """
    # A node holds k actors of its room / k CPUs: the answer is the n-th largest of all these, as in d'Hondt's method.
    quotients = [(-room, room, 1) for room in map(_room, cpus) if room > 0]
    if not quotients:
        return 0.0
    heapq.heapify(quotients)
    for _ in range(n_actors - 1):
        _, room, count = quotients[0]
        heapq.heapreplace(quotients, (-room / (count + 1), room, count + 1))
    return min(1.0, math.floor(-quotients[0][0] / _LEAST_CPUS * (1 + 1e-12)) * _LEAST_CPUS)


def _room(cpus: float) -> float:
    """CPUs of a node that actors may hold."""
    return min(_BUSY_CPUS * cpus, cpus - _FREE_CPUS) if cpus >= 2 else _BUSY_CPUS * cpus


def shortage(cpus_each: float, n_waiting: int) -> str:
    """What workers that do not start want, and what the cluster has, in words."""
    return (
        f"{n_waiting} workers have not started; each wants {cpus_each:g} CPUs, of which the Ray cluster has "
        f"{sum(node_cpus()):g}, {free_cpus():g} of them free now"
    )
