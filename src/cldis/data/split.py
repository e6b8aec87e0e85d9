"""Which images train and which are held out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_HELD_OUT = 512
HELD_OUT_SHARE = 20


def split(source_len: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training, held-out) image numbers, each sorted int64 [n], the same at every call.

    One image in twenty is held out, at least 1 and at most 512. A single image is both trained on
    and held out.

    Raises:
        ValueError: no image.
    """
    if source_len < 1:
        raise ValueError(f"cannot split {source_len} images; give data with at least 1 image")
    if source_len == 1:
        return np.zeros(1, np.int64), np.zeros(1, np.int64)
    count = min(MAX_HELD_OUT, max(1, source_len // HELD_OUT_SHARE))
    order = np.random.default_rng(0).permutation(source_len).astype(np.int64)
    return np.sort(order[count:]), np.sort(order[:count])
