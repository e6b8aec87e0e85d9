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


@dataclass(frozen=True)
class ImageChanges:
    """One image, K directions, J shifts."""

    energy: Floats  # [K, 2 * CELLS^2] grey levels: mean of `ChangeField.energy` over shifts but 0
    slope: Floats  # [K, 5 * CELLS^2] grey levels per unit of shift: least-squares slope of `signed`
    curve: (
        Floats  # [K, J] grey levels: mean of `ChangeField.energy` over cells, summed over channels
    )
    steps: Floats  # [K, J - 1] grey levels: mean absolute difference of consecutive frames
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
    amounts = np.asarray(shifts, np.float64)
    rows: dict[str, list[Floats]] = {}
    for traversal in frames:
        field = change_field(traversal, centre, estimator)
        energy = field.energy().astype(np.float64)
        slope = amounts @ field.signed().astype(np.float64) / (amounts @ amounts)
        measures = {
            "energy": energy[moved].mean(axis=0),
            "slope": slope,
            "curve": energy.sum(axis=1) / CELLS**2,
            "steps": np.abs(np.diff(traversal, axis=0)).mean(axis=(1, 2, 3)).astype(np.float64),
            "motion": field.pixels()[moved].mean(axis=0).astype(np.float64),
            "appearance": field.levels()[moved].mean(axis=0).astype(np.float64),
        }
        for name, value in measures.items():
            rows.setdefault(name, []).append(value)
    return ImageChanges(**{name: np.stack(values) for name, values in rows.items()})
