"""Text for people: what a terminal must not obey or cannot show becomes a visible escape."""

from __future__ import annotations

import os
import re
import shlex

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


def _quoted(word: str) -> str:
    if not HIDDEN.search(word):
        return shlex.quote(word)
    plain = re.compile(rb"[\w./ =+,:@%-]")
    parts = (bytes([byte]) for byte in os.fsencode(word))
    kept = (part.decode() if plain.match(part) else f"\\x{part[0]:02x}" for part in parts)
    return "$'" + "".join(kept) + "'"
