"""Batches of codes in which one factor is held: what the FactorVAE and beta-VAE scores look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.metrics.labelled import Labelled, finite_codes, project, unit_axes

Sample = Callable[[NDArray[np.int64]], NDArray[np.floating]]  # factors [n, k] -> codes [n, d]

FEWEST = 8  # rows that a factor value of a pool must have to be held
ROWS = 2**16  # codes asked for at once


class Batches(ABC):
    """A source of codes by factor; `k` factors, all drawn from one seed."""

    k: int

    @abstractmethod
    def any(self, rows: int) -> Floats:
        """Codes of random images, [rows, d]."""

    @abstractmethod
    def held(self, factor: Integers, size: int) -> Floats:
        """Groups [len(factor), size, d]; group i shares one random value of factor[i]."""

    @abstractmethod
    def pairs(self, factor: Integers, size: int) -> tuple[Floats, Floats]:
        """Two groups each; the pairs of group i agree in factor[i], each in a value of its own."""


class GridBatches(Batches):
    """Codes of any combination of factors, by a function that encodes them.

    Raises:
        ValueError: a factor with fewer than two values, or codes that are not finite [n, d].
    """

    def __init__(self, sample: Sample, sizes: Sequence[int], seed: int, unit_size: int) -> None:
        if not len(sizes) or min(sizes) < 2:
            raise ValueError(
                f"factor_sizes {list(sizes)} must all be at least 2; leave out factors that "
                f"have one value only"
            )
        self.sample, self.sizes, self.k = sample, np.array(sizes), len(sizes)
        self.rng = np.random.default_rng([seed, 2])
        self.axes = None
        if unit_size != 1:
            self.axes = unit_axes(self.any(ROWS // 8), unit_size)

    def any(self, rows: int) -> Floats:
        return self._codes(self._factors(rows))

    def held(self, factor: Integers, size: int) -> Floats:
        groups = np.arange(len(factor))
        drawn = self._factors(len(factor) * size).reshape(len(factor), size, self.k)
        drawn[groups, :, factor] = drawn[groups, :1, factor]
        return self._codes(drawn.reshape(-1, self.k)).reshape(len(factor), size, -1)

    def pairs(self, factor: Integers, size: int) -> tuple[Floats, Floats]:
        groups = np.arange(len(factor))
        first, second = (
            self._factors(len(factor) * size).reshape(len(factor), size, self.k) for _ in "ab"
        )
        second[groups, :, factor] = first[groups, :, factor]
        a, b = (
            self._codes(drawn.reshape(-1, self.k)).reshape(len(factor), size, -1)
            for drawn in (first, second)
        )
        return a, b

    def _factors(self, rows: int) -> Integers:
        return self.rng.integers(0, self.sizes, (rows, self.k))

    def _codes(self, factors: Integers) -> Floats:
        codes = finite_codes(self.sample(factors))
        if codes.ndim != 2 or len(codes) != len(factors) or not codes.shape[1]:
            raise ValueError(
                f"sample gave codes of shape {list(codes.shape)} for {len(factors)} rows of "
                f"factors; it must return [n, d]"
            )
        return codes if self.axes is None else project(codes, self.axes)


class PoolBatches(Batches):
    """Groups from a pool of codes with known factors, drawn with replacement.

    A factor value of fewer than 8 rows is never held: the same rows would come again and again.

    Raises:
        ValueError: a factor has no value with 8 rows.
    """

    def __init__(self, data: Labelled, seed: int) -> None:
        self.data, self.k = data, len(data.sizes)
        self.rng = np.random.default_rng([seed, 2])
        self.order: list[Integers] = []  # rows by value
        self.count: list[Integers] = []  # rows of each value
        self.anchors: list[Integers] = []  # rows whose value may be held
        for j, column in enumerate(data.factors.T):
            count = np.bincount(column, minlength=data.sizes[j])
            anchors = np.flatnonzero(count[column] >= FEWEST)
            if not len(anchors):
                raise ValueError(
                    f"no value of factor {j} has {FEWEST} rows or more (the commonest has "
                    f"{count.max()} of {len(column)}); give a larger pool"
                )
            self.order.append(np.argsort(column, kind="stable"))
            self.count.append(count)
            self.anchors.append(anchors)

    def any(self, rows: int) -> Floats:
        return self.data.codes[self.rng.integers(0, len(self.data.codes), rows)]

    def held(self, factor: Integers, size: int) -> Floats:
        rows = np.empty((len(factor), size), np.int64)
        for j in range(self.k):
            mine = np.flatnonzero(factor == j)
            anchor = self.rng.choice(self.anchors[j], len(mine))
            rows[mine] = self._partners(j, np.repeat(anchor[:, None], size, axis=1))
        return self.data.codes[rows]

    def pairs(self, factor: Integers, size: int) -> tuple[Floats, Floats]:
        first = np.empty((len(factor), size), np.int64)
        second = np.empty_like(first)
        for j in range(self.k):
            mine = np.flatnonzero(factor == j)
            first[mine] = self.rng.choice(self.anchors[j], (len(mine), size))
            second[mine] = self._partners(j, first[mine])
        return self.data.codes[first], self.data.codes[second]

    def _partners(self, j: int, rows: Integers) -> Integers:
        """For each of `rows`, a random row with its value of factor j."""
        count = self.count[j]
        value = self.data.factors[rows, j]
        start = np.cumsum(count) - count
        partners: Integers = self.order[j][start[value] + self.rng.integers(0, count[value])]
        return partners


def chunks(groups: int, size: int) -> Iterator[int]:
    """Numbers of groups that add up to `groups`, each of a size that fits into memory."""
    step = max(1, ROWS // size)
    for first in range(0, groups, step):
        yield min(step, groups - first)
