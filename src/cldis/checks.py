"""What a model takes from a person: checked here, with what to do about it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TOLERANCE = 0.01  # beyond [-1, 1], from rounding in half precision
TO_MODEL = (
    "cldis.images.to_model makes them of bytes 0..255 in a NumPy array (n, 3, H, W), which is "
    "x / 127.5 - 1; of floats in [0, 1] it is 2 * x - 1"
)


def check_images(images: Tensor, side: int) -> None:
    """Raises ValueError: no float tensor [n, 3, side, side] with values in [-1, 1]."""
    _check_pictures(images, (3, side, side), "images", "floats in [-1, 1]")
    least, most = (float(images.min()), float(images.max())) if images.numel() else (0, 0)
    if max(-least, most) > 1 + TOLERANCE:
        raise ValueError(
            f"images have values from {least:.3g} to {most:.3g}; expected floats in [-1, 1]: "
            f"{TO_MODEL}"
        )


def check_start(x_T: Tensor, shape: tuple[int, int, int]) -> None:
    """Raises ValueError: no float tensor [n, *shape] of finite values."""
    _check_pictures(x_T, shape, "x_T", "floats as `invert` makes them of images")


def check_codes(z: Tensor, units: int) -> Tensor:
    """Codes as float32 on the CPU.

    Raises:
        ValueError: no float tensor [n, units] of finite values.
    """
    if not isinstance(z, Tensor):
        raise ValueError(
            f"codes are a {type(z).__name__}; expected a tensor, as `encode` gives it; "
            f"torch.from_numpy makes one of a NumPy array"
        )
    if z.dim() != 2 or z.shape[1] != units:
        raise ValueError(f"codes have shape {tuple(z.shape)}; expected (n, {units})")
    if not torch.is_floating_point(z):
        raise ValueError(f"codes are {z.dtype}; expected floats, as `encode` gives them")
    if not bool(torch.isfinite(z).all()):
        raise ValueError("codes hold NaN or infinity; expected finite floats")
    return z.float().cpu()


def same_length(images: Tensor, z: Tensor) -> None:
    if len(images) != len(z):
        raise ValueError(f"{len(images)} images but {len(z)} codes; give one code per image")


def finite(amount: Any, where: str) -> float:
    """Raises ValueError: no finite number."""
    try:
        value = float(amount)
    except (TypeError, ValueError):
        value = float("nan")
    if not abs(value) < float("inf"):
        raise ValueError(f"amount {amount!r} {where} is not a finite number")
    return value


def _check_pictures(given: Tensor, expected: tuple[int, int, int], name: str, floats: str) -> None:
    if not isinstance(given, Tensor):
        kind = f"{type(given).__module__.partition('.')[0]}.{type(given).__name__}"
        raise ValueError(f"{name}: expected a tensor of {floats}, got {kind}: {TO_MODEL}")
    if given.dim() != 4 or tuple(given.shape[1:]) != expected:
        raise ValueError(
            f"{name}: shape {tuple(given.shape)} is not that of images for this model, "
            f"(n, *{expected})"
        )
    if not torch.is_floating_point(given):
        raise ValueError(f"{name}: {given.dtype} given, expected {floats}: {TO_MODEL}")
    if not bool(torch.isfinite(given).all()):
        raise ValueError(f"{name}: NaN or infinity given, expected {floats}")
