"""Shapes3D (Burgess & Kim, 2018) from its published HDF5 file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cldis.data.catalogue import install_command
from cldis.data.published.grid import PublishedGrid
from cldis.data.published.protocol import SHAPES3D, damaged, find

FACTORS = {
    "floor_hue": 10,
    "wall_hue": 10,
    "object_hue": 10,
    "scale": 8,
    "shape": 4,
    "orientation": 15,
}
PICTURE = (64, 64, 3)
CHUNK = 256  # images read at a time


class Shapes3d(PublishedGrid):
    """480,000 images of an object in a room. Reading the file needs h5py; the cache does not."""

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """
        Raises:
            ValueError: the file is missing or not as published, h5py is not installed, or the
                resolution is wrong.
            OSError: the cache cannot be written.
        """
        path = find("shapes3d", SHAPES3D.name)
        count = int(np.prod(list(FACTORS.values())))
        pictures = _images(path, count)
        super().__init__("shapes3d", FACTORS, [path], pictures, resolution, cache_dir, progress)


def _images(path: Path, count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    try:
        import h5py
    except ImportError:
        raise ValueError(
            f"3dshapes.h5 is read by h5py, which is not installed: {install_command('shapes3d')}"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            images = file["images"]
            if images.shape != (count, *PICTURE) or images.dtype != np.uint8:
                raise damaged("shapes3d", path, f"its images are {images.dtype} {images.shape}")
            for start in range(0, count, CHUNK):
                for offset, row in enumerate(images[start : start + CHUNK]):
                    yield f"shapes3d/{start + offset:06d}", row
    except (OSError, KeyError) as error:
        raise damaged("shapes3d", path, error) from None
