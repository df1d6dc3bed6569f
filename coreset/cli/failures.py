"""What ends the command early, in one line, and its exit codes."""

from __future__ import annotations

import re
import sys

BAD_DATA, BAD_USE, INTERRUPTED = 1, 2, 130

# What the library calls things, and what they are called on the command line.
_WORDS = [
    (
        re.compile(r"^(.*), given (\d+) bytes of the whole budget: budget_bytes=\d+ is too small: "),
        r"--budget is too small: \1 got \2 bytes of it, and ",
    ),
    (re.compile(r"^X='(.*?)': "), r"\1: "),
    (re.compile(r"target_type='numeric' of the base takes y for numbers"), "--target numeric takes labels for numbers"),
    (re.compile(r"\bmax_output_bytes\b"), "--max-output"),
    (re.compile(r"\bset num_workers\b"), "set --workers"),
    (re.compile(r"\bset target_type of base\b"), "set --target"),
]
_WORDS += [
    (re.compile(rf"\b{argument}="), f"{option} ")
    for argument, option in {
        "label_column": "--label",
        "weight_column": "--weight",
        "budget_bytes": "--budget",
        "num_workers": "--workers",
        "timeout_s": "--timeout",
        "target_type": "--target",
    }.items()
]


class Failure(Exception):
    """What ends the command: a message for people and the exit code."""

    def __init__(self, message: str, code: int = BAD_DATA) -> None:
        super().__init__(message)
        self.code = code


def in_options(text: str) -> str:
    """An error of the library in the words of the command line.

    Examples
    --------
    >>> from coreset.cli.failures import in_options
    >>> in_options("shard 1 (b.parquet): label_column='z' is none of the columns ['a', 'b']")
    "shard 1 (b.parquet): --label 'z' is none of the columns ['a', 'b']"
    """
    for word, option in _WORDS:
        text = word.sub(option, text)
    return text


def complain(message: str, code: int, kind: str = "error") -> int:
    """Say it on standard error, whatever characters that can show; gives the code."""
    print(f"coreset: {kind}: {message}".encode(errors="backslashreplace").decode(), file=sys.stderr)
    return code
