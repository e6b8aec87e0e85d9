"""A published data set whose images fill a grid of factors, decoded once at one resolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import Decoded, Item, decoded_once
from cldis.data.grid import FactorGrid
from cldis.data.source import check_indices, check_resolution


class PublishedGrid(FactorGrid):
    """Images from the cache of decoded images, in the order of the grid."""

    def __init__(
        self, name: str, factors: dict[str, int], resolution: int, decoded: Decoded
    ) -> None:
        """`decoded` holds one image for each cell of the grid, in the order of the grid."""
        super().__init__(name, factors)
        assert len(decoded.labels) == len(self), (len(decoded.labels), len(self))
        self.resolution = resolution
        self.fingerprint = decoded.fingerprint
        self.stored = decoded

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the images of the grid lie in the cache: itself, unless a sub-class reorders."""
        return indices

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images uint8 [n, 3, resolution, resolution] of int indices [n], a copy.

        Raises:
            ValueError: an index is outside 0..len-1 or no integer.
        """
        return self.stored.images[self.rows(check_indices(indices, len(self)))]


def decode_arrays(
    identity: Any,
    images: Iterable[tuple[str, NDArray[np.uint8]]],
    count: int,
    resolution: int,
    cache_dir: Path | None,
    progress: bool,
) -> Decoded:
    """`decoded_once` for labelled pictures uint8 [H, W] or [H, W, 3].

    Raises:
        ValueError: the resolution cannot be used, or whatever `images` raises.
        OSError: the cache cannot be written.
    """
    check_resolution(resolution)

    def items() -> Iterator[Item]:
        yield from images

    decoded = decoded_once(identity, items(), count, resolution, cache_dir, progress)
    assert not decoded.skipped, "an array was not decoded"
    return decoded
