"""How close two pictures are: SSIM and PSNR, one number per image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

GAUSSIAN_SIDE = 11  # window of Wang et al. 2004: Gaussian, 11 pixels, sigma 1.5
SMALL_SIDE = 7  # flat window for pictures that the Gaussian one does not fit into


def ssim(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """Structural similarity (Wang et al. 2004) per image, [n], at most 1; equal images give 1.

    Measured on pixels in [0, 1] over the places where the whole window lies inside the picture.
    The window is the usual Gaussian of 11 pixels (sigma 1.5). Pictures with a side below 11 get a
    flat window of 7 pixels, so their numbers compare only with others of that size.

    Args:
        a, b: float tensors [n, 3, H, W] in [-1, 1]; values outside are clipped.

    Raises:
        ValueError: shapes differ, are not [n, 3, H, W], or a side is below 7 pixels.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = _unit_range(a, b)
    side = min(a.shape[2:])
    if side < SMALL_SIDE:
        raise ValueError(
            f"SSIM of pictures with a side of {side} pixels is not defined here; "
            f"give pictures of at least {SMALL_SIDE} x {SMALL_SIDE}"
        )
    if not len(a):
        return np.zeros(0)
    fits = side >= GAUSSIAN_SIDE
    window = GAUSSIAN_SIDE if fits else SMALL_SIDE
    _, places = structural_similarity_index_measure(
        a,
        b,
        gaussian_kernel=fits,
        sigma=1.5,
        kernel_size=window,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    edge = window // 2  # where the window would hang over the border
    return places[..., edge:-edge, edge:-edge].flatten(1).mean(dim=1).numpy()


def psnr(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio per image in dB, [n]; infinite for equal images.

    10 log10(1 / MSE) on pixels in [0, 1].

    Args:
        a, b: float tensors [n, 3, H, W] in [-1, 1]; values outside are clipped.

    Raises:
        ValueError: shapes differ or are not [n, 3, H, W].
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    a, b = _unit_range(a, b)
    if not len(a):
        return np.zeros(0)
    decibels = peak_signal_noise_ratio(a, b, data_range=1.0, dim=(1, 2, 3), reduction="none")
    return decibels.double().numpy().reshape(len(a))


def _unit_range(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    for images in (a, b):
        if images.dim() != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"pictures are {images.dtype} of shape {tuple(images.shape)}; "
                f"expected floats [n, 3, H, W] in [-1, 1]"
            )
    if a.shape != b.shape:
        raise ValueError(
            f"pictures have shapes {tuple(a.shape)} and {tuple(b.shape)}; give two of equal shape"
        )
    first, second = (images.detach().cpu().double().add(1).div(2).clamp(0, 1) for images in (a, b))
    return first, second
