"""Running sums over images, and their change fields: all that scores need.

Only the fields grow with the images, by 3 KB per image and direction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.tracking.changes import ImageChanges
from cldis.metrics.tracking.field import CELLS

TINY = 1e-9
PICTURES = ("image", "square", "error", "edges", "edges_square", "edges_error")


class TrackingSums:
    """Sums over images of what `image_changes` measured, above a noise floor."""

    def __init__(self, floor: Floats) -> None:
        """`floor` [2 * CELLS^2] in grey levels, from `Floor.level`."""
        assert floor.shape == (2 * CELLS**2,)
        self.floor = floor
        self.images = 0
        self.whole = 0  # of them, moved by all shifts
        self.total: dict[str, Floats] = {}
        self.colours: list[Floats] = []  # of every image `ImageChanges.colours`, float32

    def add(
        self, seen: ImageChanges, image: NDArray[np.float32], again: NDArray[np.float32]
    ) -> None:
        """One image more, moved by all shifts.

        Args:
            image: the real picture [H, W, 3] in grey levels.
            again: it decoded from its code alone (another x_T), [H, W, 3].
        """
        energy = np.maximum(seen.energy - self.floor, 0)  # [K, 2 * CELLS^2]
        activity = np.sqrt((energy**2).mean(axis=1))  # [K]
        self._sum(
            {
                "activity": activity,
                "raw": np.sqrt((seen.energy**2).mean(axis=1)),
                "moving": energy[:, : CELLS**2].sum(axis=1),
                "all": energy.sum(axis=1),
                "energy_gram": energy @ energy.T,
                "curve": seen.curve,
                "motion": seen.motion,
                "appearance": seen.appearance,
            }
        )
        self.whole += 1
        self.add_field(seen.colours, image, again)

    def add_field(
        self, colours: Floats, image: NDArray[np.float32], again: NDArray[np.float32]
    ) -> None:
        """One image more, moved by the shifts about 1 alone: its `colour_fields`.

        What comes from all shifts (activity, curves, maps) is a mean over the images of `add`.
        """
        self._sum(
            {
                "image": image.astype(np.float64),
                "square": image.astype(np.float64) ** 2,
                "error": (image.astype(np.float64) - again) ** 2,
                "edges": edges(image),
                "edges_square": edges(image) ** 2,
                "edges_error": (edges(image) - edges(again)) ** 2,
            }
        )
        self.colours.append(colours.astype(np.float32))
        self.images += 1

    def _sum(self, parts: dict[str, Floats]) -> None:
        for name, value in parts.items():
            self.total[name] = self.total[name] + value if name in self.total else value

    def plus(self, other: TrackingSums) -> TrackingSums:
        """Sums over the images of both, which were measured above one floor."""
        joined = TrackingSums(self.floor)
        joined.images = self.images + other.images
        joined.whole = self.whole + other.whole
        joined.colours = self.colours + other.colours
        joined.total = dict(self.total)
        joined._sum(other.total)
        return joined

    def fields(self) -> Floats:
        """x of `mixing`, [K, images * SIDE^2, 3] in grey levels."""
        return np.concatenate(self.colours, axis=1).astype(np.float64)

    def mean(self, name: str) -> Floats:
        return self.total[name] / (self.images if name in PICTURES else self.whole)

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
