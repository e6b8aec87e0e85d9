"""A full grid of known factors: every combination of values is one image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.source import check_indices


def checked_side(name: str, resolution: int, allowed: tuple[int, ...]) -> int:
    """`resolution` itself, when `name` is drawn at it.

    Raises:
        ValueError: it is none of `allowed`.
    """
    if resolution not in allowed:
        choices = ", ".join(map(str, allowed))
        raise ValueError(f"{name} has no resolution {resolution!r}; choose one of {choices}")
    return int(resolution)


class FactorGrid:
    """Numbers and labels of a grid, addressed in mixed radix with the last factor fastest.

    A sub-class adds `batch`, `resolution` and `fingerprint`, which makes it an `ImageSource`.
    """

    def __init__(self, name: str, factors: dict[str, int]) -> None:
        """`factors`: number of values of each factor, in order."""
        self.name = name
        self.factor_names: tuple[str, ...] = tuple(factors)
        self.factor_sizes: tuple[int, ...] = tuple(factors.values())
        self.skipped: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return int(np.prod(self.factor_sizes))

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        """Factor values int64 [n, k] of int indices [n], in the order of `factor_names`.

        Raises:
            ValueError: an index is outside 0..len-1 or no integer.
        """
        values = np.unravel_index(check_indices(indices, len(self)), self.factor_sizes)
        return np.stack(values, axis=1).astype(np.int64)

    def index(self, factors: NDArray[Any]) -> NDArray[np.int64]:
        """Indices int64 [n] of factor values int [n, k]; the inverse of `factors`.

        Raises:
            ValueError: the shape is not [n, k] or a value is outside its factor's range.
        """
        factors = np.asarray(factors)
        sizes = self.factor_sizes
        if factors.ndim != 2 or factors.shape[1] != len(sizes) or factors.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name} needs integer factors of shape [n, {len(sizes)}], got "
                f"{factors.dtype} {list(factors.shape)}; give one column per "
                f"{', '.join(self.factor_names)}"
            )
        wrong = np.argwhere((factors < 0) | (factors >= np.array(sizes)))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(
                f"{self.factor_names[column]} has no value {factors[row, column]}; "
                f"choose 0 to {sizes[column] - 1}"
            )
        return np.asarray(np.ravel_multi_index(tuple(factors.T), sizes), np.int64)

    def label(self, index: int) -> str:
        """Name of one image, such as "rooms/000123"."""
        return f"{self.name}/{int(index):06d}"
