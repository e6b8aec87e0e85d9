"""The array types that the whole package uses, and two ways to take some of many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]


def some(count: int, most: int, seed: int | np.random.Generator = 0) -> Integers:
    """At most `most` of 0..count-1, at random, rising."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    chosen = np.random.default_rng(seed).choice(count, most, replace=False)
    return np.sort(chosen).astype(np.int64)


def spread(count: int, most: int) -> Integers:
    """At most `most` of 0..count-1, evenly spread, rising."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
