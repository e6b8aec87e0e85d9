"""Images that stand apart, and images that are there twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.pages.analysis.encode import batches

TAIL = 0.001  # of a Gaussian code: so many images would lie beyond the line by chance
DIMENSIONS = 12  # of the search for neighbours; trees do not help in more
NEAREST = 5
CANDIDATES = 5000
SAME_PIXELS = 8.0  # grey levels of 255, root of the mean squared difference


def outliers(codes: Floats) -> dict[str, Any]:
    """Mahalanobis distance of every code [n, u] from their mean.

    The covariance is shrunk (Ledoit & Wolf 2004), so that it can be inverted with few images.

    Returns:
        `distance` [n]; `line`: the distance beyond which 1 in 1,000 images of a Gaussian code
        would lie; `beyond`: how many do; `expected`: how many would.
    """
    from scipy.stats import chi2
    from sklearn.covariance import LedoitWolf

    data = _standardised(codes)
    distance = np.sqrt(LedoitWolf().fit(data).mahalanobis(data))
    line = float(chi2.isf(TAIL, data.shape[1]) ** 0.5)
    return {
        "distance": distance,
        "line": line,
        "beyond": int((distance > line).sum()),
        "expected": TAIL * len(data),
    }


def near_duplicates(
    codes: Floats, read: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
) -> list[dict[str, Any]]:
    """Pairs of images whose codes and whose pixels are close, the closest pixels first.

    Codes are close when they lie nearer to each other than an image usually lies to its nearest
    neighbour; pixels when they differ by at most `SAME_PIXELS`. Among the `NEAREST` neighbours of
    every image, in at most `DIMENSIONS` principal components of the standardised code, and the
    `CANDIDATES` closest pairs.

    Returns:
        Per pair `first`, `second` (numbers of images, first < second), `pixels` (grey levels),
        `code` (distance in standard deviations).
    """
    from scipy.spatial import cKDTree

    data = _standardised(codes)
    if data.shape[1] > DIMENSIONS:
        _, axes = np.linalg.eigh(data.T @ data)
        data = data @ axes[:, ::-1][:, :DIMENSIONS]
    count = min(NEAREST, len(data) - 1)
    distance, neighbour = cKDTree(data).query(data, k=count + 1)
    first = np.repeat(np.arange(len(data)), count + 1)
    second, apart = neighbour.ravel(), distance.ravel()
    # Of exact copies any may come first in an image's own list, so itself is looked for by number.
    other = first != second
    first, second, apart = first[other], second[other], apart[other]
    nearest = np.full(len(data), np.inf)
    np.minimum.at(nearest, first, apart)
    close = apart <= np.median(nearest)
    pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)[close]
    pairs, places = np.unique(pairs, axis=0, return_index=True)
    apart = apart[close][places]
    order = np.argsort(apart, kind="stable")[:CANDIDATES]
    duplicates: list[dict[str, Any]] = []
    for part in batches(len(order)):
        chosen = pairs[order[part]].astype(np.int64)
        a, b = (read(chosen[:, side]).astype(np.float32) for side in (0, 1))
        differences = np.sqrt(((a - b) ** 2).reshape(len(a), -1).mean(axis=1))
        for (i, j), pixels, code in zip(chosen, differences, apart[order[part]], strict=True):
            if pixels <= SAME_PIXELS:
                duplicates.append(
                    {
                        "first": int(i),
                        "second": int(j),
                        "pixels": float(pixels),
                        "code": float(code),
                    }
                )
    return sorted(duplicates, key=lambda pair: (pair["pixels"], pair["first"], pair["second"]))


def _standardised(codes: Floats) -> NDArray[np.float64]:
    data = codes.astype(np.float64)
    spread = data.std(axis=0)
    return (data - data.mean(axis=0)) / np.where(spread > 0, spread, 1)
