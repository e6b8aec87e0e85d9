"""Sizes of the networks, and the space that is diffused in."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Bounds keep a file of a stranger from asking for more than a machine has. They are far above what
# anybody trains; `cldis.methods.build` bounds the number of all parameters besides.
PIXELS = "pixels"  # the space that is no autoencoder's
Multipliers = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=8)
]
Sides = Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(max_length=16)]
Width = Annotated[int, Field(ge=8, le=2048)]
Text = Annotated[str, Field(max_length=4096)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Section):
    """Sizes of the networks. `units` is d, the same for both latents."""

    resolution: int = Field(64, ge=8, le=1024, description="image side in pixels")
    space: Text = Field(
        PIXELS,
        min_length=1,
        description="what is diffused: pixels, or latents of an autoencoder (Hub name or folder)",
    )
    latent_channels: int = Field(4, ge=1, le=64, description="of that autoencoder")
    latent_pixels: int = Field(8, ge=1, le=64, description="pixels per latent, along a side")
    thumbnail: int | None = Field(
        None, ge=8, le=1024, description="side that E_sem and the VAE read; null: resolution"
    )
    units: int = Field(16, ge=1, le=4096)
    patch: int = Field(4, ge=1, le=16, description="space-to-depth side; 1 denoises raw pixels")
    width: Width = Field(40, description="base channels of the U-Net")
    multipliers: Multipliers = (1, 2)
    blocks: int = Field(1, ge=1, le=16, description="residual blocks per resolution")
    attention: Sides = Field((8,), description="sides of feature maps that self-attend")
    dropout: float = Field(0.0, ge=0, lt=1)
    conditioning: Literal["adagn", "cross_attention"] = "cross_attention"
    embed: Width = Field(128, description="channels of the time embedding and unit tokens")
    encoder: Literal["burgess", "diffae"] = "burgess"
    encoder_width: Width = 32
    encoder_multipliers: Multipliers = (1, 2, 2)
    gaussian: bool = Field(False, description="E_sem gives a Gaussian (False: a point)")
    vae_width: Width = 32

    @model_validator(mode="after")
    def _sides_divide(self) -> ModelConfig:
        levels = self.patch * 2 ** (len(self.multipliers) - 1)
        needed = {"resolution": math.lcm(self.pixels * levels, 8)}
        if self.encoder == "diffae":
            read = "resolution" if self.thumbnail is None else "thumbnail"
            levels = self.patch * 2 ** (len(self.encoder_multipliers) - 1)
            needed[read] = math.lcm(needed.get(read, 1), levels)
        for name, multiple in needed.items():
            side = self.resolution if name == "resolution" else self.seen
            if side % multiple:
                below = max(multiple, side // multiple * multiple)
                raise ValueError(
                    f"{name} {side} must be a multiple of {multiple} for patch "
                    f"{self.patch} and this model's levels; try {below} or {below + multiple}"
                )
        return self

    @model_validator(mode="after")
    def _thumbnail_is_smaller(self) -> ModelConfig:
        if self.seen > self.resolution:
            raise ValueError(
                f"thumbnail {self.thumbnail} is larger than the images, which have resolution "
                f"{self.resolution}; set model.thumbnail={self.resolution}, or null"
            )
        return self

    @property
    def pixels(self) -> int:
        """Pixels per place of what is diffused, along a side."""
        return 1 if self.space == PIXELS else self.latent_pixels

    @property
    def diffused(self) -> tuple[int, int, int]:
        """Channels, height and width of what is diffused."""
        channels = 3 if self.space == PIXELS else self.latent_channels
        side = self.resolution // self.pixels
        return channels, side, side

    @property
    def seen(self) -> int:
        """Side in pixels of what E_sem and the VAE read."""
        return self.thumbnail or self.resolution
