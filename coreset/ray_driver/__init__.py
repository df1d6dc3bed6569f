"""`DistributedCoreset`: the protocol over Ray actors, or in this process. Nothing outside this package imports ray."""

from .estimator import DistributedCoreset

__all__ = ["DistributedCoreset"]
