"""Progress of long work: a bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self, TypeVar

SECONDS = 30.0  # between two plain lines
T = TypeVar("T")


def progress_bar(
    total: int | None, what: str, unit: str, hidden: bool = False, done: int = 0
) -> Any:
    """A bar where standard error is a terminal, else plain lines with rate and time left.

    Args:
        total: how many units of work there are; None: not known yet.
        what: the work, in a word.
        unit: of the work, such as `img`.
        hidden: show nothing.
        done: units that were done before.
    """
    if hidden or not _on_terminal():
        return PlainLines(total, what, unit, hidden, done)
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=unit, initial=done, smoothing=0.05)


def each(items: Iterable[T], count: int, what: str, unit: str, hidden: bool = False) -> Iterator[T]:
    """`items`, with their progress."""
    with progress_bar(count, what, unit, hidden) as bar:
        for item in items:
            yield item
            bar.update()


class PlainLines:
    """A line at the start of the work's own intervals, at least `SECONDS` apart, and at the end.

    `set_postfix_str` says that there is something to report: it writes a line at once.
    """

    def __init__(
        self, total: int | None, what: str, unit: str, hidden: bool = False, done: int = 0
    ) -> None:
        self.total: float | None = total
        self.what, self.unit, self.hidden = what, unit, hidden
        self.first = self.n = float(done)
        self.began = self.last = time.monotonic()
        self.words, self.shown = "", -1.0

    def update(self, n: float = 1) -> None:
        self.n += n
        if time.monotonic() - self.last >= SECONDS:
            self.line()

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        self.words = s
        if refresh:
            self.line()

    def write(self, s: str) -> None:
        if not self.hidden and sys.stderr is not None:
            print(s, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.n > self.first:
            self.line()

    def line(self) -> None:
        """Say where the work is, unless that was said already."""
        self.last = time.monotonic()
        if self.n == self.shown:
            return
        self.shown = self.n
        rate = (self.n - self.first) / max(self.last - self.began, 1e-9)
        whole = f" of {self.total:,.0f}" if self.total else ""
        parts = [f"{self.what}: {self.n:,.0f}{whole} {self.unit}", f"{short(rate)} {self.unit}/s"]
        if self.total and rate > 0 and self.n < self.total:
            parts.append(f"{duration((self.total - self.n) / rate)} left")
        self.write(", ".join([*parts, *([self.words] if self.words else [])]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def duration(seconds: float) -> str:
    """`2 h 05 min`, `4 min 10 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _on_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is no standard error, or it is closed
        return False
