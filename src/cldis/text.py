"""Text for people: said on any terminal, numbers as they read them, cut to what a disk takes."""

from __future__ import annotations

import contextlib
import difflib
import errno
import math
import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

Named = TypeVar("Named")
MAX_NAME = 255  # bytes of a file name, nearly everywhere
# Control characters, marks that turn the direction of writing, line separators, and the lone
# surrogates by which Python carries bytes of a file name that are not UTF-8.
HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: object) -> str:
    r"""`text` as one line that is safe to print and to write as UTF-8.

    Control characters (line breaks and tabs too), marks of the direction of writing and lone
    surrogates become `\uXXXX`, which is also how JSON writes them. Everything else is kept.
    """
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def command(*words: object) -> str:
    """A command to type: every word quoted for the shell, so that it can be copied."""
    return " ".join(_quoted(str(word)) for word in words)


def folded(text: str) -> str:
    """What two texts share that people take for the same: case and composition do not matter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def named(what: str, name: str, known: Mapping[str, Named]) -> Named:
    """`known[name]`.

    Raises:
        ValueError: there is no such `what`; the nearest name and all names are told.
    """
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"unknown {what} {name!r}; {hint}{what}s: {', '.join(known)}")


def number(value: float | int | None, digits: int = 3) -> str:
    """A number for people: `digits` significant digits, thousands set apart, never 1e+03."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "∞" if value > 0 else "not a number"
    if isinstance(value, int) or abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """.316 -> 32 %."""
    return "–" if value is None else f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def signed(value: float) -> str:
    """-2 with a true minus sign, +2, and 0."""
    return f"{value:+g}".replace("-", "−") if value else "0"


def fraction(value: float, digits: int = 3, sign: str = "") -> str:
    """.934, 1.000, -.020: no zero before the point."""
    text = f"{value:{sign}.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def cut(text: str, size: int) -> str:
    """The beginning of `text` that takes at most `size` bytes of UTF-8; characters stay whole."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) <= size:
        return text
    while size and data[size] & 0xC0 == 0x80:  # inside a character
        size -= 1
    return data[:size].decode("utf-8", "surrogateescape")


def say(text: object, error: bool = False) -> None:
    """Print lines: what a terminal must not obey becomes visible, line by line."""
    lines = (shown(line) for line in str(text).split("\n"))
    print("\n".join(lines), file=sys.stderr if error else sys.stdout, flush=True)


@contextlib.contextmanager
def speaking() -> Iterator[Patient]:
    """Meanwhile nothing that is said can fail; yields the standard output.

    What a terminal cannot show is escaped. Where nobody listens any more, or never did (a closed
    pipe, no stderr at all), words are dropped.
    """
    _fill_standard_files()
    kept = sys.stdout, sys.stderr
    heard = Patient(sys.stdout)
    sys.stdout, sys.stderr = heard, Patient(sys.stderr)
    try:
        yield heard
    finally:
        heard.flush()
        sys.stdout, sys.stderr = kept


class Patient:
    """A text stream that never raises; `lost` is why the last words did not arrive, or None."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            known = self._stream.encoding or "ascii"
            self._stream.write(text.encode(known, "backslashreplace").decode(known))
        except (OSError, ValueError) as error:  # ValueError: closed
            self._mute(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._mute(error)

    @property
    def full(self) -> bool:
        """Whether words were lost that somebody wanted: a full disk, not a reader who left."""
        return isinstance(self.lost, OSError) and self.lost.errno != errno.EPIPE

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _mute(self, error: Exception) -> None:
        """Nothing more is written there; Python would try again, and complain, when it ends."""
        self.lost = error
        with contextlib.suppress(OSError, ValueError, AttributeError):
            to_nowhere(self._stream)
            self._stream.flush()


def to_nowhere(stream: Any) -> None:
    """Let what is written to a stream go nowhere, from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _fill_standard_files() -> None:
    """Without this, the first file opened would be what libraries take for stderr."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(number)


def _quoted(word: str) -> str:
    if not HIDDEN.search(word):
        return shlex.quote(word)
    plain = re.compile(rb"[\w./ =+,:@%-]")
    parts = (bytes([byte]) for byte in os.fsencode(word))
    kept = (part.decode() if plain.match(part) else f"\\x{part[0]:02x}" for part in parts)
    return "$'" + "".join(kept) + "'"
