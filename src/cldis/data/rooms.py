"""`rooms`: the factor grid of Shapes3D (Kim & Mnih, 2018), drawn by our own ray caster.

480,000 images = 10 floor hues x 10 wall hues x 10 object hues x 8 scales x 4 shapes x 15 yaws.
Only 480 geometries exist: they are rendered once to coefficient maps (`rooms_render`), and an
image is the mix of those maps by its three hues.
"""

from __future__ import annotations

import colorsys
import hashlib
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cldis.data import rooms_render
from cldis.data.cache import default_cache_dir
from cldis.io import write_bytes

VERSION = 1  # raise when the pictures change: it names the cache file and enters the fingerprint
RESOLUTIONS = (32, 64, 128)
FACTORS = {
    "floor_hue": 10,
    "wall_hue": 10,
    "object_hue": 10,
    "scale": len(rooms_render.SCALES),
    "shape": len(rooms_render.SHAPES),
    "orientation": len(rooms_render.YAWS),
}
HUES = np.array([colorsys.hsv_to_rgb(step / 10, 1.0, 1.0) for step in range(10)], np.float32)
LIGHT_COLOUR = np.array([0.90, 0.95, 1.0], np.float32)  # of the sky and of highlights


class Rooms:
    """All 480,000 images of the grid, addressed by index (mixed radix, last factor fastest).

    The first use at a resolution renders the maps (seconds) and keeps them in the cache folder;
    a cache file that is damaged or of another version is rendered again.

    Args:
        resolution: height and width in pixels: 32, 64 or 128.
        cache_dir: folder of the cache; without it $CLDIS_CACHE, else ~/.cache/cldis.

    Raises:
        ValueError: the resolution is none of the above.
    """

    name = "rooms"

    def __init__(self, resolution: int, cache_dir: Path | None = None) -> None:
        if resolution not in RESOLUTIONS:
            allowed = ", ".join(map(str, RESOLUTIONS))
            raise ValueError(f"rooms has no resolution {resolution!r}; choose one of {allowed}")
        self.resolution = int(resolution)
        self.factor_names: tuple[str, ...] = tuple(FACTORS)
        self.factor_sizes: tuple[int, ...] = tuple(FACTORS.values())
        self.skipped: list[tuple[str, str]] = []
        folder = default_cache_dir() if cache_dir is None else Path(cache_dir)
        self._maps = _load_maps(folder, self.resolution).reshape(
            rooms_render.GEOMETRIES, len(rooms_render.MAPS), -1
        )
        header = f"{self.name} {VERSION} {self.resolution} ".encode()
        self.fingerprint = hashlib.sha256(header + self._maps.tobytes()).hexdigest()

    def __len__(self) -> int:
        return int(np.prod(self.factor_sizes))

    def batch(self, indices: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Images uint8 [n, 3, resolution, resolution] of int indices [n].

        Raises:
            ValueError: an index is outside 0 … 479,999 or no integer.
        """
        indices = self._checked(indices)
        hues, geometry = np.divmod(indices, rooms_render.GEOMETRIES)
        colours = np.empty((len(indices), 3, len(rooms_render.MAPS)), np.float32)
        colours[:, :, 0] = HUES[hues // 100]
        colours[:, :, 1] = HUES[hues // 10 % 10]
        colours[:, :, 2] = HUES[hues % 10]
        colours[:, :, 3] = LIGHT_COLOUR
        colours *= np.float32(255 / 65535)
        images = np.matmul(colours, self._maps[geometry].astype(np.float32))
        images += np.float32(0.5)  # maps sum to at most 1: truncation rounds, nothing to clip
        pixels: NDArray[np.uint8] = images.astype(np.uint8)
        return pixels.reshape(len(indices), 3, self.resolution, self.resolution)

    def factors(self, indices: NDArray[np.integer]) -> NDArray[np.int64]:
        """Factor values int64 [n, 6] of int indices [n], in the order of `factor_names`.

        Raises:
            ValueError: an index is outside 0 … 479,999 or no integer.
        """
        return np.stack(np.unravel_index(self._checked(indices), self.factor_sizes), axis=1).astype(
            np.int64
        )

    def index(self, factors: NDArray[np.integer]) -> NDArray[np.int64]:
        """Indices int64 [n] of factor values int [n, 6]; the inverse of `factors`.

        Raises:
            ValueError: the shape is not [n, 6] or a value is outside its factor's range.
        """
        factors = np.asarray(factors)
        sizes = self.factor_sizes
        if factors.ndim != 2 or factors.shape[1] != len(sizes) or factors.dtype.kind not in "iu":
            raise ValueError(
                f"rooms needs integer factors of shape [n, {len(sizes)}], got {factors.dtype} "
                f"{list(factors.shape)}; give one column per {', '.join(self.factor_names)}"
            )
        wrong = np.argwhere((factors < 0) | (factors >= np.array(sizes)))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(
                f"{self.factor_names[column]} has no value {factors[row, column]}; "
                f"choose 0 to {sizes[column] - 1}"
            )
        found = np.ravel_multi_index(tuple(factors.astype(np.int64).T), sizes)
        return np.asarray(found, np.int64)

    def label(self, index: int) -> str:
        """Name of one image, such as "rooms/000123"."""
        return f"{self.name}/{int(index):06d}"

    def _checked(self, indices: NDArray[np.integer]) -> NDArray[np.int64]:
        indices = np.asarray(indices)
        if indices.size == 0:
            indices = indices.astype(np.int64)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise ValueError(
                f"rooms needs a list of integer indices, got {indices.dtype} "
                f"{list(indices.shape)}; give integers from 0 to {len(self) - 1}"
            )
        wrong = indices[(indices < 0) | (indices >= len(self))]
        if len(wrong):
            raise ValueError(f"rooms has no image {wrong[0]}; choose 0 to {len(self) - 1}")
        return indices.astype(np.int64)


def _load_maps(folder: Path, resolution: int) -> NDArray[np.uint16]:
    """Maps uint16 [480, 4, resolution, resolution] from the cache, rendered where it has none."""
    path = folder / f"rooms-{resolution}-v{VERSION}.maps"
    shape = (rooms_render.GEOMETRIES, len(rooms_render.MAPS), resolution, resolution)
    cached = _read_maps(path, shape)
    if cached is not None:
        return cached
    maps = rooms_render.render_maps(resolution)
    assert maps.shape == shape
    data = maps.astype("<u2").tobytes()
    try:
        write_bytes(path, hashlib.sha256(data).digest() + data)
    except OSError as error:
        warnings.warn(
            f"{path} could not be written ({error}); rooms will be rendered again next time, "
            "set CLDIS_CACHE to a folder with space",
            stacklevel=3,
        )
    return maps


def _read_maps(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint16] | None:
    """Cached maps, or None where the file is missing, cut off or fails its SHA-256."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, data = content[:32], memoryview(content)[32:]
    if len(data) != 2 * int(np.prod(shape)) or hashlib.sha256(data).digest() != digest:
        return None
    return np.frombuffer(data, "<u2").astype(np.uint16).reshape(shape)
