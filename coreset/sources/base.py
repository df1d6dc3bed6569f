"""What a source of shards is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

Shard = tuple[Any, Any, Any]  # table, labels, weights
Loader = Callable[[], Shard]


class Source(ABC):
    """Shards that a run reads where its workers are.

    A source says how many shards there are, what each is called, and how a worker loads one. It can be asked for the
    same shard again: a worker that takes over from one that died starts there.

    Examples
    --------
    A source of one's own, whose second shard comes from a function:

    >>> import functools
    >>> import numpy as np
    >>> from coreset import DistributedCoreset
    >>> from coreset.sources import Source
    >>> def normal_rows(seed):
    ...     return np.random.default_rng(seed).normal(size=(100, 3)), None, None
    >>> class Normal(Source):
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def name(self, shard):
    ...         return f"shard {shard} (normal rows)"
    ...
    ...     def loader(self, shard):
    ...         return functools.partial(normal_rows, shard)
    >>> run = DistributedCoreset(1024, backend="local", progress=False, random_state=0).fit(Normal())
    >>> run.coreset_.n_source
    200
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of shards."""

    @abstractmethod
    def name(self, shard: int) -> str:
        """What errors, the ledger and the plan call a shard; begins with "shard" and its number."""

    @abstractmethod
    def loader(self, shard: int) -> Loader:
        """A function without arguments that can be pickled and gives table, labels and weights of a shard.

        Labels and weights are None where there are none, or where they are columns of the table.
        """

    @property
    def nbytes(self) -> int:
        """Bytes that the loaders carry with them; 0 where they only know where to read."""
        return 0

    def seen_labels(self) -> list[Any]:
        """Labels that can be seen without loading a shard, a shard's an entry, and tables that may have them."""
        return []
