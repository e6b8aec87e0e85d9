"""What every unit of the code does in this collection: how much it varies, and what goes along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.pages.analysis.encode import batches
from cldis.training.health import ACTIVE

TENTHS = 10


def describe(means: Floats, scale: Floats | None) -> list[dict[str, Any]]:
    """Every unit in numbers, over codes [n, d].

    Args:
        means: of the code.
        scale: standard deviations of a Gaussian code [n, d]; None for a code of points.

    Returns:
        Per unit `unit`, `mean`, `std`, `share` (its variance by the sum of all units' variances),
        `active` (variance above `ACTIVE`), and `nats`: the mean of KL(q || N(0, 1)), None for
        points.
    """
    data = means.astype(np.float64)
    variance = data.var(axis=0)
    total = variance.sum()
    nats = None
    if scale is not None:
        spread = scale.astype(np.float64) ** 2
        nats = 0.5 * (spread + data**2 - 1 - np.log(np.maximum(spread, 1e-12))).mean(axis=0)
    return [
        {
            "unit": unit,
            "mean": float(data[:, unit].mean()),
            "std": float(np.sqrt(variance[unit])),
            "share": float(variance[unit] / total) if total > 0 else 0.0,
            "active": bool(variance[unit] > ACTIVE),
            "nats": None if nats is None else float(nats[unit]),
        }
        for unit in range(data.shape[1])
    ]


def varying(means: Floats, most: int) -> list[int]:
    """At most `most` units, those of the largest variance, rising; constant units never."""
    variance = means.astype(np.float64).var(axis=0)
    floor = (1e-7 * np.abs(means).max(axis=0)) ** 2
    order = [int(unit) for unit in np.argsort(-variance, kind="stable")]
    return sorted([unit for unit in order if variance[unit] > floor[unit]][:most])


def extremes(values: Floats, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the images with the lowest and the highest values, the most extreme first."""
    order = np.argsort(values, kind="stable").astype(np.int64)
    count = min(count, len(order) // 2)
    return order[:count], order[::-1][:count]


def typical(means: Floats) -> int:
    """The image whose code is nearest to the median of every unit, in standard deviations."""
    spread = means.std(axis=0)
    distance = ((means - np.median(means, axis=0)) / np.where(spread > 0, spread, 1)) ** 2
    return int(np.argmin(distance[:, spread > 0].sum(axis=1)))


def tenths(values: Floats) -> NDArray[np.int64]:
    """Which tenth each value falls into, 0..9, [n]; ties stay together."""
    edges = np.quantile(values, np.linspace(0, 1, TENTHS + 1)[1:-1])
    return np.searchsorted(edges, values, side="right").astype(np.int64)


@dataclass(frozen=True)
class Averages:
    """What the pixels do along each unit."""

    pictures: NDArray[np.float32]  # [u, 10, 3, H, W], 0..255: the mean image of each tenth
    share: list[float]  # [u], see `average_pictures`


def average_pictures(
    means: Floats, read: Callable[[NDArray[np.int64]], NDArray[np.uint8]], chosen: NDArray[np.int64]
) -> Averages:
    """The mean image of every tenth of every unit, and how much of the pixels goes with the unit.

    The share is the correlation ratio of all pixels on the tenths, with the correction of Kelley
    (1935): 1 - (1 - between / total) (m - 1) / (m - tenths), at least 0. It sees straight and bent
    relations alike. Units that go together share what they explain, so shares may sum to more
    than 1. One pass over the images, 256 at a time.

    Args:
        means: codes of the units looked at [n, u].
        read: images [k, 3, H, W], uint8, from their numbers.
        chosen: numbers of the images looked at, [m].
    """
    bins = np.stack([tenths(means[chosen, k]) for k in range(means.shape[1])], axis=1)
    m, units = bins.shape
    sums: NDArray[np.float64] | None = None
    squares = 0.0
    for part in batches(m):
        images = read(chosen[part])
        flat = images.reshape(len(images), -1).astype(np.float32)
        if sums is None:
            sums, shape = np.zeros((units * TENTHS, flat.shape[1])), images.shape[1:]
        member = np.zeros((len(images), units * TENTHS), np.float32)
        rows = np.arange(len(images))
        for k in range(units):
            member[rows, k * TENTHS + bins[part, k]] = 1
        sums += member.T @ flat
        squares += float((flat.astype(np.float64) ** 2).sum())
    assert sums is not None
    counts = np.stack([np.bincount(bins[:, k], minlength=TENTHS) for k in range(units)])
    sums = sums.reshape(units, TENTHS, -1)
    whole = sums[0].sum(axis=0)
    total = squares - float((whole**2).sum()) / m
    pictures = np.empty(sums.shape, np.float32)
    share = []
    for k in range(units):
        used = counts[k] > 0
        between = float((sums[k, used] ** 2 / counts[k, used, None]).sum() - (whole**2).sum() / m)
        rest = m - int(used.sum())
        ratio = between / total if total > 0 else 0.0
        share.append(max(0.0, 1 - (1 - ratio) * (m - 1) / rest) if rest > 0 else 0.0)
        middle = whole / m
        pictures[k] = np.where(used[:, None], sums[k] / np.maximum(counts[k], 1)[:, None], middle)
    return Averages(pictures.reshape(units, TENTHS, *shape), share)
