"""The one interface behind which every image lives, and the door that opens it by name."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cldis.io import user_path

# Made here, then read from the publishers' files (docs/data.md).
MADE = ("rooms", "kuka", "robots")
PUBLISHED = (
    "dsprites",
    "shapes3d",
    "mpi3d_toy",
    "mpi3d_real",
    "mpi3d_real_complex",
    "cars3d",
    "smallnorb",
    "celeba",
)
NAMES = MADE + PUBLISHED
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


def open_data(
    path_or_name: str | Path,
    resolution: int,
    cache_dir: Path | None = None,
    progress: bool = False,
) -> ImageSource:
    """Open images by name.

    Args:
        path_or_name: a name of `NAMES`, such as `rooms` (docs/data.md); a folder of images (write
            `./rooms` for a folder of that name); `hf:NAME`, `hf:NAME:CONFIG` or `owner/name` for a
            Hugging Face dataset.
        resolution: side of the square images in pixels, a multiple of 8 in 8..1024.
        cache_dir: where decoded images are kept; default `cache.default_cache_dir()`.
        progress: show a progress bar while decoding.

    Raises:
        ValueError: unknown name, no usable image, a file or an extra that is missing, or a
            resolution that cannot be used.
        OSError: the cache cannot be written.
    """
    check_resolution(resolution)
    text = str(path_or_name)
    if text in NAMES:
        return _known(text, resolution, cache_dir, progress)
    if text.startswith("hf:"):
        from cldis.data.hub import Hub

        return Hub(text.removeprefix("hf:"), resolution, cache_dir, progress)
    path = user_path(text)
    if text and os.path.isdir(path):
        from cldis.data.folder import Folder

        return Folder(path, resolution, cache_dir, progress)
    if text and os.path.exists(path):
        raise ValueError(f"{text} is a single file, not a folder of images; give {path.parent}")
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text) and not os.path.isdir(path.parent):
        from cldis.data.hub import Hub

        return Hub(text, resolution, cache_dir, progress)
    raise ValueError(_unknown(text, path))


def _known(name: str, resolution: int, cache_dir: Path | None, progress: bool) -> ImageSource:
    """One of `NAMES`; each is imported when it is asked for."""
    match name:
        case "rooms":
            from cldis.data.rendered.rooms import Rooms

            return Rooms(resolution, cache_dir)
        case "kuka":
            from cldis.data.rendered.kuka import Kuka

            return Kuka(resolution, cache_dir, progress)
        case "robots":
            from cldis.data.rendered.robots import Robots

            return Robots(resolution, cache_dir)
        case "dsprites":
            from cldis.data.published.dsprites import DSprites

            return DSprites(resolution, cache_dir, progress)
        case "shapes3d":
            from cldis.data.published.shapes3d import Shapes3d

            return Shapes3d(resolution, cache_dir, progress)
        case "cars3d":
            from cldis.data.published.cars3d import Cars3d

            return Cars3d(resolution, cache_dir, progress)
        case "smallnorb":
            from cldis.data.published.smallnorb import SmallNorb

            return SmallNorb(resolution, cache_dir, progress)
        case "celeba":
            from cldis.data.published.celeba import CelebA

            return CelebA(resolution, cache_dir, progress)
    from cldis.data.published.mpi3d import Mpi3d

    return Mpi3d(name, resolution, cache_dir, progress)


def _unknown(text: str, path: Path) -> str:
    """One line on a name that nothing answers to, with the nearest name that something does."""
    known = {name: name for name in NAMES}
    if text and os.path.isdir(path.parent):
        try:
            folders = [entry for entry in path.parent.iterdir() if entry.is_dir()]
        except OSError:
            folders = []
        known |= {folder.name: str(folder) for folder in folders if folder.name not in known}
    near = difflib.get_close_matches(path.name, known, n=1)
    fix = f"did you mean {known[near[0]]!r}?" if near else "check the path"
    return (
        f"data {text!r} is neither a folder nor a known name ({', '.join(NAMES)}) nor a Hugging "
        f"Face dataset (hf:NAME or owner/name); {fix}"
    )
