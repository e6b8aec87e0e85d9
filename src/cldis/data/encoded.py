"""Every image of a source as an autoencoder encodes it: computed once, kept as half floats.

A finished encoding is two files of the cache, KEY.npy and KEY.json. While it is made, its parts lie
in KEY.parts, each of them whole, so that work which was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import default_cache_dir, sample_checksum
from cldis.data.room import check_room, size_words, tell
from cldis.io import read_json, user_path, write_json, writing
from cldis.progress import progress_bar

VERSION = 1
ROWS = 128  # images of a part: a few seconds of work

Halves = NDArray[np.float16]
Encode = Callable[[NDArray[np.uint8]], Halves]  # images [n, 3, H, W] -> [n, c, h, w]


class Encodable(Protocol):
    """What is asked of images that are encoded, a part of `ImageSource`."""

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]: ...

    def label(self, index: int) -> str: ...


def encoded_once(
    source: Encodable,
    coder: str,
    shape: tuple[int, int, int],
    encode: Encode,
    cache_dir: Path | None = None,
    progress: bool = True,
) -> Halves:
    """[n, c, h, w] of all images: from the cache where it holds them, else encoded into it.

    Args:
        coder: what tells this autoencoder from others, such as the hash of its weights.
        shape: c, h and w.
        encode: asked for the images that are not there yet, `ROWS` at a time.
        cache_dir: folder of the cache; None is `default_cache_dir()`.
        progress: show rate and time left on stderr.

    Raises:
        ValueError: the autoencoder makes no finite half floats of an image.
        OSError: the cache cannot be written.
    """
    folder = default_cache_dir() if cache_dir is None else user_path(cache_dir)
    text = json.dumps(["encoded", VERSION, source.fingerprint, coder, shape])
    work = Work(
        source, folder / hashlib.sha256(text.encode()).hexdigest()[:32], shape, encode, progress
    )
    kept = work.kept()
    if kept is not None:
        return kept
    need = 2 * len(source) * 2 * int(np.prod(shape))  # while parts are joined, both are there
    if progress:
        tell(need // 2, folder, "latents")
    try:
        if not work.parts.is_dir():  # what was begun is finished where it can be
            check_room(folder, need)
        work.make()
    except OSError as error:
        raise OSError(
            f"cannot write the encoded images in {folder} ({error.strerror or error}); they need "
            f"{size_words(need)} there: free some space or set CLDIS_CACHE to another folder"
        ) from error
    made = work.kept()
    if made is None:
        raise OSError(f"{work.array} was changed while it was written; start again")
    return made


@dataclass(frozen=True)
class Work:
    """One encoding, begun or not."""

    source: Encodable
    stem: Path
    shape: tuple[int, int, int]
    encode: Encode
    progress: bool

    @property
    def array(self) -> Path:
        return self.stem.with_suffix(".npy")

    @property
    def parts(self) -> Path:
        return self.stem.with_suffix(".parts")

    def kept(self) -> Halves | None:
        """A finished, undamaged encoding, or None."""
        found = _read(self.array, (len(self.source), *self.shape))
        try:
            index = read_json(self.stem.with_suffix(".json"))
            whole = found is not None and sample_checksum(found) == index["checksum"]
        except Exception:  # whatever is wrong with the files, they are made anew
            return None
        return found if whole else None

    def make(self) -> None:
        """Make what is not there yet, and join it. Processes that do the same do no harm."""
        self.parts.mkdir(parents=True, exist_ok=True)
        count = len(self.source)
        starts = range(0, count, ROWS)
        done = sum(min(ROWS, count - s) for s in starts if self.part(s).is_file())
        with progress_bar(count, "encoding", "images", not self.progress, done) as bar:
            for start in starts:
                if not self.part(start).is_file():
                    bar.update(len(self.made(start)))
        with writing(self.array) as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": (count, *self.shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for start in starts:
                rows = _read(self.part(start), (min(ROWS, count - start), *self.shape))
                file.write((self.made(start) if rows is None else rows).tobytes())
        joined = _read(self.array, (count, *self.shape))
        assert joined is not None, self.array
        write_json(self.stem.with_suffix(".json"), {"checksum": sample_checksum(joined)})
        shutil.rmtree(self.parts, ignore_errors=True)

    def part(self, start: int) -> Path:
        return self.parts / f"{start:09d}.npy"

    def made(self, start: int) -> Halves:
        """The part that begins at image `start`, encoded and written."""
        indices = np.arange(start, min(start + ROWS, len(self.source)))
        rows = np.ascontiguousarray(self.encode(self.source.batch(indices)), dtype="<f2")
        assert rows.shape == (len(indices), *self.shape), rows.shape
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=(1, 2, 3)))
        if len(bad):
            label = self.source.label(int(indices[bad[0]]))
            raise ValueError(
                f"the autoencoder makes no finite numbers of image {label}; use another one"
            )
        with writing(self.part(start)) as file:
            np.lib.format.write_array(file, rows, allow_pickle=False)
        return rows


def _read(path: Path, shape: tuple[int, ...]) -> Halves | None:
    """A whole file of half floats of this shape, mapped, or None."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        whole = found.dtype == np.dtype("<f2") and found.shape == shape
        whole = whole and path.stat().st_size == found.offset + found.nbytes
        return found.view(np.ndarray) if whole else None
    except Exception:  # missing or damaged: made anew
        return None
