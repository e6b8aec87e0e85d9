"""dSprites (Matthey et al., 2017) from its published .npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cldis.data.published.grid import PublishedGrid
from cldis.data.published.npz import npz_pictures
from cldis.data.published.protocol import DSPRITES, find

FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
SIDE = 64
BLACK, WHITE = np.uint8(0), np.uint8(255)


class DSprites(PublishedGrid):
    """737,280 white sprites on black; the constant factor colour of the file is left out.

    The file also holds a pickled array, `metadata`, which is never read.
    """

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """
        Raises:
            ValueError: the file is missing or not as published, or the resolution is wrong.
            OSError: the cache cannot be written.
        """
        path = find("dsprites", DSPRITES.name)
        count = int(np.prod(list(FACTORS.values())))
        pictures = npz_pictures("dsprites", path, "imgs", (count, SIDE, SIDE))
        white = ((label, np.where(row, WHITE, BLACK)) for label, row in pictures)
        super().__init__("dsprites", FACTORS, [path], white, resolution, cache_dir, progress)
