"""The change field of one image and one direction, and its short descriptor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cldis.arrays import Floats
from cldis.metrics.tracking.motion import gradient, opencv, track, warp

CELLS = 8  # of a side: descriptors are means over CELLS x CELLS cells


@dataclass(frozen=True)
class ChangeField:
    """What J shifts do to one image, against shift 0."""

    motion: Floats  # [J, H, W, 2] pixels (x, y); 0 where not believed
    appearance: Floats  # [J, H, W, 3] grey levels, signed
    gradient: Floats  # [H, W] grey levels per pixel, of the image at shift 0

    def pixels(self) -> Floats:
        """Length of the motion, [J, H, W] in pixels."""
        return np.hypot(self.motion[..., 0], self.motion[..., 1])

    def levels(self) -> Floats:
        """Size of the appearance change, [J, H, W] in grey levels: mean of |.| over colours."""
        return np.abs(self.appearance).mean(axis=-1)

    def energy(self) -> Floats:
        """Where and by which channel, without sign, [J, 2 * CELLS^2] in grey levels.

        Per cell the mean of |F| times the gradient (the change of grey that the motion makes), and
        the mean of `levels`.
        """
        shifted = self.pixels() * self.gradient
        return np.concatenate([cells(shifted), cells(self.levels())], axis=1)


def change_field(frames: Floats, centre: int, estimator: str = "farneback") -> ChangeField:
    """The change field of one traversal.

    Args:
        frames: [J, H, W, 3] in grey levels 0..255, by rising shift.
        centre: the frame of shift 0.
        estimator: see `motion.flow_function`.

    Raises:
        ValueError: an unknown estimator, or no OpenCV.
    """
    assert frames.ndim == 4 and frames.shape[-1] == 3 and 0 <= centre < len(frames)
    frames = frames.astype(np.float32, copy=False)
    motion = track(frames, centre, estimator)
    return ChangeField(motion, residual(frames, centre, motion), gradient(frames[centre]))


def residual(frames: Floats, centre: int, motion: Floats) -> Floats:
    """frame_j(p + F_j(p)) - frame_c(p), signed, [J, H, W, 3] in grey levels.

    Where the motion is 0 this is the plain difference.

    Args:
        frames: [J, H, W, 3] in grey levels 0..255.
        centre: the frame of shift 0.
        motion: [J, H, W, 2] in pixels, from `motion.track`.
    """
    left = np.empty_like(frames)
    for j, frame in enumerate(frames):
        moved = warp(frame, motion[j]) if motion[j].any() else frame
        left[j] = moved - frames[centre]
    return left


def cells(maps: Floats) -> Floats:
    """Means over CELLS x CELLS cells of maps [J, H, W]: [J, CELLS^2], rows first."""
    cv2 = opencv()
    size = (CELLS, CELLS)
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA).ravel() for one in maps])


def check_shifts(shifts: Sequence[float]) -> int:
    """Where 0 stands among rising shifts.

    Raises:
        ValueError: not rising, without 0, or nothing on one side of it.
    """
    values = [float(shift) for shift in shifts]
    if sorted(set(values)) != values or 0.0 not in values[1:-1]:
        raise ValueError(
            f"shifts {values} must rise and hold 0 with at least one on either side, e.g. -1 0 1"
        )
    return values.index(0.0)
