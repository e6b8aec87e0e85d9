"""Appearance along a traversal: what is left of the change after motion is taken out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.tracking.motion import warp


def residual(
    frames: NDArray[np.float32], centre: int, motion: NDArray[np.float32]
) -> NDArray[np.float32]:
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
