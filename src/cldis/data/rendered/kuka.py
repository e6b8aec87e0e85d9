"""`kuka`: an arm that carries an object, with factors like those of MPI3D (Gondal et al. 2019).

172,800 images = 6 object colours x 4 shapes x 2 sizes x 3 camera heights x 3 background colours x
20 turns of the base x 20 tilts of the shoulder. Only 9,600 geometries exist: they are rendered once
to coefficient maps (`kuka_render`), and an image is the mix of those maps by its two colours.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import default_cache_dir
from cldis.data.grid import checked_side
from cldis.data.rendered import kuka_render
from cldis.data.rendered.array_cache import cached_array, read_array, write_array
from cldis.data.rendered.colour_mixing import ColourMixing
from cldis.io import user_path

VERSION = 1  # raise when the pictures change: it names the cache file and enters the fingerprint
RESOLUTIONS = (32, 64)
# No channel above 0.98: the rounding of three maps then cannot overflow a byte.
OBJECT_COLOURS = {
    "white": (0.98, 0.98, 0.98),
    "red": (0.90, 0.08, 0.08),
    "green": (0.15, 0.80, 0.10),
    "blue": (0.10, 0.20, 0.95),
    "yellow": (0.98, 0.90, 0.10),
    "black": (0.06, 0.06, 0.06),
}
BACKGROUND_COLOURS = {
    "purple": (0.56, 0.42, 0.74),
    "sea_green": (0.30, 0.68, 0.60),
    "salmon": (0.98, 0.62, 0.50),
}
ARM_COLOUR = (0.42, 0.43, 0.46)


class Kuka(ColourMixing):
    """All images of the grid, addressed by index (mixed radix, last factor fastest).

    The first use renders the maps (a minute or two, needs PyBullet) and keeps them in the cache
    folder; a cache file that is damaged or of another version is rendered again. With a good
    cache file PyBullet is not needed.

    Args:
        resolution: height and width in pixels: 32 or 64.
        cache_dir: folder of the cache; without it `default_cache_dir()`.
        progress: show a bar while rendering.
        steps: number of values of each joint angle, at least 2; the range stays the same.

    Raises:
        ValueError: the resolution is none of the above, or PyBullet is needed and not installed.
    """

    def __init__(
        self,
        resolution: int,
        cache_dir: Path | None = None,
        progress: bool = False,
        steps: int = kuka_render.STEPS,
    ) -> None:
        self.resolution = checked_side("kuka", resolution, RESOLUTIONS)
        assert steps >= 2
        factors = {
            "object_colour": len(OBJECT_COLOURS),
            "object_shape": len(kuka_render.SHAPES),
            "object_size": len(kuka_render.SIZES),
            "camera_height": len(kuka_render.CAMERAS),
            "background_colour": len(BACKGROUND_COLOURS),
            "horizontal": steps,
            "vertical": steps,
        }
        super().__init__("kuka", factors)
        folder = default_cache_dir() if cache_dir is None else user_path(cache_dir)
        maps = _load_maps(folder, self.resolution, steps, progress)
        header = f"{self.name} {VERSION} {self.resolution} {steps} ".encode()
        digest = hashlib.sha256(header)
        digest.update(maps.data)
        self.fingerprint = digest.hexdigest()
        self.maps = maps.reshape(len(maps), len(kuka_render.MAPS), -1)

    def mixture(self, indices: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What makes image i (see `colour_mixing`): floor(colours[i] @ maps[geometry[i]] + 1/2).

        Geometry int64 [n] and colours float32 [n, 3, 3] of int indices [n].

        Raises:
            ValueError: an index is outside 0..len-1 or no integer.
        """
        factors = self.factors(indices)
        colours = np.empty((len(factors), 3, len(kuka_render.MAPS)), np.float32)
        colours[:, :, 0] = np.array(list(BACKGROUND_COLOURS.values()), np.float32)[factors[:, 4]]
        colours[:, :, 1] = np.array(ARM_COLOUR, np.float32)
        colours[:, :, 2] = np.array(list(OBJECT_COLOURS.values()), np.float32)[factors[:, 0]]
        drawn = [1, 2, 3, 5, 6]  # the factors that are geometry
        sizes = [self.factor_sizes[column] for column in drawn]
        geometry = np.ravel_multi_index(tuple(factors[:, drawn].T), sizes)
        return np.asarray(geometry, np.int64), colours


def _load_maps(folder: Path, resolution: int, steps: int, progress: bool) -> NDArray[np.uint8]:
    """Maps uint8 [geometries, 3, resolution, resolution] from the cache, rendered if it has none.

    What is rendered is kept at both resolutions, so that the second one is free.
    """
    sides = {side: folder / f"kuka-{side}-{steps}-v{VERSION}.maps" for side in RESOLUTIONS}
    geometries = (
        len(kuka_render.SHAPES) * len(kuka_render.SIZES) * len(kuka_render.CAMERAS) * steps**2
    )
    shapes = {side: (geometries, len(kuka_render.MAPS), side, side) for side in RESOLUTIONS}
    small, large = RESOLUTIONS

    def render() -> NDArray[np.uint8]:
        return kuka_render.render_maps(steps, progress)

    def shrink() -> NDArray[np.uint8]:
        maps = cached_array(sides[large], shapes[large], "|u1", render)
        return _halved(maps)

    if resolution == small:
        return cached_array(sides[small], shapes[small], "|u1", shrink)
    maps = cached_array(sides[large], shapes[large], "|u1", render)
    if read_array(sides[small], shapes[small], "|u1") is None:
        write_array(sides[small], _halved(maps), "|u1")
    return maps


def _halved(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means over blocks of 2 x 2 pixels, halves upwards: uint8 [n, k, side / 2, side / 2]."""
    n, k, side, _ = maps.shape
    blocks = maps.reshape(n, k, side // 2, 2, side // 2, 2)
    total = blocks[:, :, :, 0, :, 0].astype(np.uint16)
    for row, column in ((0, 1), (1, 0), (1, 1)):
        total += blocks[:, :, :, row, :, column]
    total += 2
    return (total // 4).astype(np.uint8)
