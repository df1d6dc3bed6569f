"""What is kept on disk between epochs, so that a run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from analog_eval.training.loop import Progress, Trainer

__all__ = ["Checkpoint"]

_VERSION = 1


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
            If it has not.
        """
        if self._content is None:
            return
        for name, value in settings.items():
            stored = self._content["settings"].get(name)
            if stored != value:
                raise ValueError(
                    f"checkpoint={str(self._path)!r} is of another run: {name} was {stored}, now it is {value}. "
                    "Delete the file, or give another one"
                )
        trainer.module.load_state_dict(self._content["module"])
        trainer.optimizer.load_state_dict(self._content["optimizer"])
        vars(progress).update(self._content["progress"])

    def write(self, trainer: Trainer, progress: Progress, settings: dict[str, str]) -> None:
        """Write the file, all of it or nothing: one next to it, ending in ``.part``, is written and takes its name."""
        content = {
            "version": _VERSION,
            "settings": settings,
            "module": trainer.module.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "progress": vars(progress),
        }
        part = self._path.with_name(self._path.name + ".part")
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._path)

    def _read(self) -> dict[str, Any]:
        try:
            # Nothing but tensors and plain values is unpickled, whoever wrote the file.
            content = dict(torch.load(self._path, map_location="cpu", weights_only=True))
            version = content["version"]
            if version == _VERSION:
                int(content["settings"]["random_state"])
                _ = content["module"], content["optimizer"], content["progress"]["epoch"]
        except Exception as error:
            raise ValueError(f"checkpoint={str(self._path)!r} is no checkpoint of hardening: {error}") from error
        if version != _VERSION:
            raise ValueError(f"checkpoint={str(self._path)!r} is of version {version}, but this is version {_VERSION}")
        return content
