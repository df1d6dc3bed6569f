"""One line on standard error that says how far a long computation is and how long it will still take."""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """Counts finished steps of a loop and shows them on one line that is updated in place.

    Where standard error is not a terminal (a log file, a test) it stays quiet at first, and after half a minute writes
    a plain line every half minute.
    """

    _PLAIN_INTERVAL_S = 30.0
    _LIVE_INTERVAL_S = 0.2

    def __init__(self, label: str, n_steps: int, *, enabled: bool = True) -> None:
        self._label = label
        self._n_steps = n_steps
        self._enabled = enabled
        self._live = enabled and sys.stderr.isatty()
        self._done = 0
        self._running = ""
        self._start = self._last_shown = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")  # a finished line would only clutter what follows
            sys.stderr.flush()

    def running(self, what: str) -> None:
        """Name the step that runs now, so that a slow one is seen."""
        self._running = what
        if self._live and self._done:
            self._show(time.monotonic())

    def step(self) -> None:
        """Count one finished step."""
        self._done += 1
        now = time.monotonic()
        interval = self._LIVE_INTERVAL_S if self._live else self._PLAIN_INTERVAL_S
        if self._enabled and now - self._last_shown >= interval:
            self._show(now)

    def _show(self, now: float) -> None:
        self._last_shown = now
        text = self._text(now - self._start)
        sys.stderr.write(f"\r\x1b[K{text}" if self._live else f"{text}\n")
        sys.stderr.flush()

    def _text(self, elapsed: float) -> str:
        left = elapsed / self._done * (self._n_steps - self._done)
        running = f" ({self._running})" if self._running and self._done < self._n_steps else ""
        return f"{self._label}: {self._done} of {self._n_steps}, {_duration(left)} left{running}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
