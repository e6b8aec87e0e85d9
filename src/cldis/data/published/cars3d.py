"""Cars3D (Reed et al., NeurIPS 2015): one MATLAB file per car, in a folder or the published tar."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cldis.data.published.grid import PublishedGrid
from cldis.data.published.protocol import CARS3D, damaged, find

CARS, AZIMUTHS, ELEVATIONS = 183, 24, 4
FACTORS = {"elevation": ELEVATIONS, "azimuth": AZIMUTHS, "object": CARS}
PICTURE = (128, 128, 3)


class Cars3d(PublishedGrid):
    """17,568 renderings of 183 cars; object numbers follow the names of the files."""

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """
        Raises:
            ValueError: the files are missing or not as published, or the resolution is wrong.
            OSError: the cache cannot be written.
        """
        path = find("cars3d", "data/cars", "cars", CARS3D.name)
        files = sorted(path.glob("*_mesh.mat")) if path.is_dir() else [path]
        pictures = _images(path, files)
        super().__init__("cars3d", FACTORS, files, pictures, resolution, cache_dir, progress)
        cars = [label.split("/")[0] for label in self.stored.labels[:: AZIMUTHS * ELEVATIONS]]
        self._place = np.argsort(cars)  # object number -> position of the car in the cache

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cache holds one car after the other: [car, azimuth, elevation]."""
        elevation, azimuth, car = np.unravel_index(indices, self.factor_sizes)
        return (self._place[car] * AZIMUTHS + azimuth) * ELEVATIONS + elevation


def _images(path: Path, files: list[Path]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    seen = 0
    try:
        for name, content in _tar_members(path) if path.is_file() else _contents(files):
            pictures = loadmat(io.BytesIO(content))["im"]
            if pictures.shape != (*PICTURE, AZIMUTHS, ELEVATIONS) or pictures.dtype != np.uint8:
                raise ValueError(f"the images of {name} are {pictures.dtype} {pictures.shape}")
            seen += 1
            for azimuth in range(AZIMUTHS):
                for elevation in range(ELEVATIONS):
                    picture = np.ascontiguousarray(pictures[..., azimuth, elevation])
                    yield f"{name}/{azimuth:02d}/{elevation}", picture
        if seen != CARS:
            raise ValueError(f"it holds {seen} cars, not {CARS}")
    except (
        *(ValueError, KeyError, OSError, EOFError, tarfile.TarError, zlib.error),
        *(MatReadError, TypeError, NotImplementedError),  # what loadmat says of broken files
    ) as error:
        raise damaged("cars3d", path, error) from None


def _contents(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    yield from ((file.stem, file.read_bytes()) for file in files)


def _tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the cars, in the order of the archive; nothing is written to disk."""
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if member.isfile() and name.parent.name == "cars" and name.match("*_mesh.mat"):
                file = archive.extractfile(member)
                assert file is not None
                yield name.stem, file.read()
