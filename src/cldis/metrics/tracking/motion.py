"""Motion along a traversal: optical flow of consecutive frames, chained from the middle outward.

Flow from the middle frame c to frame j > c is F_c = 0, F_j(p) = F_{j-1}(p) + f_j(p + F_{j-1}(p)),
with f_j the flow from frame j-1 to frame j, and likewise for j < c: small steps are easy for every
estimator, a large one is not. A vector is believed where

- the middle frame has gradient to see motion by (`visible`): in flat regions Farneback reads a
  third too little, and DIS floods them with what moves elsewhere; and
- it explains the change: warping frame j back must lower the difference from the middle frame, in
  a window, by at least `EXPLAINS`. Light and colour that change make flow that explains nothing.

Elsewhere the motion is 0 and the whole change counts as appearance. These rules are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Estimator = Literal["farneback", "dis"]
ESTIMATORS: tuple[str, ...] = get_args(Estimator)

WINDOW = 9  # pixels that Farneback fits over
EXPLAINS = 0.3  # share of the grey difference that a flow must take away
BLUR = 2.0  # pixels, sigma of the window in which it must
GRADIENT = 2.0  # grey levels per pixel: weaker edges show no motion
NOISE = 1.0  # grey levels: differences below are not worth explaining


def opencv() -> Any:
    """The module cv2.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise ValueError(
            "content tracking needs OpenCV; install it with `pip install 'cldis[tracking]'`"
        ) from None
    return cv2


def flow_function(
    estimator: str,
) -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]:
    """(grey [H, W], grey [H, W]) -> flow [H, W, 2] in pixels (x, y), from the first to the second.

    `farneback`: Farneback 2003, robust on small pictures. `dis`: Kroeger et al. 2016, sharper at
    large moves, floods flat regions.

    Raises:
        ValueError: another name, or no OpenCV.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"flow estimator {estimator!r} is unknown; one of {', '.join(ESTIMATORS)}")
    cv2 = opencv()
    if estimator == "dis":
        made = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

        def dis(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.asarray(made.calc(a, b, None), np.float32)

        return dis

    def farneback(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
        # pyramid of 3 halvings, window, 3 iterations, polynomials over 5 pixels of sigma 1.1
        flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, WINDOW, 3, 5, 1.1, 0)
        return np.asarray(flow, np.float32)

    return farneback


def track(
    frames: NDArray[np.float32], centre: int, estimator: str = "farneback"
) -> NDArray[np.float32]:
    """Believed motion from frame `centre` to every frame, [J, H, W, 2] in pixels (x, y).

    Args:
        frames: [J, H, W, 3] in grey levels 0..255.
        centre: the frame of shift 0.
    """
    estimate = flow_function(estimator)
    grey = np.clip(np.round(frames.mean(axis=-1)), 0, 255).astype(np.uint8)  # [J, H, W]
    motion = np.zeros((*grey.shape, 2), np.float32)
    for step in (1, -1):
        for j in range(centre + step, len(grey) if step > 0 else -1, step):
            if np.array_equal(grey[j], grey[j - step]):
                motion[j] = motion[j - step]
                continue
            part = estimate(grey[j - step], grey[j])
            motion[j] = motion[j - step] + warp(part, motion[j - step])
    seen = gradient(frames[centre]) > GRADIENT
    levels = grey.astype(np.float32)
    for j in range(len(grey)):
        if j != centre and motion[j].any():
            believed = seen & explains(levels[centre], levels[j], motion[j])
            motion[j] *= believed[..., None]
    return motion


def explains(
    first: NDArray[np.float32], second: NDArray[np.float32], flow: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Where `flow` takes away `EXPLAINS` of the grey difference within a Gaussian window, [H, W].

    |second(p + flow) - first(p)| against |second(p) - first(p)|, both blurred by `BLUR` pixels.
    """
    cv2 = opencv()
    before = cv2.GaussianBlur(np.abs(second - first), (0, 0), BLUR)
    after = cv2.GaussianBlur(np.abs(warp(second, flow) - first), (0, 0), BLUR)
    return np.asarray((before > NOISE) & (after < (1 - EXPLAINS) * before))


def warp(picture: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """picture(p + flow(p)), bilinear, edges repeated: a later frame brought back, [H, W, ...]."""
    cv2 = opencv()
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(
        cv2.remap(
            picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )  # fmt: skip


def gradient(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Edge strength in grey levels per pixel, [H, W], of a picture [H, W, 3].

    The norm of the central differences of the mean over colours.
    """
    grey = picture.mean(axis=-1)
    down, across = np.gradient(grey)
    return np.hypot(across, down).astype(np.float32)
