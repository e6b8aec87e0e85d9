"""Images in tar shards (WebDataset), read where they lie: nothing but an index is kept.

The index says where each image begins, so any image can be asked for at any time, and the order of
a training is a function of (seed, epoch) as for every other source. Images are decoded when they
are asked for. One that turns out not to be readable is noted in `skipped`, and the next readable
one on its side of the split stands in for it: always the same one, so that a resumed run sees what
a run that was never stopped sees.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import CachedImages, Item, NoImages, decoded_once, stamp
from cldis.data.decode import VERSION, quiet, to_photo
from cldis.data.hub_shards import fetched
from cldis.data.shard_index import shard_files, shard_index
from cldis.data.source import check_indices, check_resolution
from cldis.data.split import split
from cldis.io import user_path

BLOCK = 256  # neighbours in a shard that training sees close together
SHOWN = 3


class Shards:
    """An `ImageSource` without labels over tar files; `skipped` grows as images are read."""

    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()

    def __init__(
        self,
        words: str | Path,
        resolution: int,
        cache_dir: Path | None = None,
        progress: bool = False,
    ) -> None:
        """
        Args:
            words: a folder of .tar files, their paths with `*`, `{000..999}` or `{a,b}`, or
                `hf://owner/name` (see `fetched`).
            resolution: side in pixels, a multiple of 8 in 8..1024.
            cache_dir: where the index is kept; default `cache.default_cache_dir()`.
            progress: show a bar while shards are listed.

        Raises:
            ValueError: no shard, a shard that was named is missing, or no image in any.
            OSError: a shard cannot be read, or the index cannot be written.
        """
        self.resolution = check_resolution(resolution)
        self.name = user_path(words).absolute().name
        paths = shard_files(fetched(str(words)))
        if not paths:
            raise ValueError(f"{words} names no .tar file; give a folder of them or a pattern")
        self.index = shard_index(paths, cache_dir, progress)
        self.skipped = list(self.index.skipped)
        self._bad: set[int] = set()
        self._lock = threading.Lock()
        if not len(self):
            raise ValueError(self.nothing())
        about = ["shards", 1, VERSION, resolution, [path.name for path in paths]]
        text = json.dumps([about, self.index.digests])
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        self._held_out = frozenset(split(len(self))[1].tolist()) if len(self) > 1 else frozenset()

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images [n, 3, H, W], uint8 RGB.

        Raises:
            ValueError: an index outside 0..len-1, or no image at all can be decoded.
            OSError: a shard cannot be read any more, or was changed.
        """
        chosen = check_indices(indices, len(self))
        images = np.empty((len(chosen), 3, self.resolution, self.resolution), np.uint8)
        with quiet(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for row, image in enumerate(pool.map(self._image, chosen.tolist())):
                images[row] = image
        return images

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Nothing is known: int64 [n, 0]. ValueError for indices outside 0..len-1."""
        return np.zeros((len(check_indices(indices, len(self))), 0), np.int64)

    def label(self, index: int) -> str:
        """`SHARD.tar/PATH`. ValueError outside 0..len-1."""
        return self.index.label(int(check_indices([index], len(self))[0]))

    def blocks(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the block that each image lies in, [n]: `BLOCK` neighbours in a shard."""
        starts = self.index.starts
        first = np.concatenate([[0], np.cumsum(-(-np.diff(starts) // BLOCK))])
        shard = np.searchsorted(starts, indices, side="right") - 1
        return np.asarray(first[shard] + (indices - starts[shard]) // BLOCK)

    def items(self) -> Iterator[Item]:
        """All images in order, encoded."""
        for number in range(len(self)):
            yield self.label(number), self._bytes(number)

    def nothing(self) -> str:
        """One line on shards without a usable image."""
        shown = "; ".join(f"{path}: {reason}" for path, reason in self.skipped[:SHOWN])
        return (
            f"{self.name} holds no usable image in {len(self.index.paths)} shards ({shown}); give "
            "tar files with .jpg, .png or other images (docs/data.md)"
        )

    def _image(self, number: int) -> NDArray[np.uint8]:
        """Image [3, H, W], or the next one of its side of the split that can be decoded."""
        at, held_out = number, number in self._held_out
        while True:
            if at not in self._bad:
                try:
                    return to_photo(self._bytes(at), self.resolution)
                except ValueError as error:
                    self._note(at, str(error))
            at = (at + 1) % len(self)
            while at != number and (at in self._held_out) != held_out:
                at = (at + 1) % len(self)
            if at == number:
                raise ValueError(self.nothing())

    def _note(self, number: int, reason: str) -> None:
        path = self.label(number)
        with self._lock:
            if number not in self._bad:
                self._bad.add(number)
                self.skipped.append((path, reason))

    def _bytes(self, number: int) -> bytes:
        """The file of an image as it lies in its shard."""
        shard, size = self.index.shard(number), int(self.index.sizes[number])
        path = self.index.paths[shard]
        fix = "put it back as it was and go on; what was finished is kept"
        try:
            with path.open("rb") as file:
                same = stamp(os.fstat(file.fileno())) == self.index.stamps[shard]
                file.seek(int(self.index.offsets[number]))
                content = file.read(size) if same else b""
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(f"shard {path} cannot be read any more ({reason}); {fix}") from error
        if not same or len(content) != size:
            raise OSError(f"shard {path} was changed while it was in use; {fix}")
        return content


class CachedShards(CachedImages):
    """The same images, decoded once into the cache."""

    def __init__(
        self, words: str, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """As `Shards`; OSError also where the cache cannot be written."""
        shards = Shards(words, resolution, cache_dir, progress)
        try:
            decoded = decoded_once(
                ["shards", shards.fingerprint],
                shards.items(),
                len(shards),
                resolution,
                cache_dir,
                progress,
                f"; stream:{words} keeps none, and decodes an image whenever it is asked for",
            )
        except NoImages as error:
            shards.skipped += error.skipped
            raise ValueError(shards.nothing()) from None
        super().__init__(shards.name, resolution, decoded, shards.skipped)
