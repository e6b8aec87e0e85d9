"""CelebA (Liu et al., ICCV 2015): aligned photos of faces with 40 attributes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.cache import CachedImages, Item, NoImages, decoded_once
from cldis.data.published.protocol import CELEBA_ATTRIBUTES, damaged, find, identity
from cldis.data.source import check_indices, check_resolution

FOLDER = "img_align_celeba"


class CelebA(CachedImages):
    """The images that list_attr_celeba.txt names, in its order; attributes are binary factors.

    The centre square (178 px) is resized. Photos that are missing or broken are in `skipped`.
    """

    def __init__(
        self, resolution: int, cache_dir: Path | None = None, progress: bool = False
    ) -> None:
        """
        Raises:
            ValueError: a file is missing or not as published, no photo can be used, or the
                resolution is wrong.
            OSError: the cache cannot be written.
        """
        check_resolution(resolution)
        listing = find("celeba", CELEBA_ATTRIBUTES.name)
        folder = find("celeba", FOLDER)
        attributes, names, values = read_attributes(listing)

        def items() -> Iterator[Item]:
            yield from ((name, folder / name) for name in names)

        key = identity("celeba", listing, folder)
        try:
            decoded = decoded_once(key, items(), len(names), resolution, cache_dir, progress)
        except NoImages as error:
            first = "; ".join(f"{name}: {reason}" for name, reason in error.skipped[:3])
            raise damaged("celeba", folder, f"no usable image: {first}") from None
        super().__init__("celeba", resolution, decoded, [])
        self.factor_names = attributes
        self.factor_sizes = (2,) * len(attributes)
        row = {name: number for number, name in enumerate(names)}
        self._values = values[[row[label] for label in decoded.labels]]

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Attributes int64 [n, 40], 1 where the face has it. ValueError as `batch`."""
        return self._values[check_indices(indices, len(self))].astype(np.int64)


def read_attributes(path: Path) -> tuple[tuple[str, ...], list[str], NDArray[np.int8]]:
    """(names of the attributes, names of the images [n], values 0 or 1 [n, 40]).

    The file: the number of images, the attributes' names, then a name and 40 times -1 or 1 a line.

    Raises:
        ValueError: the file is none of that kind.
    """
    try:
        count, header, *lines = path.read_text("utf-8").splitlines()
        attributes = tuple(header.split())
        rows = [line.split() for line in lines if line.strip()]
        values = np.array([row[1:] for row in rows], np.int8).reshape(len(rows), -1)
        if len(rows) != int(count) or values.shape[1] != len(attributes):
            raise ValueError(f"{len(rows)} rows of {values.shape[1]} values, not as its head says")
        if not np.isin(values, (-1, 1)).all():
            raise ValueError("a value is neither -1 nor 1")
    except (ValueError, OverflowError) as error:
        raise damaged("celeba", path, error) from None
    return attributes, [row[0] for row in rows], ((values + 1) // 2).astype(np.int8)
