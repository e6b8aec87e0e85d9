"""Where each image of a collection of tar shards begins: found once, and kept in the cache.

KEY.parquet holds name, place and size of every image, a row group for each shard that has any;
KEY.json, which is written last, what there is to say of each shard.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import default_cache_dir, stamp
from cldis.data.tar import Listing, listed
from cldis.io import read_json, user_path, write_json, writing
from cldis.progress import each

VERSION = 1  # raise it whenever the same shards give another index
MOST_NAMES = 100_000  # that braces may stand for

Stamp = tuple[int, ...]


@dataclass(frozen=True)
class ShardIndex:
    """Images in the order of shards, and in a shard in that of its members.

    Attributes:
        paths, stamps: of the shards, and what tells their version.
        digests: of their content, see `Listing`.
        skipped: (path, reason) of what cannot be used.
        starts: int64 [shards + 1], the number of the first image of each shard; the last is n.
        offsets, sizes: [n], in bytes, of each image in its shard.
    """

    paths: list[Path]
    stamps: list[Stamp]
    digests: list[str]
    skipped: list[tuple[str, str]]
    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    table: Path

    def __len__(self) -> int:
        return int(self.starts[-1])

    def shard(self, number: int) -> int:
        """Which shard holds an image."""
        return int(np.searchsorted(self.starts, number, side="right")) - 1

    def label(self, number: int) -> str:
        """`SHARD.tar/PATH`."""
        shard = self.shard(number)
        group = np.count_nonzero(np.diff(self.starts)[:shard])
        name = _names(self.table, int(group))[number - int(self.starts[shard])].as_py()
        return label(self.paths[shard], name)


def shard_index(paths: list[Path], cache_dir: Path | None, progress: bool) -> ShardIndex:
    """The index of these shards, from the cache where it holds it.

    Raises:
        OSError: a shard cannot be read, or the index cannot be written.
    """
    folder = default_cache_dir() if cache_dir is None else user_path(cache_dir)
    stamps = [stamp(os.stat(path)) for path in paths]
    text = json.dumps([VERSION, [os.fspath(path) for path in paths], stamps])
    stem = folder / "shards" / hashlib.sha256(text.encode()).hexdigest()[:32]
    try:
        return _read(stem, paths, stamps)
    except Exception:  # missing or damaged: made anew
        _write(stem, paths, progress)
    return _read(stem, paths, stamps)


def label(shard: Path, name: str) -> str:
    """What an image of a shard is called; without a name the shard itself."""
    return f"{os.fsencode(shard.name).decode('utf-8', 'replace')}{'/' if name else ''}{name}"


def shard_files(words: str) -> list[Path]:
    """The tar files that a folder holds or a pattern names, sorted; none: something else is meant.

    Raises:
        ValueError: braces name a file that is not there, or more than 100,000.
    """
    path = user_path(words)
    if os.path.isdir(path):
        named = path.resolve().glob("*.tar")
        return sorted(file for file in named if file.name[0] != "." and file.is_file())
    if not words.endswith(".tar"):
        return []
    found: set[Path] = set()
    for name in _expanded(os.path.abspath(path)):
        if glob.has_magic(name):
            found.update(Path(file) for file in glob.glob(name) if os.path.isfile(file))
        elif os.path.isfile(name):
            found.add(Path(name))
        elif "{" in words:
            raise ValueError(f"{words}: there is no {name}; name only shards that are there")
    return sorted(found)


def _expanded(name: str) -> list[str]:
    """The names that braces stand for: `{000..999}`, `{a,b}`."""
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", name)
    if match is None:
        return [name]
    first, last, several = match.groups()
    if several is None:
        count = int(last) - int(first) + 1
        if not 0 < count <= MOST_NAMES:
            raise ValueError(f"{match[0]} stands for {count:,} shards; 1 to {MOST_NAMES:,} can be")
        middle = [f"{k:0{len(first)}}" for k in range(int(first), int(last) + 1)]
    else:
        middle = several.split(",")
    rests = _expanded(name[match.end() :])
    if len(middle) * len(rests) > MOST_NAMES:
        raise ValueError(f"{name} stands for more than {MOST_NAMES:,} shards; name fewer")
    return [f"{name[: match.start()]}{one}{rest}" for one in middle for rest in rests]


def _write(stem: Path, paths: list[Path], progress: bool) -> None:
    """List all shards into the two files, some shards in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int32())])
    about = []
    with (
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        writing(stem.with_suffix(".parquet")) as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        listings = pool.map(_listed, paths)
        for found in each(listings, len(paths), "listing", "shards", not progress):
            about.append([len(found.names), found.digest, found.skipped])
            if found.names:
                columns = [found.names, found.offsets, found.sizes]
                group = pa.table(columns, schema=schema)
                writer.write_table(group, row_group_size=len(group))
    write_json(stem.with_suffix(".json"), about)


def _listed(path: Path) -> Listing:
    with path.open("rb") as file:
        return listed(file, os.fstat(file.fileno()).st_size)


def _read(stem: Path, paths: list[Path], stamps: list[Stamp]) -> ShardIndex:
    import pyarrow.parquet as pq

    about = read_json(stem.with_suffix(".json"))
    table = stem.with_suffix(".parquet")
    with table.open("rb") as file:  # pyarrow itself takes no path that is not UTF-8
        columns = pq.read_table(file, columns=["offset", "size"])
    starts = np.concatenate([[0], np.cumsum([one[0] for one in about])]).astype(np.int64)
    if len(about) != len(paths) or len(columns) != starts[-1]:
        raise ValueError(f"{table} is not the index of these shards")
    skipped = [
        (label(path, name), reason)
        for path, one in zip(paths, about, strict=True)
        for name, reason in one[2]
    ]
    return ShardIndex(
        paths,
        stamps,
        [one[1] for one in about],
        skipped,
        starts,
        columns["offset"].to_numpy(),
        columns["size"].to_numpy(),
        table,
    )


@lru_cache(maxsize=4)
def _names(table: Path, group: int) -> Any:
    import pyarrow.parquet as pq

    with table.open("rb") as file:
        return pq.ParquetFile(file).read_row_group(group, columns=["name"])["name"]
