"""`coreset inspect` and `coreset decode`: what is in a file of messages."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import first_line
from ..evaluation import accounting
from ..tables import WRITERS
from ..wire import decode as decode_messages
from .failures import Failure, in_options
from .files import check_input, check_output, check_suffix, replacing


def inspect(options: argparse.Namespace) -> None:
    """Print what the messages take."""
    whole = _read(options.file, accounting)
    if options.json:
        print(json.dumps(whole.to_dict(), indent=2))
        return
    for number, message in enumerate(whole.messages):
        print(f"message {number}\n{message}\n")
    print(f"whole, {whole.n_messages} message{'s' * (whole.n_messages > 1)}\n{whole}")


def decode(options: argparse.Namespace) -> None:
    """Write the points as a table."""
    check_suffix(options.out, WRITERS)
    check_output(options.out, [str(options.file)])
    points = partial(decode_messages, max_output_bytes=options.max_output)
    frame = _read(options.file, points).to_frame()
    with replacing(options.out) as file:
        try:
            WRITERS[options.out.suffix.lower()](frame, file)
        except ImportError:
            raise
        except Exception as error:  # whatever the writer of a format raises, it is about the data
            raise Failure(f"{options.out}: {first_line(error)}") from error


def _read(path: Path, reader: Callable[[bytes], Any]) -> Any:
    check_input(path)
    try:
        return reader(path.read_bytes())
    except ValueError as error:
        raise Failure(f"{path}: {in_options(first_line(error))}") from error
