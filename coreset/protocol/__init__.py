"""The distributed algorithm as plain classes that exchange bytes; nothing here knows how bytes travel.

Three rounds: every `Worker` sends the statistics of its shard; the `Coordinator` answers each with a share of the
budget; every worker sends its summary, one message of `wire` within that share. Statistics and summaries count against
the budget. Where statistics would take more than a twentieth of it, there are none, and all shards get equal shares.
How the budget is shared, and what a summary is, is the matter of a `Scheme`.
"""

from .coordinator import Coordinator
from .messages import ROUNDS
from .schemes import ALLOCATIONS, Scheme, scheme_of
from .worker import Worker, WorkerSettings

__all__ = ["ALLOCATIONS", "ROUNDS", "Coordinator", "Scheme", "Worker", "WorkerSettings", "scheme_of"]
