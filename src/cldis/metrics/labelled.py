"""What every labelled metric expects: finite codes beside integer factors, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cldis.arrays import Floats, Integers


@dataclass(frozen=True)
class Labelled:
    """Codes and the factors of the same images, checked.

    Factor values are renumbered 0, 1, ... in their order, without gaps.
    """

    codes: Floats  # [n, d]
    factors: Integers  # [n, k], column j in [0, sizes[j])
    sizes: tuple[int, ...]

    def rows(self, chosen: Integers) -> Labelled:
        """Some of the rows, numbered as before."""
        return Labelled(self.codes[chosen], self.factors[chosen], self.sizes)

    def split(self, train: int, test: int, seed: int) -> tuple[Labelled, Labelled]:
        """Random disjoint rows to train and test on.

        At most as many as asked. When there are fewer rows they are shared in the same ratio.
        """
        n = len(self.codes)
        if train + test > n:
            train = n * train // (train + test)
            test = n - train
        order = np.random.default_rng([seed, 1]).permutation(n)
        return self.rows(order[:train]), self.rows(order[train : train + test])


def labelled(codes: Any, factors: Any, unit_size: int = 1) -> Labelled:
    """Check codes and factors, and reduce vector-valued units to one number each.

    Args:
        codes: float [n, d], finite.
        factors: integer [n, k], any values; every column must hold at least two.
        unit_size: columns of `codes` per unit (see `reduce_units`).

    Raises:
        ValueError: shapes that do not fit, fewer than 10 rows, NaN or infinity, factors that are no
            integers, a factor with one value only, or one whose every row has a value of its own.
    """
    codes, factors = np.asarray(codes), np.asarray(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError(
            f"codes {list(codes.shape)} and factors {list(factors.shape)} do not fit; "
            f"expected [n, d] and [n, k] with one row per image in both"
        )
    if len(codes) < 10 or not codes.shape[1] or not factors.shape[1]:
        raise ValueError(
            f"codes {list(codes.shape)} and factors {list(factors.shape)} are too small to score; "
            f"give at least 10 rows, one unit and one factor"
        )
    if factors.dtype.kind not in "iub":
        raise ValueError(f"factors are {factors.dtype}; give integers, one number per value")
    finite = finite_codes(codes)
    columns, sizes = [], []
    for j, column in enumerate(factors.T):
        values, numbers = np.unique(column, return_inverse=True)
        if len(values) < 2:
            raise ValueError(
                f"factor {j} has only the value {values[0]} in these {len(column)} rows; "
                f"leave it out or draw rows in which it varies"
            )
        if len(values) == len(column):
            raise ValueError(
                f"factor {j} has a value of its own in each of the {len(column)} rows, so nothing "
                f"can be learned about it; give more rows than values"
            )
        columns.append(numbers)
        sizes.append(len(values))
    renumbered = np.stack(columns, axis=1).astype(np.int64)
    return Labelled(reduce_units(finite, unit_size), renumbered, tuple(sizes))


def finite_codes(codes: Any) -> Floats:
    """Codes as float64.

    Raises:
        ValueError: they are no numbers, or hold NaN or infinity.
    """
    codes = np.asarray(codes)
    if codes.dtype.kind not in "fiub":
        raise ValueError(f"codes are {codes.dtype}; give real numbers")
    floats = codes.astype(np.float64)
    bad = np.argwhere(~np.isfinite(floats))
    if len(bad):
        row, unit = bad[0]
        raise ValueError(
            f"codes hold NaN or infinity ({len(bad)} places, first at row {row}, unit {unit}); "
            f"the encoder that gave them has diverged"
        )
    return floats


def unit_axes(codes: Floats, unit_size: int) -> tuple[Floats, Floats]:
    """Mean and first principal axis of each vector-valued unit, both [d / unit_size, unit_size].

    The sign of an axis is fixed: its largest entry is positive.

    Raises:
        ValueError: `unit_size` is below 1 or does not divide the width of the codes.
    """
    n, width = codes.shape
    if unit_size < 1 or width % unit_size:
        raise ValueError(
            f"unit_size {unit_size} does not divide the {width} columns of the codes; "
            f"give the number of columns that make one unit"
        )
    units = codes.reshape(n, -1, unit_size)
    mean = units.mean(axis=0)
    centred = (units - mean).transpose(1, 2, 0)  # [units, size, n]
    _, vectors = np.linalg.eigh(centred @ centred.transpose(0, 2, 1))
    axes = vectors[:, :, -1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return mean, axes * np.where(largest < 0, -1.0, 1.0)


def project(codes: Floats, axes: tuple[Floats, Floats]) -> Floats:
    """Codes [n, units * size] on the axes that `unit_axes` found, [n, units]."""
    mean, direction = axes
    return np.einsum("nus,us->nu", codes.reshape(len(codes), *mean.shape) - mean, direction)


def reduce_units(codes: Floats, unit_size: int) -> Floats:
    """Each vector-valued unit by its first principal component, [n, d / unit_size].

    So EncDiff (Yang et al. 2024) and FDAE score units that are vectors. Size 1 changes nothing.

    Raises:
        ValueError: as `unit_axes`.
    """
    return codes if unit_size == 1 else project(codes, unit_axes(codes, unit_size))
