"""Decode once, keep as a memory-mapped array, start at once from then on.

A cache is two files in one folder: KEY.npy, uint8 [n, 3, H, W], and KEY.json, which names every
image and everything skipped. Both are renamed into place only when complete, so that processes
that build the same cache at the same time do no harm: the last one wins, with the same content.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from cldis.data.decode import VERSION, decode_image, quiet, to_photo
from cldis.data.room import check_room, size_words, tell
from cldis.data.source import check_indices
from cldis.io import read_json, user_path, write_json, writing
from cldis.progress import progress_bar

CHECKED_IMAGES = 64  # how many images are compared with their checksum at every start
CHUNK = 16  # images per task of the decoding threads
# Begins every fingerprint, as in the first version: equal pixels keep their fingerprint, so that
# a run finds its data again when only `VERSION` was raised.
FINGERPRINTED = {"decode": 1}
STALE_SECONDS = 86_400  # temporary files that nobody wrote to for so long belong to killed runs

# label, and where the image is (an array: uint8 [H, W] or [H, W, 3]; None: there is none)
Item = tuple[str, bytes | Path | NDArray[np.uint8] | None]


@dataclass(frozen=True)
class Decoded:
    """Decoded images [n, 3, H, W], n >= 1, their labels [n], and what was skipped and why."""

    images: NDArray[np.uint8]
    labels: list[str]
    skipped: list[tuple[str, str]]
    fingerprint: str


class NoImages(Exception):
    """Nothing could be decoded; `skipped` says why."""

    def __init__(self, skipped: list[tuple[str, str]]) -> None:
        super().__init__(f"none of {len(skipped)} files could be decoded")
        self.skipped = skipped


class CachedImages:
    """An `ImageSource` without labels over decoded images."""

    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()

    def __init__(
        self, name: str, resolution: int, decoded: Decoded, skipped: list[tuple[str, str]]
    ) -> None:
        self.name = name
        self.resolution = resolution
        self.fingerprint = decoded.fingerprint
        self.skipped = sorted(skipped + decoded.skipped)
        self._images = decoded.images
        self._labels = decoded.labels

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images [n, 3, H, W], uint8 RGB, a copy. ValueError for indices outside 0..len-1."""
        return self._images[check_indices(indices, len(self))]

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Nothing is known: int64 [n, 0]. ValueError for indices outside 0..len-1."""
        return np.zeros((len(check_indices(indices, len(self))), 0), np.int64)

    def label(self, index: int) -> str:
        """What image `index` is called. ValueError outside 0..len-1."""
        return self._labels[int(check_indices([index], len(self))[0])]


def default_cache_dir() -> Path:
    """`$CLDIS_CACHE`, or `$XDG_CACHE_HOME/cldis`, or `~/.cache/cldis`.

    Raises:
        ValueError: there is no home folder, and neither variable is set.
    """
    own, shared = os.environ.get("CLDIS_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if not own and shared and os.path.isabs(shared):  # a relative one does not count (XDG)
        own = os.path.join(shared, "cldis")
    folder = user_path(own or "~/.cache/cldis")
    if not own and not folder.is_absolute():
        raise ValueError(
            "there is no home folder to keep decoded images in; set CLDIS_CACHE to a folder that "
            "can be written"
        )
    return folder


def stamp(status: os.stat_result) -> tuple[int, ...]:
    """What changes with the content of a file: size, times, mode.

    The time of the content can be put back (`cp -p`, `touch -r`, an unpacked archive); the time at
    which the system last changed the entry (ctime) cannot. Windows has the time of creation there.
    The inode is left out: some network file systems number anew at every mount.
    """
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)


def decoded_once(
    identity: Any,
    items: Iterable[Item],
    count: int,
    resolution: int,
    cache_dir: Path | None,
    progress: bool,
    otherwise: str = "",
) -> Decoded:
    """The decoded `items`: from the cache where it holds them, else decoded into it.

    Args:
        identity: JSON value that changes whenever any image may have changed.
        items: `count` labelled images, consumed only when there is no usable cache.
        resolution: side in pixels.
        cache_dir: folder of the cache; None is `default_cache_dir()`.
        progress: show a bar on stderr.
        otherwise: words on how to do without a cache, said after its size.

    Raises:
        NoImages: not one item could be decoded; nothing is kept.
        OSError: the cache cannot be written; nothing is kept.
    """
    folder = default_cache_dir() if cache_dir is None else user_path(cache_dir)
    settings = {"decode": VERSION, "resolution": resolution}
    key_text = json.dumps([identity, settings, PIL.__version__])
    key = hashlib.sha256(key_text.encode("utf-8", "surrogateescape")).hexdigest()
    stem = folder / key[:32]
    kept = _load(stem, resolution)
    if kept is not None:
        return kept
    need = count * 3 * resolution**2
    if progress:
        tell(need, folder, "decoded images", otherwise)
    try:
        check_room(folder, need)
        _build(stem, items, count, resolution, settings, progress)
    except OSError as error:
        raise OSError(
            f"cannot write the image cache in {folder} ({error.strerror or error}); it needs "
            f"{size_words(need)} there: free some space or set CLDIS_CACHE to another folder"
        ) from error
    built = _load(stem, resolution)
    if built is None:
        raise OSError(f"the image cache {stem}.npy was changed while it was written; start again")
    return built


def _load(stem: Path, resolution: int) -> Decoded | None:
    """A complete, undamaged cache, or None. Reads the index and a sample of images only."""
    try:
        index = read_json(stem.with_suffix(".json"))
        path = stem.with_suffix(".npy")
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        labels = [str(label) for label in index["labels"]]
        expected = (len(labels), 3, resolution, resolution)
        if images.dtype != np.uint8 or images.shape != expected or not labels:
            return None
        if path.stat().st_size != images.offset + images.nbytes:
            return None
        images = images.view(np.ndarray)
        if sample_checksum(images) != index["checksum"]:
            return None
        skipped = [(str(path), str(reason)) for path, reason in index["skipped"]]
        return Decoded(images, labels, skipped, str(index["fingerprint"]))
    except Exception:  # whatever is wrong with the files, they are built anew
        return None


def _build(
    stem: Path,
    items: Iterable[Item],
    count: int,
    resolution: int,
    settings: dict[str, int],
    progress: bool,
) -> None:
    """Decode `items` into the two files. Leaves both or neither."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    _sweep(stem.parent)
    array_path = stem.with_suffix(".npy")
    labels: list[str] = []
    skipped: list[tuple[str, str]] = []
    digest = hashlib.sha256(json.dumps(FINGERPRINTED | {"resolution": resolution}).encode())
    with writing(array_path) as file:
        start = _write_header(file, count, resolution)
        for label, result in _decode_all(items, count, resolution, progress):
            if isinstance(result, str):
                skipped.append((label, result))
                continue
            labels.append(label)
            file.write(result.data)  # not through a map: there a full disk kills the process
            digest.update(result.data)
        if not labels:
            raise NoImages(skipped)
        file.seek(0)
        rewritten = _write_header(file, len(labels), resolution)
        assert rewritten == start, "the .npy header changed its length"
    try:
        images = np.load(array_path, mmap_mode="r", allow_pickle=False)
        checksum = sample_checksum(images)
        del images
        write_json(
            stem.with_suffix(".json"),
            {
                "settings": settings,
                "fingerprint": digest.hexdigest(),
                "checksum": checksum,
                "labels": labels,
                "skipped": skipped,
            },
        )
    except BaseException:
        array_path.unlink(missing_ok=True)
        raise


def _write_header(file: IO[bytes], count: int, resolution: int) -> int:
    """The .npy header; its length does not depend on `count`. Returns where the pixels start."""
    shape = (count, 3, resolution, resolution)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _decode_all(
    items: Iterable[Item], count: int, resolution: int, progress: bool
) -> Iterator[tuple[str, NDArray[np.uint8] | str]]:
    """(label, image [3, H, W] or reason) in the order of `items`, a few chunks ahead at most."""

    def decode(chunk: list[Item]) -> list[tuple[str, NDArray[np.uint8] | str]]:
        return [(label, _try_decode(source, resolution)) for label, source in chunk]

    workers = os.cpu_count() or 1
    queue = iter(items)
    waiting: deque[Future[list[tuple[str, NDArray[np.uint8] | str]]]] = deque()
    bar = progress_bar(count, "decoding", "images", not progress)
    pool = ThreadPoolExecutor(workers)
    try:
        with quiet():
            while True:
                while len(waiting) < 2 * workers and (chunk := list(islice(queue, CHUNK))):
                    waiting.append(pool.submit(decode, chunk))
                if not waiting:
                    return
                results = waiting.popleft().result()
                yield from results
                bar.update(len(results))
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()


def _try_decode(
    source: bytes | Path | NDArray[np.uint8] | None, resolution: int
) -> NDArray[np.uint8] | str:
    if source is None:
        return "there is no image in this row"
    try:
        if isinstance(source, np.ndarray):
            return decode_image(Image.fromarray(source), resolution)
        return to_photo(source, resolution)
    except ValueError as error:
        return str(error)


def sample_checksum(images: NDArray[Any]) -> int:
    """CRC-32 over at most 64 images spread evenly from the first to the last."""
    checksum = 0
    for index in np.unique(np.linspace(0, len(images) - 1, CHECKED_IMAGES).round().astype(int)):
        checksum = zlib.crc32(np.ascontiguousarray(images[index]).data, checksum)
    return checksum


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind."""
    for leftover in folder.glob(".*.tmp"):
        try:
            if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                leftover.unlink()
        except OSError:
            continue  # somebody else was faster
