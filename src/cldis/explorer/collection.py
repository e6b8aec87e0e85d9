"""The data of a run as codes: a map of them, neighbours, extremes and outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from cldis.arrays import Floats, spread
from cldis.data.source import ImageSource
from cldis.model import Model
from cldis.navigation.directions import Directions

MOST = 1024  # images looked at, evenly spread over the data
NEAR = 5  # neighbours that say how lonely a picture is


@dataclass(frozen=True)
class Collection:
    """n images and their codes; `codes` are along all K directions, in standard deviations."""

    images: NDArray[np.uint8]  # [n, 3, H, W]
    labels: list[str]
    codes: Floats  # [n, K]

    @classmethod
    def of(cls, model: Model, directions: Directions, source: ImageSource) -> Collection:
        """Read and encode at most `MOST` images."""
        chosen = spread(len(source), MOST)
        z = model.encode_source(source, chosen).z
        labels = [source.label(int(index)) for index in chosen]
        return cls(np.array(source.batch(chosen)), labels, along(model, directions, z.numpy()))

    def map(self) -> Floats:
        """The first two principal components of the codes, each scaled to [0, 1]: [n, 2]."""
        centred = self.codes - self.codes.mean(axis=0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        flat = centred @ axes[:2].T
        if flat.shape[1] < 2:
            flat = np.column_stack([flat, np.zeros(len(flat))])
        low, high = flat.min(axis=0), flat.max(axis=0)
        return np.asarray((flat - low) / np.maximum(high - low, 1e-12))

    def nearest(self, code: Floats, along: Sequence[int], count: int) -> tuple[list[int], Floats]:
        """The images nearest to a code [K] along the directions `along` (none: all), and how far:
        root mean square over those directions, in standard deviations."""
        columns = list(along) or list(range(self.codes.shape[1]))
        apart = self.codes[:, columns] - code[columns]
        far = np.sqrt((apart**2).mean(axis=1))
        order = np.argsort(far, kind="stable")[:count]
        return order.tolist(), far[order]

    def extremes(self, direction: int, count: int) -> tuple[list[int], list[int]]:
        """The images lowest along a direction, the lowest first, and the highest likewise."""
        order = np.argsort(self.codes[:, direction], kind="stable")
        return order[:count].tolist(), order[::-1][:count].tolist()

    def outliers(self, count: int) -> tuple[list[int], Floats]:
        """The images farthest from their own neighbours, and how far: the mean distance to the
        `NEAR` nearest, root mean square over directions (after Ramaswamy et al. 2000)."""
        near = min(NEAR, len(self.codes) - 1)
        if near < 1:
            return [0], np.zeros(1)
        apart = NearestNeighbors(n_neighbors=near).fit(self.codes).kneighbors()[0]
        far = apart.mean(axis=1) / np.sqrt(self.codes.shape[1])
        order = np.argsort(-far, kind="stable")[:count]
        return order.tolist(), far[order]


def along(model: Model, directions: Directions, z: NDArray[np.float32]) -> Floats:
    """Codes [n, d] along directions, [n, K], in standard deviations from the mean of the training
    images; what never varies counts as 0."""
    std = model.unit_std.numpy().astype(np.float64)
    alive = std > 1e-3 * max(float(std.max()), 1e-12)
    scaled = np.where(alive, (z - model.unit_mean.numpy()) / np.where(alive, std, 1.0), 0.0)
    return np.asarray(scaled @ directions.matrix.numpy().astype(np.float64))
