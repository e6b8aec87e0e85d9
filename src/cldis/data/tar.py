"""A tar file of images (a WebDataset shard): what lies where in it."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cldis.arrays import spread
from cldis.data.formats import EXTENSIONS, MAX_BYTES

SAMPLED, SAMPLE_BYTES = 8, 65_536  # images of a shard, and bytes of each, that tell its content
NULLS = bytes(tarfile.BLOCKSIZE)


@dataclass
class Listing:
    """The images of a shard in their order; what cannot be used, and why."""

    names: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)  # bytes from the start of the shard
    sizes: list[int] = field(default_factory=list)  # bytes
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (path, reason); "": the shard
    digest: str = ""  # changes with names, places, and the content of a few images


def listed(file: BinaryIO, size: int) -> Listing:
    """Go through the headers of a tar file of `size` bytes; images are not decoded.

    Members that do not claim to be images (captions, classes, JSON) are left aside. Where the file
    breaks off, what lies before is used.
    """
    found = Listing()
    for member in _members(file, found):
        name = os.fsencode(member.name).decode("utf-8", "replace")
        if not member.isreg() or Path(name).suffix.lower() not in EXTENSIONS:
            continue
        if member.offset_data + member.size > size:
            found.skipped.append((name, "the shard breaks off inside it"))
        elif member.issparse() or member.size > MAX_BYTES:
            found.skipped.append((name, f"stored sparsely or with more than {MAX_BYTES:,} bytes"))
        else:
            found.names.append(name)
            found.offsets.append(member.offset_data)
            found.sizes.append(member.size)
    if not found.names and not found.skipped:
        found.skipped.append(("", "no image in it"))
    digest = hashlib.sha256(repr((found.names, found.offsets, found.sizes)).encode())
    for k in spread(len(found.names), SAMPLED):
        file.seek(found.offsets[k])
        digest.update(file.read(min(found.sizes[k], SAMPLE_BYTES)))
    found.digest = digest.hexdigest()
    return found


def _members(file: BinaryIO, found: Listing) -> Iterator[tarfile.TarInfo]:
    """All members up to the end or the first damage, which is noted; none is kept in memory."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
                yield member
            file.seek(tar.offset)
            after = file.read(len(NULLS))
        if after != NULLS:
            where = f"byte {tar.offset:,}"
            reason = (
                f"no end mark at {where}: it was cut off" if not after else f"broken at {where}"
            )
            found.skipped.append(("", f"{reason}; what lies before is used"))
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        found.skipped.append(("", f"not a whole, uncompressed tar file ({error})"))
