"""A published data set whose images fill a grid of factors, decoded once at one resolution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import decoded_once
from cldis.data.grid import FactorGrid
from cldis.data.published.protocol import identity
from cldis.data.source import check_indices, check_resolution


class PublishedGrid(FactorGrid):
    """Images from the cache of decoded images, in the order of the grid."""

    def __init__(
        self,
        name: str,
        factors: dict[str, int],
        files: Sequence[Path],
        pictures: Iterable[tuple[str, NDArray[np.uint8]]],
        resolution: int,
        cache_dir: Path | None,
        progress: bool,
    ) -> None:
        """
        Args:
            files: what the pictures are read from: a change of one makes a new cache.
            pictures: a label and uint8 [H, W] or [H, W, 3] for each cell of the grid; consumed
                only where the cache does not hold them.

        Raises:
            ValueError: the resolution cannot be used, or whatever `pictures` raises.
            OSError: the cache cannot be written.
        """
        super().__init__(name, factors)
        self.resolution = check_resolution(resolution)
        self.stored = decoded_once(
            identity(name, *files), pictures, len(self), resolution, cache_dir, progress
        )
        assert not self.stored.skipped and len(self.stored.labels) == len(self)
        self.fingerprint = self.stored.fingerprint

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the images of the grid lie in the cache: itself, unless a sub-class reorders."""
        return indices

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images uint8 [n, 3, resolution, resolution] of int indices [n], a copy.

        Raises:
            ValueError: an index is outside 0..len-1 or no integer.
        """
        return self.stored.images[self.rows(check_indices(indices, len(self)))]
