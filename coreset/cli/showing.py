"""`coreset inspect` and `coreset decode`: what is in a file of messages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import first_line
from ..evaluation import accounting
from ..tables import WRITERS
from ..wire import decode as decode_messages
from .failures import Failure
from .files import check_input, check_output, check_suffix, replacing


def inspect(options: argparse.Namespace) -> None:
    """Print what the messages take."""
    whole = accounting(_message(options.file))
    if options.json:
        print(json.dumps(whole.to_dict(), indent=2))
        return
    for number, message in enumerate(whole.messages):
        print(f"message {number}\n{message}\n")
    print(f"whole, {whole.n_messages} message{'s' * (whole.n_messages > 1)}\n{whole}")


def decode(options: argparse.Namespace) -> None:
    """Write the points as a table."""
    check_suffix(options.out, WRITERS)
    check_output(options.out)
    frame = decode_messages(_message(options.file), max_output_bytes=options.max_output).to_frame()
    with replacing(options.out) as file:
        try:
            WRITERS[options.out.suffix.lower()](frame, file)
        except ImportError:
            raise
        except Exception as error:  # whatever the writer of a format raises, it is about the data
            raise Failure(f"{options.out}: {first_line(error)}") from error


def _message(path: Path) -> bytes:
    check_input(path)
    return path.read_bytes()
