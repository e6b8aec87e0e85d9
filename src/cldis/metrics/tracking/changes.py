"""What one image shows of every direction, and running sums of it over images.

Memory does not grow with the number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.tracking.field import CELLS, change_field, check_shifts
from cldis.metrics.tracking.mixing import SIDE
from cldis.metrics.tracking.motion import opencv


@dataclass(frozen=True)
class ImageChanges:
    """One image, K directions, J shifts."""

    energy: Floats  # [K, 2 * CELLS^2] grey levels: mean of `ChangeField.energy` over shifts but 0
    colours: Floats  # [K, SIDE^2, 3] grey levels: `colour_fields` at the shifts about 1
    curve: (
        Floats  # [K, J] grey levels: mean of `ChangeField.energy` over cells, summed over channels
    )
    motion: Floats  # [K, H, W] pixels, mean over shifts but 0
    appearance: Floats  # [K, H, W] grey levels, mean over shifts but 0


def image_changes(
    frames: NDArray[np.float32], shifts: Sequence[float], estimator: str = "farneback"
) -> ImageChanges:
    """Measure the traversals of one image.

    Args:
        frames: [K, J, H, W, 3] in grey levels 0..255; for shift 0 all K rows hold one picture.
        shifts: J rising amounts, 0 among them but not at an end.

    Raises:
        ValueError: wrong shifts, wrong shape, values that are not finite, an unknown estimator, or
            no OpenCV.
    """
    centre = check_shifts(shifts)
    if frames.ndim != 5 or frames.shape[1] != len(shifts) or frames.shape[-1] != 3:
        raise ValueError(
            f"frames have shape {frames.shape}; expected (directions, {len(shifts)}, H, W, 3)"
        )
    if not np.isfinite(frames).all():
        raise ValueError("frames hold NaN or infinity; expected grey levels 0..255")
    moved = [j for j in range(len(shifts)) if j != centre]
    low, high = about_one(shifts)
    rows: dict[str, list[Floats]] = {}
    for traversal in frames:
        field = change_field(traversal, centre, estimator)
        energy = field.energy().astype(np.float64)
        measures = {
            "energy": energy[moved].mean(axis=0),
            "curve": energy.sum(axis=1) / CELLS**2,
            "motion": field.pixels()[moved].mean(axis=0).astype(np.float64),
            "appearance": field.levels()[moved].mean(axis=0).astype(np.float64),
        }
        for name, value in measures.items():
            rows.setdefault(name, []).append(value)
    colours = colour_fields(frames[:, low], frames[:, high])
    arrays = {name: np.stack(values) for name, values in rows.items()}
    return ImageChanges(colours=colours, **arrays)


def about_one(shifts: Sequence[float]) -> tuple[int, int]:
    """Which shifts are nearest to -1 and to 1, on either side of 0."""
    centre, values = check_shifts(shifts), np.asarray(shifts, np.float64)
    low, high = (int(np.argmin(np.abs(values - at))) for at in (-1.0, 1.0))
    return min(low, centre - 1), max(high, centre + 1)


def colour_fields(low: NDArray[np.float32], high: NDArray[np.float32]) -> Floats:
    """x of `mixing` of one image: half the change between two pictures of every direction.

    Args:
        low, high: [K, H, W, 3] in grey levels.

    Returns:
        [K, SIDE^2, 3]: means over SIDE x SIDE cells, rows first.
    """
    cv2 = opencv()
    size = (SIDE, SIDE)
    small = [
        cv2.resize(change, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
        for change in (high - low) / 2
    ]
    return np.stack(small).astype(np.float64)
