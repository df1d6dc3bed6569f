"""The command `coreset`: files of rows to a file of messages, accounts of such a file, and its points as a table."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .evaluation import accounting
from .tables import READERS, WRITERS
from .wire import DEFAULT_MAX_OUTPUT_BYTES, decode

if TYPE_CHECKING:
    import pandas as pd

_BAD_USE, _BAD_DATA = 2, 1
_UNITS = {"": 1, "b": 1, **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}}
_UNITS |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*|%)", re.IGNORECASE)


class _Failure(Exception):
    """What ends the command: a message for people and the exit code."""

    def __init__(self, message: str, code: int = _BAD_DATA) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0; 2 after bad use, such as an unknown option or a file that is not there; 1 after bad data, which includes
        budgets that are too small for them.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except _Failure as failure:
        return _complain(str(failure), failure.code)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BAD_DATA
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except ImportError as error:
        return _complain(str(error), _BAD_USE)
    except (ValueError, TypeError, OSError) as error:
        return _complain(_first_line(error), _BAD_DATA)
    except Exception as error:  # such as Ray's own: a traceback helps nobody who ran a command
        return _complain(f"{type(error).__name__}: {_first_line(error)}", _BAD_DATA)
    return 0


def parse_budget(text: str, n_raw_bytes: Callable[[], int]) -> int:
    """Bytes that a budget stands for.

    Parameters
    ----------
    text : str
        Such as 65536, 64KiB, 2kB (of 1000 bytes), or 0.1% of the raw data.
    n_raw_bytes : callable
        Says what the raw data take, when that is needed.

    Returns
    -------
    int
        Rounded down.

    Raises
    ------
    ValueError
        When it is no budget.

    Examples
    --------
    >>> parse_budget("64KiB", lambda: 0), parse_budget("2.5kB", lambda: 0), parse_budget("0.1%", lambda: 5_000_000)
    (65536, 2500, 5000)
    """
    number, unit = _parsed_size(text)
    return int(number * n_raw_bytes() / 100) if unit == "%" else int(number * _UNITS[unit])


def _parsed_size(text: str) -> tuple[float, str]:
    found = _SIZE.fullmatch(text.strip())
    if not found or found[2].lower() not in (*_UNITS, "%"):
        raise ValueError(f"{text!r} is no size such as 65536, 64KiB, 2kB or 0.1%")
    number, unit = float(found[1]), found[2].lower()
    if not 0 < number < 1e18:
        raise ValueError(f"{text!r} must be more than nothing and less than 10**18")
    if number * _UNITS.get(unit, 1) < 1 and unit != "%":
        raise ValueError(f"{text!r} is less than a byte")
    return number, unit


def _budget(text: str) -> str:
    try:
        _parsed_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _size(text: str) -> int:
    try:
        number, unit = _parsed_size(text)
        return int(number * _UNITS[unit])
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 65536, 64KiB or 2kB") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive integer")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no integer of at least 0")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coreset", description="Small weighted summaries of tables, in bytes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="summarise files of rows within a budget of bytes")
    build.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="parquet, csv or npy; each is a shard, one alone is cut"
    )
    build.add_argument(
        "--budget",
        required=True,
        type=_budget,
        help="the most bytes that the shards send: 65536, 64KiB, 2kB, or 0.1%% of the raw data in their own type",
    )
    build.add_argument("--out", required=True, type=Path, metavar="FILE", help="gets the messages, one after the other")
    build.add_argument("--label-column", metavar="NAME", help="column of classes or of a target; a number for npy")
    build.add_argument("--weight-column", metavar="NAME", help="column of row weights; a number for npy")
    build.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same seed, the same bytes (default 0)")
    build.add_argument("--backend", choices=("local", "ray"), default="local", help="one process, or Ray actors")
    build.add_argument("--workers", type=_count, metavar="N", help="Ray actors")
    build.set_defaults(run=_build)

    inspect = commands.add_parser("inspect", help="show what messages take, beside what; needs no data")
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.add_argument("--json", action="store_true", help="for machines")
    inspect.set_defaults(run=_inspect)

    points = commands.add_parser("decode", help="write the points with their weights and labels as a table")
    points.add_argument("file", type=Path, metavar="FILE")
    points.add_argument("--out", required=True, type=Path, metavar="TABLE", help="parquet, csv or npy (with fields)")
    points.add_argument(
        "--max-output", type=_size, default=DEFAULT_MAX_OUTPUT_BYTES, metavar="SIZE", help="of points (default 1GiB)"
    )
    points.set_defaults(run=_decode)
    return parser


def _build(options: argparse.Namespace) -> None:
    if options.workers is not None and options.backend != "ray":
        raise _Failure("--workers needs --backend ray", _BAD_USE)
    _check_output(options.out)
    for path in options.inputs:
        _check_input(path)
        _check_suffix(path, READERS)
    from .ray_driver import DistributedCoreset

    shards = [_table(path, options.label_column, options.weight_column) for path in options.inputs]
    budget = parse_budget(options.budget, lambda: _raw_bytes(shards))
    if budget < 1:
        raise _Failure(f"--budget {options.budget} of {_raw_bytes(shards):,} raw bytes is less than a byte")
    # One table alone is cut into shards; of several, each is one.
    X, y, weights = shards[0] if len(shards) == 1 else (list(column) for column in zip(*shards, strict=True))
    run = DistributedCoreset(
        budget, backend=options.backend, num_workers=options.workers, random_state=options.seed
    ).fit(X, *((None if _is_none(part) else part) for part in (y, weights)))
    message = b"".join(run.messages_)
    with _replacing(options.out) as file:
        file.write(message)
    print(
        f"coreset: wrote {options.out}: {len(message):,} bytes, {len(run.coreset_):,} points of "
        f"{run.coreset_.n_source:,} rows",
        file=sys.stderr,
    )


def _is_none(part: Any) -> bool:
    return part is None or (isinstance(part, list) and part[0] is None)


def _inspect(options: argparse.Namespace) -> None:
    whole = accounting(_message(options.file))
    if options.json:
        print(json.dumps(whole.to_dict(), indent=2))
        return
    for number, message in enumerate(whole.messages):
        print(f"message {number}\n{message}\n")
    print(f"whole, {whole.n_messages} message{'s' * (whole.n_messages > 1)}\n{whole}")


def _decode(options: argparse.Namespace) -> None:
    _check_suffix(options.out, WRITERS)
    _check_output(options.out)
    frame = decode(_message(options.file), max_output_bytes=options.max_output).to_frame()
    with _replacing(options.out) as file:
        try:
            WRITERS[options.out.suffix.lower()](frame, file)
        except ImportError:
            raise
        except Exception as error:  # whatever the writer of a format raises, it is about the data
            raise _Failure(f"{options.out}: {_first_line(error)}") from error


def _message(path: Path) -> bytes:
    _check_input(path)
    return path.read_bytes()


Shard = tuple[Any, Any, Any]  # table, labels, weights


def _table(path: Path, label_column: str | None, weight_column: str | None) -> Shard:
    print(f"coreset: reading {path}", file=sys.stderr)
    try:
        table = READERS[path.suffix.lower()](path)
    except ImportError as error:
        raise _Failure(f"{path}: reading it needs pyarrow: pip install pyarrow", _BAD_USE) from error
    except Exception as error:  # whatever the reader of a format raises, it is about the file
        raise _Failure(f"{path}: {_first_line(error)}") from error
    if len(table) == 0:
        raise _Failure(f"{path}: it has no rows")
    if isinstance(table, np.ndarray):
        shard = _taken_by_number(path, table, label_column, weight_column)
    else:
        shard = _taken_by_name(path, table, label_column, weight_column)
    if shard[0].shape[1] == 0:
        raise _Failure(f"{path}: it has no columns but labels and weights")
    return shard


def _taken_by_name(path: Path, table: pd.DataFrame, label_column: str | None, weight_column: str | None) -> Shard:
    columns = {"--label-column": label_column, "--weight-column": weight_column}
    taken = {option: name for option, name in columns.items() if name is not None}
    for option, name in taken.items():
        if name not in table.columns:
            raise _Failure(f"{path}: {option} {name!r} is none of the columns {[*map(str, table.columns)][:20]}")
    if len(set(taken.values())) < len(taken):
        raise _Failure(f"--label-column and --weight-column are both {label_column!r}", _BAD_USE)
    features = table.drop(columns=list(taken.values()))
    if label_column is not None and (n_missing := int(table[label_column].isna().sum())):
        raise _Failure(f"{path}: --label-column {label_column!r} is missing in {n_missing:,} of {len(table):,} rows")
    for column, dtype in features.dtypes.items():
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
            raise _Failure(f"{path}: column {column!r} holds {dtype}, not numbers")
    y, weights = (None if name is None else table[name].to_numpy() for name in columns.values())
    return features, y, weights


def _taken_by_number(path: Path, table: np.ndarray, label_column: str | None, weight_column: str | None) -> Shard:
    taken: list[int | None] = []
    for option, name in (("--label-column", label_column), ("--weight-column", weight_column)):
        if name is None:
            taken.append(None)
        elif not name.removeprefix("-").isdecimal() or not -table.shape[1] <= int(name) < table.shape[1]:
            raise _Failure(f"{path}: {option} {name!r} is no number of its {table.shape[1]} columns")
        else:
            taken.append(int(name) % table.shape[1])
    numbers = [number for number in taken if number is not None]
    if len(set(numbers)) < len(numbers):
        raise _Failure(f"--label-column and --weight-column are both column {numbers[0]}", _BAD_USE)
    features = np.delete(table, numbers, axis=1) if numbers else table
    y, weights = (None if number is None else table[:, number] for number in taken)
    return features, y, weights


def _raw_bytes(shards: Sequence[Shard]) -> int:
    """Bytes of all shards, by the count that `Accounting` has."""
    from .raw import raw_bytes
    from .targets import typed_targets

    total = 0
    for X, y, _ in shards:
        dtypes = [X.dtype] if isinstance(X, np.ndarray) else list(X.dtypes)
        labels, kind = (None, None) if y is None else typed_targets(y, "auto")
        n_classes = 0 if labels is None else len(np.unique(labels))
        total += raw_bytes(X.shape[0], X.shape[1], np.result_type(*dtypes), kind, n_classes)
    return total


def _check_input(path: Path) -> None:
    if not path.exists():
        raise _Failure(f"{path}: there is no such file", _BAD_USE)
    if not path.is_file():
        raise _Failure(f"{path}: it is no ordinary file", _BAD_USE)


def _check_suffix(path: Path, known: Iterable[str]) -> None:
    if path.suffix.lower() not in known:
        raise _Failure(f"{path}: the name must end in one of {', '.join(known)}", _BAD_USE)


def _check_output(path: Path) -> None:
    """Refuse what could not be written before hours are spent on it."""
    target = _target(path)
    if target.exists() and not target.is_file():
        raise _Failure(f"{path}: it is there and no ordinary file", _BAD_USE)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise _Failure(f"{path}: its folder is not there, or cannot be written to", _BAD_USE)


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))  # so that a link stays one


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _complain(message: str, code: int) -> int:
    print(f"coreset: error: {message}".encode(errors="backslashreplace").decode(), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
