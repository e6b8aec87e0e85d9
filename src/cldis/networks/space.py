"""The space that is diffused in: pixels, or the latents of an autoencoder.

Images are squares [n, 3, H, W] in [-1, 1] everywhere else. Only what is noised and denoised,
x0 [n, c, h, w], lives in a space, and a `Space` is the one way in and out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Latents get this standard deviation in each channel. That of pixels of photos is about .5, and
# the noise levels that training visits suit data of about that size.
SPREAD = 2 / 3
WORK = 8 * 128 * 128  # pixels that the autoencoder sees at a time: it holds 64 maps of that size


@dataclass(frozen=True)
class Views:
    """The same images as each branch takes them."""

    images: Tensor  # [n, 3, H, W] in [-1, 1]: what E_sem and the VAE read
    x0: Tensor  # [n, c, h, w]: what is diffused; in pixels the images themselves

    @classmethod
    def pixels(cls, images: Tensor) -> Views:
        return cls(images, images)

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, stop: int) -> Views:
        """The first `stop` images."""
        return Views(self.images[:stop], self.x0[:stop])


class Space(nn.Module, ABC):
    """Where x0 lives. Both ways are differentiable, and neither is learned."""

    @abstractmethod
    def to_space(self, images: Tensor) -> Tensor:
        """images [n, 3, H, W] in [-1, 1] -> x0 [n, c, h, w]."""

    @abstractmethod
    def to_images(self, x0: Tensor) -> Tensor:
        """x0 [n, c, h, w] -> images [n, 3, H, W] in [-1, 1]."""

    def views(self, images: Tensor) -> Views:
        return Views(images, self.to_space(images))


class Pixels(Space):
    """x0 is the image."""

    def to_space(self, images: Tensor) -> Tensor:
        return images

    def to_images(self, x0: Tensor) -> Tensor:
        return x0.clamp(-1, 1)


class Autoencoder(Protocol):
    """What is asked of an autoencoder; that of `diffusers` says more."""

    def encode(self, x: Tensor) -> Any: ...

    def decode(self, z: Tensor) -> Any: ...


class Latents(Space):
    """x0 is what an autoencoder of `diffusers` makes of the image, each channel scaled."""

    mean: Tensor
    std: Tensor

    def __init__(self, autoencoder: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def to_space(self, images: Tensor) -> Tensor:
        return self.scaled(encoded(self.autoencoder, images))

    def to_images(self, x0: Tensor) -> Tensor:
        latents = x0.float() / SPREAD * self.std + self.mean
        return decoded(self.autoencoder, latents).clamp(-1, 1)

    def scaled(self, latents: Tensor) -> Tensor:
        """Latents as the autoencoder gives them -> x0."""
        return (latents.float() - self.mean) / self.std * SPREAD


def encoded(autoencoder: Any, images: Tensor) -> Tensor:
    """What the autoencoder makes of images, unscaled; of a distribution its mode."""

    def encode(part: Tensor) -> Tensor:
        made = autoencoder.encode(part)
        latents: Tensor = made.latent_dist.mode() if "latent_dist" in made else made.latents
        return latents

    return _in_parts(encode, images, images.shape[-1])


def decoded(autoencoder: Any, latents: Tensor) -> Tensor:
    """Images of unscaled latents, not clipped."""

    def decode(part: Tensor) -> Tensor:
        drawn: Tensor = autoencoder.decode(part).sample
        return drawn

    return _in_parts(decode, latents, latents.shape[-1] * 8)


def _in_parts(function: Callable[[Tensor], Tensor], x: Tensor, side: int) -> Tensor:
    """`function` of a few images at a time; what gradients need of it is computed again."""
    parts = x.split(max(1, WORK // side**2))
    if torch.is_grad_enabled() and x.requires_grad:
        return torch.cat([checkpoint(function, part, use_reentrant=False) for part in parts])
    return torch.cat([function(part) for part in parts])


def at_side(images: Tensor, side: int) -> Tensor:
    """Images [n, 3, H, W] at another side: averaged down, or drawn larger smoothly."""
    if images.shape[-1] == side:
        return images
    if images.shape[-1] > side:
        return F.interpolate(images, size=(side, side), mode="area")
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
