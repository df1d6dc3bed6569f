"""Files that the command reads and writes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .failures import BAD_USE, Failure


def check_input(path: Path) -> None:
    """Refuse what is no file."""
    if not path.exists():
        raise Failure(f"{path}: there is no such file", BAD_USE)
    if not path.is_file():
        raise Failure(f"{path}: it is no ordinary file", BAD_USE)


def check_suffix(path: Path, known: Iterable[str]) -> None:
    """Refuse a name that does not say which format it has."""
    if path.suffix.lower() not in known:
        raise Failure(f"{path}: the name must end in one of {', '.join(known)}", BAD_USE)


def check_output(path: Path, inputs: Iterable[str]) -> None:
    """Refuse what could not be written before hours are spent on it, and what is an input by name."""
    if str(path) == "-":
        raise Failure("--out - is no file: outputs are whole or not there, which a pipe cannot be", BAD_USE)
    check_no_input(path, inputs)
    target = _target(path)
    if target.exists() and not target.is_file():
        raise Failure(f"{path}: it is there and no ordinary file", BAD_USE)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise Failure(f"{path}: its folder is not there, or cannot be written to", BAD_USE)


def check_no_input(path: Path, files: Iterable[str]) -> None:
    """Refuse what would take the place of a file that is read."""
    if _target(path) in {_target(Path(file)) for file in files}:
        raise Failure(f"{path}: it is an input, which would be written over", BAD_USE)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when all is written, and vanishes when that fails."""
    target = _target(path)
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))  # so that a link stays one
