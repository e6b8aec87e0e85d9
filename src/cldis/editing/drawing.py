"""Where the pictures of pages start: codes of held-out images and their x_T, or made-up ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.model import STEPS, Model

MADE_UP = 4  # codes drawn at random where there are no images


@dataclass(frozen=True)
class Start:
    """Where pictures start: codes, and what the codes do not hold."""

    z: Tensor  # [n, d]
    noise: Tensor | None  # x_T, [n, 3, H, W]; None when the VAE draws
    images: Tensor | None  # [n, 3, H, W] in [-1, 1], held out; None when the data is gone

    def rows(self, chosen: slice) -> Start:
        return Start(
            self.z[chosen],
            None if self.noise is None else self.noise[chosen],
            None if self.images is None else self.images[chosen],
        )


def held_out(source: ImageSource, count: int) -> np.ndarray:
    """`count` held-out image numbers (fewer when there are fewer), evenly spread, sorted."""
    _, numbers = split(len(source))
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers)))
    return numbers[np.round(places).astype(np.int64)]


def start(model: Model, images: Tensor | None, steps: int = STEPS) -> Start:
    """Codes and inverted x_T of images; without images, codes and x_T drawn at random.

    Random codes are normal with the mean and standard deviation that each unit has over the
    training images.
    """
    if images is not None:
        z = model.encode(images).z
        return Start(z, model.start(images, z, steps), images)
    generator = torch.Generator().manual_seed(0)
    z = model.unit_mean + model.unit_std * torch.randn(MADE_UP, model.units, generator=generator)
    return Start(z, model.random_start(MADE_UP) if model.diffuses else None, None)
