"""One line on standard error that says how far a sweep is."""

from __future__ import annotations

import sys
import time
from types import TracebackType

__all__ = ["ProgressLine"]

_LIVE_SECONDS = 0.2
_LOG_SECONDS = 30.0


class ProgressLine:
    """Count steps and show them with the time left.

    On a terminal one line is kept up to date and wiped at the end; elsewhere (a log, a notebook) a line is written
    every half minute.  Work that is done before the first of these is due shows nothing.

    Parameters
    ----------
    label : str
        What is being counted.
    total : int
        Number of steps.
    enabled : bool
        Whether to show anything.
    """

    def __init__(self, label: str, total: int, *, enabled: bool) -> None:
        self._label, self.total, self._enabled = label, total, enabled
        self._live = sys.stderr.isatty()
        self._interval = _LIVE_SECONDS if self._live else _LOG_SECONDS
        self._done = 0
        self._start = self._shown = time.monotonic()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled and self._live:
            self._write("\r\x1b[K")

    def step(self) -> None:
        """Count one step and show the line when it is due."""
        self._done += 1
        now = time.monotonic()
        if not self._enabled or now - self._shown < self._interval:
            return
        self._shown = now
        left = (now - self._start) / self._done * (self.total - self._done)
        text = f"{self._label}: {self._done} of {self.total}, {_duration(left)} left"
        self._write(f"\r\x1b[K{text}" if self._live else f"{text}\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
