"""`rooms`: the factor grid of Shapes3D (Kim & Mnih, 2018), drawn by our own ray caster.

480,000 images = 10 floor hues x 10 wall hues x 10 object hues x 8 scales x 4 shapes x 15 yaws.
Only 480 geometries exist: they are rendered once to coefficient maps (`rooms_render`), and an
image is the mix of those maps by its three hues.
"""

from __future__ import annotations

import colorsys
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import default_cache_dir
from cldis.data.grid import checked_side
from cldis.data.rendered import rooms_render
from cldis.data.rendered.array_cache import cached_array
from cldis.data.rendered.colour_mixing import ColourMixing
from cldis.data.source import check_indices
from cldis.io import user_path

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


class Rooms(ColourMixing):
    """All 480,000 images of the grid, addressed by index (mixed radix, last factor fastest).

    The first use at a resolution renders the maps (seconds) and keeps them in the cache folder;
    a cache file that is damaged or of another version is rendered again.

    Args:
        resolution: height and width in pixels: 32, 64 or 128.
        cache_dir: folder of the cache; without it `default_cache_dir()`.
        progress: show a bar while rendering.

    Raises:
        ValueError: the resolution is none of the above.
    """

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        self.resolution = checked_side("rooms", resolution, RESOLUTIONS)
        super().__init__("rooms", FACTORS)
        folder = default_cache_dir() if cache_dir is None else user_path(cache_dir)
        shape = (rooms_render.GEOMETRIES, len(rooms_render.MAPS), resolution, resolution)
        maps = cached_array(
            folder / f"rooms-{resolution}-v{VERSION}.maps",
            shape,
            "<u2",
            lambda: rooms_render.render_maps(self.resolution, progress),
        )
        self.maps = maps.reshape(*shape[:2], -1)
        header = f"{self.name} {VERSION} {self.resolution} ".encode()
        self.fingerprint = hashlib.sha256(header + self.maps.tobytes()).hexdigest()

    def mixture(
        self, indices: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What makes image i (see `colour_mixing`): floor(colours[i] @ maps[geometry[i]] + 1/2).

        Geometry int64 [n] and colours float32 [n, 3, 4] of int indices [n].

        Raises:
            ValueError: an index is outside 0 … 479,999 or no integer.
        """
        hues, geometry = np.divmod(check_indices(indices, len(self)), rooms_render.GEOMETRIES)
        colours = np.empty((len(geometry), 3, len(rooms_render.MAPS)), np.float32)
        colours[:, :, 0] = HUES[hues // 100]
        colours[:, :, 1] = HUES[hues // 10 % 10]
        colours[:, :, 2] = HUES[hues % 10]
        colours[:, :, 3] = LIGHT_COLOUR
        colours *= np.float32(255 / 65535)
        return geometry, colours
