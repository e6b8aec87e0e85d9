"""Text of others on its way to a terminal: it is shown, and it does nothing.

A run, a file name or a photo may hold control characters: an escape sequence that rewrites the
screen, a carriage return that hides what stands before it, an override that turns words round.
`printable` makes them visible. Everything that the command line prints goes through it.
"""

from __future__ import annotations

import unicodedata
from typing import TextIO

# Control, format (bidi overrides among them), surrogate; and the two invisible line breaks.
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # zero-width, but parts of Persian words and of emoji


def printable(text: object, breaks: bool = True) -> str:
    """`str(text)` with every character that is not seen written as an escape, such as `\\x1b`.

    Args:
        breaks: keep line breaks and tabs; False for a value that must stay on its line.
    """
    kept = JOINERS + ("\n\t" if breaks else "")
    return "".join(
        character
        if character in kept or unicodedata.category(character) not in HIDDEN
        else character.encode("unicode_escape").decode("ascii")
        for character in str(text)
    )


def one_line(text: object) -> str:
    """A value as part of a line: `printable` without line breaks."""
    return printable(text, breaks=False)


def say(text: object, file: TextIO | None = None) -> None:
    """Print `printable(text)`, to standard output where no file is given."""
    print(printable(text), file=file, flush=True)
