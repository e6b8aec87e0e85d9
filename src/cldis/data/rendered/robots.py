"""`robots`: a million drawn robots from the part layers of robohash's set 1.

10 colours x 10 bodies x 10 faces x 10 accessories x 10 eyes x 10 mouths. The layers are resized
once; an image stacks five of them on white. The drawings are by Zikri Kader (CC-BY-3.0 or 4.0).
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cldis.data.cache import default_cache_dir
from cldis.data.catalogue import install_command
from cldis.data.grid import FactorGrid, checked_side
from cldis.data.rendered.array_cache import cached_array
from cldis.io import user_path
from cldis.progress import each

VERSION = 1  # raise when the pictures change: it names the cache file and enters the fingerprint
RESOLUTIONS = (32, 64, 128)
COLOURS = (
    "blue",
    "brown",
    "green",
    "grey",
    "orange",
    "pink",
    "purple",
    "red",
    "white",
    "yellow",
)
# From back to front, with the folders that robohash gives them.
LAYERS = {
    "body": "003#01Body",
    "face": "004#02Face",
    "accessory": "002#Accessory",
    "eyes": "001#Eyes",
    "mouth": "000#Mouth",
}
VARIANTS = 10


class Robots(FactorGrid):
    """All images of the grid, addressed by index (mixed radix, last factor fastest).

    The first use at a resolution reads the drawings (seconds, needs robohash) and keeps the layers
    in the cache folder; a damaged cache file is made again.

    Args:
        resolution: height and width in pixels: 32, 64 or 128.
        cache_dir: folder of the cache; without it `default_cache_dir()`.
        progress: show a bar while drawing.

    Raises:
        ValueError: the resolution is none of the above, or robohash is needed and not installed.
    """

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        self.resolution = checked_side("robots", resolution, RESOLUTIONS)
        super().__init__("robots", {"colour": len(COLOURS), **dict.fromkeys(LAYERS, VARIANTS)})
        folder = default_cache_dir() if cache_dir is None else user_path(cache_dir)
        layers = cached_array(
            folder / f"robots-{resolution}-v{VERSION}.layers",
            (len(COLOURS), len(LAYERS), VARIANTS, 4, resolution, resolution),
            "|u1",
            lambda: read_layers(self.resolution, progress),
        )
        header = f"{self.name} {VERSION} {self.resolution} ".encode()
        self.fingerprint = hashlib.sha256(header + layers.tobytes()).hexdigest()
        self._layers = layers.reshape(*layers.shape[:4], -1)

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images uint8 [n, 3, resolution, resolution] of int indices [n].

        Raises:
            ValueError: an index is outside 0..len-1 or no integer.
        """
        factors = self.factors(indices)
        images = np.full((len(factors), 3, self.resolution**2), 255.0, np.float32)
        for layer in range(len(LAYERS)):
            part = self._layers[factors[:, 0], layer, factors[:, 1 + layer]].astype(np.float32)
            images *= 1 - part[:, 3:] / 255
            images += part[:, :3]
        images += np.float32(0.5)  # colour never exceeds alpha: truncation rounds, nothing to clip
        pixels: NDArray[np.uint8] = images.astype(np.uint8)
        return pixels.reshape(len(factors), 3, self.resolution, self.resolution)


def read_layers(resolution: int, progress: bool = False) -> NDArray[np.uint8]:
    """Every layer, means over areas: uint8 [colour, layer, variant, 4, resolution, resolution].

    The channels are red, green and blue times alpha, and alpha.

    Raises:
        ValueError: robohash is not installed, or has not the drawings of its version 2.
    """
    package = importlib.util.find_spec("robohash")
    if package is None or package.origin is None:
        raise ValueError(
            f"robots is drawn in robohash, which is not installed: {install_command('robots')}"
        )
    root = Path(package.origin).parent / "sets" / "set1"
    shape = (len(COLOURS), len(LAYERS), VARIANTS, 4, resolution, resolution)
    layers = np.empty(shape, np.uint8)
    names = each(COLOURS, len(COLOURS), "drawing robots", "colours", not progress)
    for colour, colour_name in enumerate(names):
        for layer, folder in enumerate(LAYERS.values()):
            files = {_variant(file): file for file in (root / colour_name / folder).glob("*.png")}
            if sorted(files) != list(range(VARIANTS)):
                raise ValueError(
                    f"robohash has not 10 drawings in {root / colour_name / folder}; "
                    "install it again: pip install --force-reinstall 'robohash>=2.0'"
                )
            for variant, file in files.items():
                with Image.open(file) as image:
                    whole = image.convert("RGBA").convert("RGBa")
                small = whole.resize((resolution, resolution), Image.Resampling.BOX)
                layers[colour, layer, variant] = np.asarray(small).transpose(2, 0, 1)
    layers[..., :3, :, :] = np.minimum(layers[..., :3, :, :], layers[..., 3:, :, :])
    return layers


def _variant(file: Path) -> int:
    """0..9 from a name such as `003#blue_eyes-02.png`, the same drawing in every colour."""
    number = re.search(r"-(\d+)$", file.stem)
    return int(number[1]) - 1 if number else -1
