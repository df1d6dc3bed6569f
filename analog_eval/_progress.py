"""One updated line on stderr for work that takes long."""

from __future__ import annotations

import sys
import time
from types import TracebackType

__all__ = ["ProgressLine"]

_QUIET_SECONDS = 3.0
_UPDATE_SECONDS = 0.5


class ProgressLine:
    """Count steps and show them with the time left.

    Parameters
    ----------
    label : str
        What is being counted.
    total : int
        Number of steps.
    enabled : bool or None
        None shows the line on a terminal once the work has taken some seconds.
    """

    def __init__(self, label: str, total: int, enabled: bool | None) -> None:
        self._label, self._total = label, total
        self._delay = 0.0 if enabled else _QUIET_SECONDS
        self._enabled = sys.stderr.isatty() if enabled is None else enabled
        self._done, self._width = 0, 0
        self._start = self._shown = time.monotonic()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled and self._width:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def step(self) -> None:
        """Count one step and update the line when it is time to."""
        self._done += 1
        if not self._enabled:
            return
        now = time.monotonic()
        closing = self._done == self._total and (self._width > 0 or self._delay == 0.0)
        if not closing and (now - self._start < self._delay or now - self._shown < _UPDATE_SECONDS):
            return
        left = (now - self._start) / self._done * (self._total - self._done)
        line = f"{self._label}: {self._done} of {self._total}, {left:.0f} s left"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width, self._shown = len(line), now
