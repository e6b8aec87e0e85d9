"""Pictures of a trained model of any method: where they start, and codes moved from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.model import Model

STEPS = 20  # of inversion and decoding alike: 16 units at 64 px take half a minute on one core
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
    if images is None:
        generator = torch.Generator().manual_seed(0)
        draws = torch.randn(MADE_UP, model.units, generator=generator)
        z = model.unit_mean + model.unit_std * draws
        return Start(z, model.random_start(MADE_UP) if model.loop.denoiser else None, None)
    codes = model.encode(images)
    if model.loop.denoiser is None:
        assert codes.disen is not None
        return Start(codes.disen.mean, None, images)
    return Start(codes.z, model.invert(images, codes.z, steps), images)


def draw(model: Model, z: Tensor, x_T: Tensor | None, steps: int = STEPS) -> Tensor:
    """Pictures of codes, [n, 3, H, W] in [-1, 1]: by diffusion from x_T, or by the VAE."""
    return vae_draw(model, z) if x_T is None else model.decode(z, x_T, steps)


@torch.no_grad()
def vae_draw(model: Model, z: Tensor) -> Tensor:
    """The mean picture of p_theta(x|z), [n, 3, H, W] in [-1, 1]."""
    assert model.loop.vae is not None
    return model.loop.vae.decode(z.to(model.device)).float().sigmoid().mul(2).sub(1).cpu()


def moved(
    model: Model, begin: Start, change: Tensor, amounts: Sequence[float], steps: int = STEPS
) -> Tensor:
    """Codes moved by each amount of `change` [d], x_T kept: [n, len(amounts), 3, H, W].

    `change` is one standard deviation of a unit or along a direction: `Model.shift({unit: 1.0})`,
    `Directions.shift(unit_std, {number: 1.0})`.
    """
    n, count = len(begin.z), len(amounts)
    z = torch.stack([begin.z + amount * change for amount in amounts], dim=1).flatten(0, 1)
    noise = None if begin.noise is None else begin.noise.repeat_interleave(count, dim=0)
    return draw(model, z, noise, steps).unflatten(0, (n, count))
