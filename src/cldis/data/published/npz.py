"""One array of an .npz file, row by row: it may exceed the memory, and is never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.published.protocol import damaged

CHUNK = 256  # rows read at a time


def npz_pictures(
    data: str, path: Path, key: str, expected: tuple[int, ...]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """(label, picture) of the array `key`, which must have the shape `expected`.

    Raises:
        ValueError: the file is not `data` as published.
    """
    try:
        for number, row in enumerate(npz_rows(path, key, expected)):
            yield f"{data}/{number:06d}", row
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(data, path, error) from None


def npz_rows(path: Path, key: str, expected: tuple[int, ...]) -> Iterator[NDArray[Any]]:
    """The rows of array `key` in order, each an array of one dimension less.

    Raises:
        ValueError: no such array of plain numbers in C order, another shape, or it is cut off.
    """
    with zipfile.ZipFile(path) as archive, _open(archive, key) as member:
        shape, dtype = _header(member, key)
        if shape != expected or dtype != np.uint8:
            raise ValueError(f"its images are {dtype} {list(shape)}, not uint8 {list(expected)}")
        size = int(np.prod(shape[1:]))
        for start in range(0, shape[0], CHUNK):
            rows = min(CHUNK, shape[0] - start)
            content = member.read(rows * size)
            if len(content) != rows * size:
                raise ValueError(f"array {key} ends after row {start + len(content) // size}")
            yield from np.frombuffer(content, dtype).reshape(rows, *shape[1:])


def _open(archive: zipfile.ZipFile, key: str) -> IO[bytes]:
    try:
        return archive.open(f"{key}.npy")
    except KeyError:
        there = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
        raise ValueError(f"there is no array {key}, only {there or 'nothing'}") from None


def _header(member: IO[bytes], key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"array {key} is of .npy version {version}")
    shape, fortran, dtype = read(member)
    if dtype.hasobject or (fortran and len(shape) > 1) or not shape:
        raise ValueError(f"array {key} is no plain array of numbers in C order")
    return shape, dtype
