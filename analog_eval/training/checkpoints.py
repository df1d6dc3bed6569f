"""What is kept on disk between epochs, so that a run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

__all__ = ["check_settings", "load_checkpoint", "save_checkpoint"]

_VERSION = 1


def save_checkpoint(path: Path, settings: dict[str, str], state: dict[str, Any]) -> None:
    """Write a checkpoint, all of it or nothing.

    Parameters
    ----------
    path : Path
        Where to; another file next to it, ending in ``.part``, is written first and then takes its name.
    settings : dict of str to str
        What a run must have in common with this one to go on from here.
    state : dict
        Tensors, numbers, texts, and lists and dicts of these.
    """
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        torch.save({"version": _VERSION, "settings": settings, "state": state}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return settings and state of a checkpoint.

    Parameters
    ----------
    path : Path
        Where it is.

    Returns
    -------
    settings, state : dict

    Raises
    ------
    ValueError
        If the file is no checkpoint.
    """
    try:
        # Nothing but tensors and plain values is unpickled, whoever wrote the file.
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, settings, state = content["version"], dict(content["settings"]), dict(content["state"])
    except Exception as error:
        raise ValueError(f"checkpoint={str(path)!r} is no checkpoint of hardening: {error}") from error
    if version != _VERSION:
        raise ValueError(f"checkpoint={str(path)!r} is of version {version}, but this is version {_VERSION}")
    return settings, state


def check_settings(path: Path, stored: dict[str, str], settings: dict[str, str]) -> None:
    """Raise ``ValueError`` if the run of a checkpoint, with the settings `stored`, was another than this one."""
    for name, value in settings.items():
        if stored.get(name) != value:
            raise ValueError(
                f"checkpoint={str(path)!r} is of another run: {name} was {stored.get(name)}, now it is {value}. "
                "Delete the file, or give another one"
            )
