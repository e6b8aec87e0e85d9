"""MPI3D (Gondal et al., NeurIPS 2019) from its published .npz files, each variant by its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from cldis.data.published.grid import PublishedGrid
from cldis.data.published.npz import npz_pictures
from cldis.data.published.protocol import FILES, find

# Colours and shapes; the other factors are the same everywhere.
VARIANTS = {"mpi3d_toy": (6, 6), "mpi3d_real": (6, 6), "mpi3d_real_complex": (4, 4)}
OTHERS = {
    "object_size": 2,
    "camera_height": 3,
    "background_colour": 3,
    "horizontal": 40,
    "vertical": 40,
}
PICTURE = (64, 64, 3)


class Mpi3d(PublishedGrid):
    """1,036,800 images (toy, real) or 460,800 (real_complex) of an arm that carries an object."""

    def __init__(
        self, name: str, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """`name` is a key of `VARIANTS`.

        Raises:
            ValueError: the file is missing or not as published, or the resolution is wrong.
            OSError: the cache cannot be written.
        """
        colours, shapes = VARIANTS[name]
        factors = {"object_colour": colours, "object_shape": shapes, **OTHERS}
        count = int(np.prod(list(factors.values())))
        path = find(name, FILES[name][0].name)
        pictures = npz_pictures(name, path, "images", (count, *PICTURE))
        super().__init__(name, factors, [path], pictures, resolution, cache_dir, progress)


Toy = partial(Mpi3d, "mpi3d_toy")
Real = partial(Mpi3d, "mpi3d_real")
RealComplex = partial(Mpi3d, "mpi3d_real_complex")
