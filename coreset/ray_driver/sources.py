"""Sources that live in Ray: references to tables, and data sets."""

from __future__ import annotations

import dataclasses
from typing import Any, final

from .. import sources
from ..sources import ListSource, Loader, Shard, Source, columns_only
from ..sources.arrow import table_of


@final
@dataclasses.dataclass(frozen=True)
class ReferencedShard:
    """A loader that fetches what a shard's references stand for, where it is called."""

    shard: Shard

    def __call__(self) -> Shard:
        """Table, labels and weights."""
        X, y, sample_weight = (_fetch(part) if is_reference(part) else part for part in self.shard)
        is_arrow = type(X).__module__.partition(".")[0] == "pyarrow"
        return table_of(X) if is_arrow else X, y, sample_weight


@final
class ReferenceSource(ListSource):
    """Lists of ObjectRefs; what they stand for stays on its node until a worker asks for it."""

    def loader(self, shard: int) -> Loader:
        """Carries the references."""
        return ReferencedShard(self.shards[shard])

    def seen_labels(self) -> list[Any]:
        """Labels and tables that are no references."""
        return [labels for labels in super().seen_labels() if not is_reference(labels)]


@final
class DatasetSource(Source):
    """The blocks of a ray.data.Dataset, which is executed first. Labels and weights are columns.

    Blocks come in the order of the data. How many there are can depend on the cluster: after
    ``dataset.repartition(n)`` it does not, nor do the messages. Ray Data itself limits the time of the execution, if
    anybody does, and ends it when a block cannot be made. Blocks of pandas are still being turned into Arrow's by tasks
    when this returns.
    """

    def __init__(self, dataset: Any) -> None:
        options = dataset.context.execution_options
        kept, options.preserve_order = options.preserve_order, True
        try:
            self._blocks = dataset.materialize().to_arrow_refs()
        finally:
            options.preserve_order = kept
        if not self._blocks:
            raise ValueError("X is a data set without blocks: there is no shard to summarise")

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._blocks)

    def name(self, shard: int) -> str:
        """Number of the block."""
        return f"shard {shard} (block {shard} of the data set)"

    def loader(self, shard: int) -> Loader:
        """Carries the block's reference."""
        return ReferencedShard((self._blocks[shard], None, None))


def as_source(X: Any, y: Any, sample_weight: Any, *, local: bool) -> Source:
    """The source of what `DistributedCoreset.fit` is given.

    Parameters
    ----------
    X, y, sample_weight : as in `DistributedCoreset.fit`
    local : bool
        Whether workers run in this process, which reads no references that users give.

    Returns
    -------
    Source

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        As `coreset.sources.as_source`; TypeError also for references that are to be read in this process.
    """
    if type(X).__name__ in ("Dataset", "MaterializedDataset") and type(X).__module__.startswith("ray.data"):
        return columns_only("X is a data set", DatasetSource(X), y, sample_weight)
    shards = X if isinstance(X, list | tuple) else []
    entries = [part for parts in (shards, y, sample_weight) if isinstance(parts, list | tuple) for part in parts]
    if not (shards and any(map(is_reference, entries))):
        return sources.as_source(X, y, sample_weight)
    sources.check_alike([entry for entry in shards if not is_reference(entry)])
    source = ReferenceSource(X, y, sample_weight)
    if local:
        number = next(number for number, shard in enumerate(source.shards) if any(map(is_reference, shard)))
        raise TypeError(f"shard {number} is a Ray ObjectRef, which backend='local' cannot read: use backend='ray'")
    return source


def is_reference(value: object) -> bool:
    """Whether a value is a Ray ObjectRef; ray is not imported to find out."""
    return type(value).__name__ in ("ObjectRef", "ClientObjectRef")


def references_of(loader: Loader) -> list[Any]:
    """What tasks must have made before a loader can be called; none where that cannot be seen."""
    return [part for part in loader.shard if is_reference(part)] if isinstance(loader, ReferencedShard) else []


def _fetch(reference: Any) -> Any:
    import ray
    from ray.exceptions import RayTaskError

    try:
        return ray.get(reference)  # the driver limits the time of the round
    except RayTaskError as error:  # the task that was to make it failed
        raise error.cause from None
