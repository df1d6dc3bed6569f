"""Where shards come from: tables in memory, lists of them, parquet files, or a class of one's own.

What lives in Ray alone, references and data sets, is in `ray_driver`.
"""

from .base import Loader, Shard, Source
from .choosing import as_source, check_alike, columns_only
from .footers import parquet_raw_bytes
from .memory import ListSource, TableSource
from .parquet import ParquetSource
from .targets import with_common_target

__all__ = [
    "ListSource",
    "Loader",
    "ParquetSource",
    "Shard",
    "Source",
    "TableSource",
    "as_source",
    "check_alike",
    "columns_only",
    "parquet_raw_bytes",
    "with_common_target",
]
