"""The command's arguments, and how it ends."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from ..errors import first_line, type_and_first_line
from ..wire import DEFAULT_MAX_OUTPUT_BYTES
from . import sizes
from .building import build
from .failures import BAD_DATA, BAD_USE, INTERRUPTED, Failure, complain, in_options
from .showing import decode, inspect

_EXIT_CODES = (
    f"Exit codes: 0 done; {BAD_DATA} bad data, which includes budgets that are too small for them; {BAD_USE} bad use, "
    f"such as an unknown option, a file that is not there, or a cluster that does not answer; {INTERRUPTED} "
    "interrupted. Whatever the code, an output file is written whole or not touched."
)
_INPUTS = (
    "Several parquet files are a shard each, and one alone is a shard a row group. They go to workers as paths: with "
    "Ray, this process reads no more than footers (and labels, to count classes, for a budget in percent), so that "
    "nothing needs to fit into its memory; without, it reads one shard after the other. Files of csv and npy, and "
    "mixtures of formats, are read whole by this process; one alone is cut into shards of 65,536 rows. The bytes that "
    "are written depend on data, their split into shards and the seed, not on who worked on them. "
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0; 2 after bad use, such as an unknown option, a file that is not there, or a cluster that does not answer; 1
        after bad data, which includes budgets that are too small for them; 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            options.run(options)
        sys.stdout.flush()
    except Failure as failure:
        return complain(str(failure), failure.code)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_DATA
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except ImportError as error:
        return complain(str(error), BAD_USE)
    except (ValueError, TypeError, OSError) as error:
        return complain(in_options(first_line(error)), BAD_DATA)
    except Exception as error:  # such as Ray's own: a traceback helps nobody who ran a command
        return complain(in_options(type_and_first_line(error)), BAD_DATA)
    return 0


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A line like those of errors, instead of one with a place in the source."""
    complain(in_options(str(message).strip().partition("\n")[0]), 0, "warning")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the whole usage is in the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(complain(f"{message} ({self.prog} --help tells all)", BAD_USE))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="coreset", description="Small weighted summaries of tables, in bytes.", epilog=_EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"coreset-eval {version('coreset-eval')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_build(commands)
    _add_inspect(commands)
    _add_decode(commands)
    return parser


def _add_build(commands: Any) -> None:
    parser = commands.add_parser(
        "build", help="summarise files of rows within a budget of bytes", description=_INPUTS, epilog=_EXIT_CODES
    )
    _add_summary_options(parser)
    _add_worker_options(parser)
    _add_traffic_options(parser)
    parser.set_defaults(run=build)


def _add_summary_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="files of parquet, csv or npy; of parquet also folders, quoted patterns, and URIs such as s3://bucket/rows",
    )
    parser.add_argument(
        "--budget",
        required=True,
        type=sizes.budget,
        help="the most bytes that the shards send: 65536, 64KiB, 2kB, or 0.1%% of the raw data in their own type",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="gets the messages, one after the other"
    )
    parser.add_argument(
        "--label", "--label-column", metavar="NAME", help="column of classes or of a target; a number for npy"
    )
    parser.add_argument("--weight", "--weight-column", metavar="NAME", help="column of row weights; a number for npy")
    parser.add_argument(
        "--target",
        choices=("auto", "class", "numeric"),
        default="auto",
        help="what labels are; auto takes fractions for a numeric target, all else for classes",
    )
    parser.add_argument(
        "--seed", type=sizes.seed, default=0, metavar="N", help="the same seed, the same bytes (default 0)"
    )


def _add_worker_options(parser: argparse.ArgumentParser) -> None:
    workers = parser.add_argument_group("who does the work")
    workers.add_argument(
        "--backend",
        choices=("auto", "ray", "local"),
        default="auto",
        help="Ray actors, or this process; auto takes Ray for several shards of parquet, if it is installed",
    )
    workers.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the Ray cluster to join (default: that of RAY_ADDRESS, else one that is started here and stopped again)",
    )
    workers.add_argument("--workers", type=sizes.count, metavar="N", help="Ray actors (default: one a CPU)")
    workers.add_argument(
        "--timeout", type=sizes.seconds, default=600.0, metavar="SECONDS", help="of each round with Ray (default 600)"
    )
    workers.add_argument(
        "--on-shard-error",
        choices=("raise", "skip"),
        default="raise",
        help="leave out shards that cannot be read, or end",
    )


def _add_traffic_options(parser: argparse.ArgumentParser) -> None:
    traffic = parser.add_argument_group("federated averaging, whose bytes are counted beside those of the run")
    traffic.add_argument("--fedavg-rounds", type=sizes.count, metavar="N", help="print the counts, for so many rounds")
    traffic.add_argument(
        "--fedavg-parameters",
        type=sizes.count,
        metavar="N",
        help="of its model, in float32 (default: a linear one of the columns and labels)",
    )


def _add_inspect(commands: Any) -> None:
    text = "show what messages take, beside the raw data and what they take after zstd"
    parser = commands.add_parser("inspect", help=text, description=f"{text[0].upper()}{text[1:]}; needs no data.")
    parser.add_argument("file", type=Path, metavar="FILE", help="what build wrote, or several such files in one")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=inspect)


def _add_decode(commands: Any) -> None:
    text = "write the points with their weights and labels as a table"
    parser = commands.add_parser("decode", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("file", type=Path, metavar="FILE", help="what build wrote, or several such files in one")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="TABLE",
        help="parquet, csv or npy (with fields); the first and the last keep types, a csv has none",
    )
    parser.add_argument(
        "--max-output",
        type=sizes.size,
        default=DEFAULT_MAX_OUTPUT_BYTES,
        metavar="SIZE",
        help="of points (default 1GiB)",
    )
    parser.set_defaults(run=decode)
