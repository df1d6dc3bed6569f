"""Which actor works on which shard."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import final


@final
class Queues:
    """The shards of one round that wait, each for the actor that has it loaded, or for any.

    Parameters
    ----------
    shards : iterable of int
    owners : mapping of shard to actor
        Those that actors have loaded.

    Examples
    --------
    >>> from coreset.ray_driver.queues import Queues
    >>> queues = Queues([0, 1, 2, 3], {0: 0, 1: 1, 2: 0})
    >>> queues.take(0, up={0}), queues.take(0, up={0})
    (0, 2)
    >>> queues.take(0, up={0})  # nobody's
    3
    >>> queues.take(0, up={0, 1})  # actor 1 will take its own
    >>> queues.take(0, up={0})  # actor 1 is not there
    1
    >>> queues = Queues([0, 1, 2], {0: 0, 1: 0, 2: 0})
    >>> queues.take(0, up={0, 1}), queues.take(1, up={0, 1}), queues.take(1, up={0, 1}, helps=True)
    (0, None, 2)
    """

    def __init__(self, shards: Iterable[int], owners: Mapping[int, int]) -> None:
        self._waiting: dict[int | None, deque[int]] = {}
        for shard in shards:
            self._waiting.setdefault(owners.get(shard), deque()).append(shard)

    def take(self, actor: int, up: Collection[int], *, helps: bool = False) -> int | None:
        """The next shard for an actor: its own, else one that no actor has, else one whose actor is not up.

        An actor that helps takes at last the shard that would have to wait longest for its own actor.
        """
        orphans = [owner for owner in self._waiting if owner is not None and owner not in up]
        for owner in (actor, None, *orphans):
            if self._waiting.get(owner):
                return self._waiting[owner].popleft()
        longest = max(self._waiting.values(), key=len, default=None) if helps else None
        return longest.pop() if longest else None

    def put_back(self, shard: int) -> None:
        """Let a shard whose actor died wait for any actor, before all others."""
        self._waiting.setdefault(None, deque()).appendleft(shard)
