"""One person's work: their photo, the edit, and what can be undone. Nobody sees another's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from cldis.explorer.studio import Begin

IDLE = 2 * 3600.0  # seconds after which a session that nobody ended is dropped
MOST = 256  # sessions; the one idle longest makes room
UNDO = 100


@dataclass
class Session:
    """Lives in memory only; an upload is decoded into it and removed from the disk."""

    photo: Begin | None = None
    other: Begin | None = None  # the second photo of a mix
    picture: Tensor | None = None  # the edit in full, [3, H, W]
    wanted: tuple[float, ...] = ()  # what the sliders were last known to say
    amounts: tuple[float, ...] = ()  # the edit that was settled
    history: list[tuple[float, ...]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)  # what the gallery of the collection shows
    used: float = 0.0

    def settle(self, amounts: tuple[float, ...]) -> None:
        """Take an edit over; the one before can be had again with `undo`."""
        if amounts != self.amounts:
            self.history = [*self.history[1 - UNDO :], self.amounts]
            self.amounts = amounts

    def undo(self) -> tuple[float, ...]:
        """The edit before, which is the edit now."""
        if self.history:
            self.amounts = self.history.pop()
        return self.amounts


def key_of(visitor: str, page: str) -> str:
    """Of a page in a browser that the gate let in; `visitor` has no dash."""
    return f"{visitor}-{page}"


def visitor_of(key: str) -> str:
    """The browser that a page is open in."""
    return key.partition("-")[0]


class Sessions:
    """By the key of a page: `key_of`."""

    def __init__(self, rows: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows, self.clock = rows, clock
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def get(self, key: str) -> Session:
        """The session of a key; a new one where there is none."""
        now = self.clock()
        with self._lock:
            for other in [k for k, session in self._open.items() if now - session.used > IDLE]:
                del self._open[other]
            if key not in self._open:
                while len(self._open) >= MOST:
                    del self._open[min(self._open, key=lambda k: self._open[k].used)]
                self._open[key] = Session(amounts=(0.0,) * self.rows)
            session = self._open[key]
            session.used = now
            return session

    def end(self, key: str) -> None:
        """Forget a session and all that is in it."""
        with self._lock:
            self._open.pop(key, None)

    def __len__(self) -> int:
        return len(self._open)
