"""One array that is dear to compute, kept in a file that proves itself: SHA-256, then the data."""

from __future__ import annotations

import hashlib
import mmap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.io import write_bytes

DIGEST = 32  # bytes of the SHA-256 at the start


def cached_array(
    path: Path, shape: tuple[int, ...], dtype: str, compute: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """The array of `path`, mapped read-only; computed and written there where it has no good one.

    Args:
        path: the file; its name should hold whatever the content depends on.
        shape: of the array.
        dtype: of the array, with its byte order, such as "<u2" or "|u1".
        compute: gives the array of that shape and type.

    A folder that cannot be written is a warning, not an error.
    """
    stored = read_array(path, shape, dtype)
    if stored is not None:
        return stored
    values = compute()
    write_array(path, values, dtype)
    return values


def write_array(path: Path, values: NDArray[Any], dtype: str) -> None:
    """Write `values` to `path` atomically; only warn where that is not possible."""
    data = np.ascontiguousarray(values, dtype).data.cast("B")
    try:
        write_bytes(path, b"".join([hashlib.sha256(data).digest(), data]))
    except OSError as error:
        warnings.warn(
            f"{path} could not be written ({error}); it will be made again next time, "
            "set CLDIS_CACHE to a folder with space",
            stacklevel=4,
        )


def read_array(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[Any] | None:
    """The array in `path`, or None where the file is missing, cut off or fails its SHA-256."""
    length = DIGEST + int(np.prod(shape)) * np.dtype(dtype).itemsize
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None
    view = memoryview(content)
    if len(view) != length or hashlib.sha256(view[DIGEST:]).digest() != view[:DIGEST]:
        return None
    return np.frombuffer(view, dtype, offset=DIGEST).reshape(shape)
