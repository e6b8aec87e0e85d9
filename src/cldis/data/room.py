"""How much a cache will take: said before it is built, and refused where there is no room."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from cldis.text import say

TOLD = 10**8  # bytes from which on it is said


def size_words(count: float) -> str:
    """Bytes in words: `12.3 GB`, `40 MB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def tell(need: int, folder: Path, what: str, otherwise: str = "") -> None:
    """Say on stderr what a cache will take, and what to do `otherwise`, where it takes much."""
    if need >= TOLD:
        say(f"the cache of {what} takes {size_words(need)} in {folder}{otherwise}", error=True)


def check_room(folder: Path, need: int) -> None:
    """Refuse what will not fit.

    Raises:
        OSError: (ENOSPC) the disk has less room.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < need:
        words = f"{os.strerror(errno.ENOSPC)}: {size_words(free)} are free of {size_words(need)}"
        raise OSError(errno.ENOSPC, words)
