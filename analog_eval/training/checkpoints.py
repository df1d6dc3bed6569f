"""What is kept on disk between epochs, so that a run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from analog_eval.training.loop import Progress, Trainer
from analog_eval.training.states import fingerprint, plain

__all__ = ["Checkpoint"]

_VERSION = 3
# Settings that are fingerprints, which tell nobody anything, by what they are taken of.
_FINGERPRINTED = {
    "model": "the model's weights",
    "rows": "the rows to train on",
    "validation": "the rows to validate with",
}


class Checkpoint:
    """The file of a run.

    Parameters
    ----------
    path : str or path
        Where it is, or will be.

    Raises
    ------
    TypeError
        If `path` is no path.
    ValueError
        If its directory does not exist, or the file is no checkpoint.
    """

    def __init__(self, path: Any) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint must be a path, got {path!r}")
        self._path = Path(path)
        if not self._path.parent.is_dir():
            raise ValueError(f"checkpoint={str(path)!r} is in a directory that does not exist")
        self._content = self._read() if self._path.exists() else None

    @property
    def seed(self) -> int | None:
        """The seed of the run so far, None if there is none."""
        return None if self._content is None else int(self._content["settings"]["random_state"])

    def restore(self, trainer: Trainer, progress: Progress, settings: dict[str, str]) -> None:
        """Put what the file held, if it was there, into a trainer and its progress.

        Parameters
        ----------
        trainer : Trainer
            Whose module and optimizer go on from the file.
        progress : Progress
            How far they are; it is changed.
        settings : dict of str to str
            What the run of the file must have in common with this one.

        Raises
        ------
        ValueError
            If it has not, or what it held does not fit.
        """
        if self._content is None:
            return
        for name, value in settings.items():
            stored = self._content["settings"].get(name)
            if stored != value:
                whose = _FINGERPRINTED.get(name)
                difference = f"{whose} differ" if whose else f"{name} was {stored}, now it is {value}"
                raise ValueError(
                    f"checkpoint={str(self._path)!r} is of another run: {difference}. "
                    "Delete the file, or give another one"
                )
        try:
            trainer.put_state(self._content)
            vars(progress).update(self._content["progress"])
        except Exception as error:
            raise ValueError(f"checkpoint={str(self._path)!r} does not fit this run: {error}") from error

    def write(self, trainer: Trainer, progress: Progress, settings: dict[str, str]) -> None:
        """Write the file, all of it or nothing: one next to it, ending in ``.part``, is written and takes its name.

        Raises
        ------
        ValueError
            If what was written cannot be read back, as with objects among the optimizer's settings.
        """
        content = {
            "version": _VERSION,
            "settings": settings,
            **trainer.state(),
            "progress": vars(progress),
        }
        content = plain(content)
        part = self._path.with_name(self._path.name + ".part")
        with open(part, "wb") as file:
            torch.save(content | {"digest": fingerprint(content)}, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            _load(part)
        except Exception as error:
            part.unlink()
            raise ValueError(
                f"checkpoint={str(self._path)!r} cannot hold the state of this module or optimizer, which has more "
                f"than tensors and plain values: {error}"
            ) from error
        os.replace(part, self._path)

    def _read(self) -> dict[str, Any]:
        try:
            return _load(self._path)
        except _OtherVersion as error:
            raise ValueError(f"checkpoint={str(self._path)!r} is {error}") from error
        except Exception as error:
            raise ValueError(f"checkpoint={str(self._path)!r} is no checkpoint of hardening: {error}") from error


class _OtherVersion(Exception):
    pass


def _load(path: Path) -> dict[str, Any]:
    """Return the content of a file, or raise whatever comes if it is damaged."""
    if path.stat().st_size == 0:
        raise ValueError("it is empty")
    # Nothing but tensors and plain values is unpickled, whoever wrote the file.
    content = dict(torch.load(path, map_location="cpu", weights_only=True))
    if content["version"] != _VERSION:
        raise _OtherVersion(f"of version {content['version']}, but this is version {_VERSION}")
    if content.pop("digest") != fingerprint(content):
        raise ValueError("its contents have changed since they were written")
    return content
