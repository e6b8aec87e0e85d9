"""Compare the published files in `$CLDIS_DATA` with their checksums.

Run it as `python -m cldis.data.published.verify`. Give names of data sets, or none for every
file that is there.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from cldis.data.published.protocol import DOCUMENT, FILES, PublishedFile, data_folder


def check(file: PublishedFile, folder: Path) -> tuple[bool, str]:
    """(whether nothing speaks against the file, one line on it)."""
    path = folder / file.name
    if not path.is_file():
        return False, f"{file.name}: not in {folder}"
    algorithm, _, expected = (file.checksum or "sha256:").partition(":")
    with path.open("rb") as content:
        actual = hashlib.file_digest(content, algorithm).hexdigest()
    if not expected:
        return True, f"{file.name}: no checksum is known; its {algorithm} is {actual}"
    if actual == expected:
        return True, f"{file.name}: ok ({algorithm})"
    return False, f"{file.name}: {algorithm} {actual} differs from {expected}; download it again"


def main(names: list[str]) -> int:
    """Print a line per file; 0 if all are right, 1 if one is not, 2 if the question is wrong."""
    folder = data_folder()
    unknown = [name for name in names if name not in FILES]
    if unknown or folder is None:
        wrong = f"no published data {unknown[0]!r}" if unknown else "CLDIS_DATA is not set"
        print(f"{wrong}; known: {', '.join(FILES)} ({DOCUMENT})", file=sys.stderr)
        return 2
    files = [file for name in names or FILES for file in FILES[name]]
    if not names:
        files = [file for file in files if (folder / file.name).is_file()]
    answers = [check(file, folder) for file in files]
    for _, line in answers:
        print(line)
    return 0 if all(good for good, _ in answers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
