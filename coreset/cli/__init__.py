"""The command `coreset`: files of rows to a file of messages, accounts of such a file, and its points as a table."""

from .command import main
from .sizes import parse_budget

__all__ = ["main", "parse_budget"]
