"""The one interface behind which every image lives, and what is asked of its arguments."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

MIN_RESOLUTION, MAX_RESOLUTION, RESOLUTION_STEP = 8, 1024, 8


class ImageSource(Protocol):
    """A fixed list of square images, addressed by index.

    Attributes:
        name: short name for people, such as `rooms` or the folder's own name.
        resolution: side in pixels; H = W = resolution.
        fingerprint: sha256 (hex) of the decoded content and the settings it was decoded with.
        factor_names: names of the known factors; empty when nobody labelled the images.
        factor_sizes: number of values of each factor; empty likewise.
        skipped: (path, reason in words) of what could not be used.
    """

    name: str
    resolution: int
    fingerprint: str
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    skipped: list[tuple[str, str]]

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images [n, 3, H, W], uint8 in 0..255, RGB; n may be 0.

        Raises:
            ValueError: an index is no integer or outside 0..len-1.
        """
        ...

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Factor values [n, k], int64, each in 0..size-1; k is 0 without labels.

        Raises:
            ValueError: an index is no integer or outside 0..len-1.
        """
        ...

    def label(self, index: int) -> str:
        """What to call image `index`: its path below the folder, `rooms/000123`, ..."""
        ...


def check_resolution(resolution: int) -> int:
    """`resolution` itself, when images can be made of that side.

    Raises:
        ValueError: not a whole number in 8..1024 that 8 divides.
    """
    whole = isinstance(resolution, int | np.integer) and not isinstance(resolution, bool)
    if (
        whole
        and MIN_RESOLUTION <= resolution <= MAX_RESOLUTION
        and resolution % RESOLUTION_STEP == 0
    ):
        return int(resolution)
    fix = ""
    if whole:
        nearest = round(int(resolution) / RESOLUTION_STEP) * RESOLUTION_STEP
        fix = f"; try {min(max(nearest, MIN_RESOLUTION), MAX_RESOLUTION)}"
    raise ValueError(
        f"resolution {resolution!r} cannot be used: it must be a multiple of {RESOLUTION_STEP} "
        f"from {MIN_RESOLUTION} to {MAX_RESOLUTION}{fix}"
    )


def check_indices(indices: Any, length: int) -> NDArray[np.int64]:
    """Image numbers as int64 [n].

    Raises:
        ValueError: not one-dimensional, not integers, or outside 0..length-1.
    """
    array = np.asarray(indices)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"image numbers must be a one-dimensional array of integers, not {array.dtype} of "
            f"shape {array.shape}; pass for example numpy.arange(8)"
        )
    if array.size and (array.min() < 0 or array.max() >= length):
        wrong = array[(array < 0) | (array >= length)][0]
        raise ValueError(f"image number {wrong} is outside 0..{length - 1}; pass one inside it")
    return array.astype(np.int64)
