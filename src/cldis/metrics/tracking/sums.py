"""Running sums over images: all that scores need, in memory that does not grow with the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.tracking.changes import ImageChanges
from cldis.metrics.tracking.field import CELLS

COARSE = 4  # cells of a side on which images are compared: the same thing lies elsewhere in each
TINY = 1e-9


class TrackingSums:
    """Sums over images of what `image_changes` measured, above a noise floor."""

    def __init__(self, floor: Floats) -> None:
        """`floor` [2 * CELLS^2] in grey levels, from `Floor.level`."""
        assert floor.shape == (2 * CELLS**2,)
        self.floor = floor
        self.images = 0
        self.total: dict[str, Floats] = {}

    def add(
        self, seen: ImageChanges, image: NDArray[np.float32], again: NDArray[np.float32]
    ) -> None:
        """One image more.

        Args:
            image: the real picture [H, W, 3] in grey levels.
            again: it decoded from its code alone (another x_T), [H, W, 3].
        """
        energy = np.maximum(seen.energy - self.floor, 0)  # [K, 2 * CELLS^2]
        activity = np.sqrt((energy**2).mean(axis=1))  # [K]
        place, slope = unit(coarse(energy)), unit(coarse(seen.slope))
        parts = {
            "activity": activity,
            "raw": np.sqrt((seen.energy**2).mean(axis=1)),
            "moving": energy[:, : CELLS**2].sum(axis=1),
            "all": energy.sum(axis=1),
            "place": place,
            "place_own": (place**2).sum(axis=1),
            "slope": slope,
            "slope_own": (slope**2).sum(axis=1),
            "energy_gram": energy @ energy.T,
            "monotonicity": activity * monotonicity(seen.curve),
            "smoothness": activity * smoothness(seen.steps),
            "curve": seen.curve,
            "motion": seen.motion,
            "appearance": seen.appearance,
            "image": image.astype(np.float64),
            "square": image.astype(np.float64) ** 2,
            "error": (image.astype(np.float64) - again) ** 2,
            "edges": edges(image),
            "edges_square": edges(image) ** 2,
            "edges_error": (edges(image) - edges(again)) ** 2,
        }
        for name, value in parts.items():
            self.total[name] = self.total[name] + value if name in self.total else value
        self.images += 1

    def plus(self, other: TrackingSums) -> TrackingSums:
        """Sums over the images of both, which were measured above one floor."""
        joined = TrackingSums(self.floor)
        joined.images = self.images + other.images
        names = {**self.total, **other.total}
        joined.total = {name: self.total.get(name, 0) + other.total.get(name, 0) for name in names}
        return joined

    def mean(self, name: str) -> Floats:
        return self.total[name] / self.images

    def spread(self) -> float:
        """Standard deviation over images of a pixel, root mean square over pixels, grey levels."""
        return float(np.sqrt(self._variance("image", "square")))

    def control(self) -> float:
        """Share of what varies over the images that the code holds, in [0, 1].

        The mean of two coefficients of determination R^2 = 1 - (mean squared error of pictures
        decoded from the code alone) / (variance over images): of grey levels, which large areas
        decide, and of their differences between neighbouring pixels, which shapes decide. Means
        over pixels and colours; an R^2 below 0 counts as 0.
        """
        shares = [
            1 - float(self.mean(error).mean()) / max(self._variance(first, second), TINY)
            for first, second, error in (
                ("image", "square", "error"),
                ("edges", "edges_square", "edges_error"),
            )
        ]
        return float(np.mean(np.clip(shares, 0, 1)))

    def _variance(self, first: str, second: str) -> float:
        """Variance over images, mean over pixels, from the sums of values and of squares."""
        return float(np.maximum(self.mean(second) - self.mean(first) ** 2, 0).mean())


def edges(picture: NDArray[np.float32]) -> Floats:
    """Central differences down and across of a picture [H, W, 3]: [2, H, W, 3]."""
    values = picture.astype(np.float64)
    return np.stack([np.asarray(np.gradient(values, axis=axis)) for axis in (0, 1)])


def coarse(cells: Floats) -> Floats:
    """Rows of CELLS^2 cells per channel [K, c * CELLS^2] -> of COARSE^2 cells [K, c * COARSE^2]."""
    rows, side = len(cells), CELLS // COARSE
    split = cells.reshape(rows, -1, COARSE, side, COARSE, side)
    return np.asarray(split.mean(axis=(3, 5)).reshape(rows, -1))


def unit(rows: Floats) -> Floats:
    """Rows of length 1; rows of (almost) nothing become 0."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(length > TINY, rows / np.maximum(length, TINY), 0.0)


def monotonicity(curve: Floats) -> Floats:
    """Does a larger shift change more? [K] in [-1, 1], from curves [K, J] with J odd or not.

    Kendall's tau between |shift| and the change, shift 0 included, on either side of 0 (where the
    curve is 0), mean of both sides: +1 always more, 0 no trend or no change at all.
    """
    trends = np.zeros(len(curve))
    for row, values in enumerate(curve):
        centre = int(np.argmin(values))
        sides = [values[centre:], values[centre::-1]]
        taus = []
        for side in sides:
            i, j = np.triu_indices(len(side), 1)
            taus.append(float(np.sign(side[j] - side[i]).mean()) if len(i) else 0.0)
        trends[row] = float(np.mean(taus))
    return trends


def smoothness(steps: Floats) -> Floats:
    """Are the steps alike? [K] in [0, 1], from changes between consecutive frames [K, J - 1].

    (sum d)^2 / (m sum d^2) over the m steps, from 1/m (all change in one step) to 1 (equal steps),
    stretched to [0, 1]; 0 where nothing changes.
    """
    count = steps.shape[1]
    squares = count * (steps**2).sum(axis=1)
    share = steps.sum(axis=1) ** 2 / np.maximum(squares, TINY)
    return np.asarray(np.clip((share - 1 / count) / (1 - 1 / count), 0, 1))
