"""Small tar shards of PNG files, as WebDataset has them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16
EACH = 12  # images of a shard


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def shard(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def shards(folder: Path, count: int, bad: frozenset[int] = frozenset()) -> Path:
    """Shards of a few images, each with its class beside it, as WebDataset has them."""
    for k in range(count):
        members: dict[str, bytes] = {}
        for j in range(k * EACH, (k + 1) * EACH):
            members[f"{j:06d}.png"] = b"no image" if j in bad else png(j)
            members[f"{j:06d}.cls"] = b"7"
        shard(folder / f"{k:03d}.tar", members)
    return folder
