"""smallNORB (LeCun, Huang & Bottou, CVPR 2004) from its six published binary matrices."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.published.grid import PublishedGrid
from cldis.data.published.protocol import SMALLNORB, damaged, find

FACTORS = {"category": 5, "instance": 10, "elevation": 9, "azimuth": 18, "lighting": 6}
SIDE = 96
PARTS = ("training", "testing")
# magic number of the matrix -> type of its values (the publisher's page; little endian)
TYPES: dict[int, np.dtype[Any]] = {0x1E3D4C55: np.dtype("|u1"), 0x1E3D4C54: np.dtype("<i4")}


class SmallNorb(PublishedGrid):
    """48,600 photos of 50 toys: training and test set together fill the grid.

    Of each stereo pair the first picture is taken. The azimuth is in steps of 20 degrees.
    """

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """
        Raises:
            ValueError: a file is missing or not as published, or the resolution is wrong.
            OSError: the cache cannot be written.
        """
        paths = [find("smallnorb", file.name, file.name.removesuffix(".gz")) for file in SMALLNORB]
        count = int(np.prod(list(FACTORS.values())))
        sizes = tuple(FACTORS.values())
        cells = [_cells(cat, info, sizes) for cat, info in (paths[1:3], paths[4:6])]
        cell = np.concatenate(cells)
        if not np.array_equal(np.sort(cell), np.arange(count)):
            raise damaged("smallnorb", paths[1], "its factors do not fill the grid")

        def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
            for part, path, own in zip(PARTS, (paths[0], paths[3]), cells, strict=True):
                for number, row in enumerate(_pictures(path, len(own))):
                    yield f"{part}/{number:05d}", row

        super().__init__("smallnorb", FACTORS, paths, images(), resolution, cache_dir, progress)
        self._row = np.argsort(cell)

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cache holds the images in the order of the files."""
        return self._row[indices]


def _cells(cat: Path, info: Path, sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Number in the grid of each image of one part, int64 [n]."""
    category, rest = _matrix(cat), _matrix(info)
    if category.ndim != 1 or rest.shape != (len(category), 4):
        raise damaged("smallnorb", info, f"{list(rest.shape)} factors, {list(category.shape)}")
    instance, elevation, azimuth, lighting = rest.astype(np.int64).T
    factors = category.astype(np.int64), instance, elevation, azimuth // 2, lighting
    try:
        return np.asarray(np.ravel_multi_index(factors, sizes), np.int64)
    except ValueError as error:
        raise damaged("smallnorb", info, error) from None


def _matrix(path: Path) -> NDArray[Any]:
    """A whole small matrix."""
    with ExitStack() as stack:
        file, shape, dtype = _open(path, stack)
        data = _read(path, file, int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)


def _pictures(path: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """The first picture of each pair, uint8 [96, 96]."""
    with ExitStack() as stack:
        file, shape, dtype = _open(path, stack)
        if shape != (count, 2, SIDE, SIDE) or dtype != np.uint8:
            raise damaged("smallnorb", path, f"its images are {dtype} {list(shape)}")
        for _ in range(count):
            pair = np.frombuffer(_read(path, file, 2 * SIDE * SIDE), np.uint8)
            yield pair[: SIDE * SIDE].reshape(SIDE, SIDE)


def _open(path: Path, stack: ExitStack) -> tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]:
    """The file behind its header, the shape and the type of the matrix.

    Header: magic number, number of dimensions, and at least three sizes, each int32.
    """
    packed = path.suffix == ".gz"
    file: IO[bytes] = stack.enter_context(gzip.open(path) if packed else path.open("rb"))  # type: ignore[arg-type]
    magic, dimensions = struct.unpack("<Ii", _read(path, file, 8))
    if magic not in TYPES or not 1 <= dimensions <= 8:
        raise damaged("smallnorb", path, "no binary matrix")
    stored = max(3, dimensions)
    sizes = struct.unpack(f"<{stored}i", _read(path, file, 4 * stored))
    return file, sizes[:dimensions], TYPES[magic]


def _read(path: Path, file: IO[bytes], size: int) -> bytes:
    try:
        data = file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged("smallnorb", path, error) from None
    if len(data) != size:
        raise damaged("smallnorb", path, "it is cut off")
    return data
