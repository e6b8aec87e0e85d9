"""Signals that ask long work to save and stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

from cldis.text import to_nowhere


class Interrupts:
    """The first Ctrl-C or SIGTERM asks to stop after this step; the second stops at once.

    A terminal that closes (SIGHUP) asks likewise, however often; under `nohup` it does not.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self.ask = ask

    def __enter__(self) -> None:
        self.before: dict[int, Any] = {}
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.handle)
            hangup = getattr(signal, "SIGHUP", None)  # not on Windows
            if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
                self.before[hangup] = signal.signal(hangup, self.hang_up)
        except ValueError:  # not the main thread: leave the signals to its owner
            pass

    def handle(self, number: int, frame: Any) -> None:
        signal.signal(number, self.before[number])
        self.ask()

    def hang_up(self, number: int, frame: Any) -> None:
        leave_terminal()
        self.ask()

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def leave_terminal() -> None:
    """Write to a closed terminal no more: each such write would be an error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and stream.isatty():
                to_nowhere(stream)
        except (OSError, ValueError):
            continue
