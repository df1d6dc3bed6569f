"""What errors say: the one line of a text that tells, and which package is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def first_line(error: BaseException) -> str:
    r"""The first line of an error's text, or its type where there is none; further ones are advice or a trace.

    Examples
    --------
    >>> from coreset.errors import first_line
    >>> first_line(ValueError("no such column\nDid you mean ...")), first_line(KeyError())
    ('no such column', 'KeyError')
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def type_and_first_line(error: BaseException) -> str:
    """An error's type and, where it has a text, the first line of it.

    Examples
    --------
    >>> from coreset.errors import type_and_first_line
    >>> type_and_first_line(KeyError("a")), type_and_first_line(KeyError())
    ("KeyError: 'a'", 'KeyError')
    """
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


@contextmanager
def needed(package: str, advice: str) -> Iterator[None]:
    """Say how to get a package that an import inside does not find; other errors, such as of a broken one, stay.

    Parameters
    ----------
    package : str
        Its name for ``import``.
    advice : str
        Who needs it, and how it is installed.

    Raises
    ------
    ImportError
        With the advice, when the package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(advice) from error
