"""The list of what could not be used."""

from __future__ import annotations

import re
from collections.abc import Sequence


def skipped_table(skipped: Sequence[tuple[str, str]]) -> str:
    """`path<TAB>reason` lines; tabs and line breaks inside names become spaces."""
    rows = [("path", "reason"), *skipped]
    return "".join(f"{_flat(path)}\t{_flat(reason)}\n" for path, reason in rows)


def _flat(text: str) -> str:
    return re.sub(r"[\t\r\n]+", " ", text)
