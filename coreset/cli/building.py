"""`coreset build`: files of rows to a file of messages."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import first_line
from .failures import BAD_USE, Failure, in_options
from .files import check_no_input, check_output, replacing
from .reading import Inputs, read
from .sizes import parse_budget


def build(options: argparse.Namespace) -> None:
    """Summarise the inputs and write the messages."""
    _check_backend(options)
    _check_fedavg(options)
    check_output(options.out, options.inputs)
    inputs = read(options.inputs, options.label, options.weight, options.target)
    check_no_input(options.out, inputs.local_files())
    budget = parse_budget(options.budget, inputs.raw_bytes)
    if budget < 1:
        raise Failure(f"--budget {options.budget} of {inputs.raw_bytes():,} raw bytes is less than a byte")
    from ..construction import RobustCoreset
    from ..ray_driver import DistributedCoreset

    run = DistributedCoreset(
        budget,
        base=None if options.target == "auto" else RobustCoreset(target_type=options.target),
        backend=_backend(options, inputs),
        num_workers=options.workers,
        on_shard_error=options.on_shard_error,
        timeout_s=options.timeout,
        random_state=options.seed,
        label_column=inputs.label_column,
        weight_column=inputs.weight_column,
    )
    with _cluster_at(options.address):
        try:
            run.fit(inputs.X, inputs.y, inputs.sample_weight)
        except (ValueError, TypeError) as error:
            raise Failure(in_options(inputs.with_files(first_line(error)))) from error
    message = b"".join(run.messages_)
    with replacing(options.out) as file:
        file.write(message)
    print(
        f"coreset: wrote {options.out}: {len(message):,} bytes, {_counted(len(run.coreset_), 'point')} of "
        f"{_counted(run.coreset_.n_source, 'row')}",
        file=sys.stderr,
    )
    if options.fedavg_rounds is not None:
        model = "auto" if options.fedavg_parameters is None else options.fedavg_parameters
        print(run.traffic(model=model, n_rounds=options.fedavg_rounds), file=sys.stderr)


def _counted(number: Any, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _check_backend(options: argparse.Namespace) -> None:
    for option in ("workers", "address"):
        if getattr(options, option) is not None and options.backend == "local":
            raise Failure(f"--{option} is for Ray, but --backend is local", BAD_USE)


def _check_fedavg(options: argparse.Namespace) -> None:
    if options.fedavg_rounds is None and options.fedavg_parameters is not None:
        raise Failure("--fedavg-parameters needs --fedavg-rounds", BAD_USE)
    if options.fedavg_rounds is not None and options.fedavg_parameters is None and options.label is None:
        raise Failure("--fedavg-rounds needs --label, or --fedavg-parameters of another model", BAD_USE)


def _backend(options: argparse.Namespace, inputs: Inputs) -> str:
    """The one asked for; else Ray where it can read files at the same time, which changes no byte."""
    if options.backend != "auto":
        return str(options.backend)
    if options.workers is not None or options.address is not None:
        return "ray"
    if inputs.n_shards is None or inputs.n_shards == 1:
        return "local"
    if importlib.util.find_spec("ray") is None:
        print("coreset: ray is not installed: the shards are read one after the other", file=sys.stderr)
        return "local"
    return "ray"


@contextmanager
def _cluster_at(address: str | None) -> Iterator[None]:
    """Let the driver find the cluster where it looks for one."""
    before = os.environ.get("RAY_ADDRESS")
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    try:
        yield
    except ConnectionError as error:
        text = in_options(first_line(error))
        named = "RAY_ADDRESS=" if address is None else "--address "
        raise Failure(text.replace("RAY_ADDRESS=", named), BAD_USE) from error
    finally:
        if address is not None:
            os.environ.pop("RAY_ADDRESS", None)
            if before is not None:
                os.environ["RAY_ADDRESS"] = before
