"""What holds for every rendered data set on a grid of factors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cldis.data.grid import FactorGrid
from cldis.data.source import ImageSource


def image(source: ImageSource, factors: tuple[int, ...]) -> np.ndarray:
    """The picture [3, H, W] of one combination of factors."""
    assert isinstance(source, FactorGrid)
    return source.batch(source.index(np.array([factors])))[0]


def check_grid(source: ImageSource, sizes: tuple[int, ...]) -> None:
    """Sizes, labels, no images, and wrong numbers."""
    count, side = int(np.prod(sizes)), source.resolution
    assert len(source) == count and source.factor_sizes == sizes and source.skipped == []
    assert len(source.factor_names) == len(sizes)
    images = source.batch(np.array([0, count - 1]))
    assert images.shape == (2, 3, side, side) and images.dtype == np.uint8
    assert source.batch(np.array([], np.int64)).shape == (0, 3, side, side)
    assert source.label(7) == f"{source.name}/000007"
    for wrong, message in (
        ([count], rf"number {count} is outside 0\.\.{count - 1}"),
        ([3, -1], "number -1 is outside"),
        ([0.5], "array of integers"),
        ([[1]], "array of integers"),
    ):
        for call in (source.batch, source.factors):
            with pytest.raises(ValueError, match=message):
                call(np.array(wrong))


def check_blocked_cache(
    open_in: Callable[[Path], ImageSource], good: ImageSource, tmp: Path
) -> None:
    """A cache that cannot be written is a warning, and the images are the same."""
    (tmp / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="CLDIS_CACHE"):
        assert open_in(tmp / "file" / "cache").fingerprint == good.fingerprint


def damaged(content: bytes, how: str) -> bytes:
    """The bytes of a file with one bit flipped, cut off, or none."""
    if how == "flip":
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    return content[: len(content) // 3 if how == "cut" else 0]
