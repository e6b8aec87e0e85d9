"""The conditional U-Net of Diff-AE, and the denoiser around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import (
    Resample,
    ResBlock,
    SelfAttention,
    UnitAttention,
    UnitTokens,
    group_norm,
    timestep_embedding,
    zeroed,
)


class UNetLevel(nn.Module):
    """A residual block, then self-attention and attention to unit tokens where wanted."""

    def __init__(self, block: ResBlock, attention: bool, channels: int, tokens: int) -> None:
        super().__init__()
        self.block = block
        self.attention = SelfAttention(channels) if attention else None
        self.units = UnitAttention(channels, tokens) if tokens else None

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        h = self.block(x, time, condition)
        if self.attention is not None:
            h = self.attention(h)
        if self.units is not None:
            h = self.units(h, condition)
        return h


class UNet(nn.Module):
    """Denoising network; the block order is that of the published Diff-AE.

    forward(x [n, c, s, s], t [n], condition) -> [n, c, s, s], where condition is z_sem [n, k]
    for `adagn` and unit tokens [n, d, k] for `cross_attention` (`tokens=True`).
    """

    def __init__(
        self,
        side: int,
        channels: int,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        embed: int,
        condition_channels: int,
        tokens: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width = width
        adagn, token_channels = (0, condition_channels) if tokens else (condition_channels, 0)

        def block(c_in: int, c_out: int, how: Resample = "none") -> ResBlock:
            return ResBlock(c_in, c_out, embed, adagn, dropout, how)

        def layer(c_in: int, c_out: int, size: int) -> UNetLevel:
            return UNetLevel(block(c_in, c_out), size in attention, c_out, token_channels)

        self.time = nn.Sequential(nn.Linear(width, embed), nn.SiLU(), nn.Linear(embed, embed))
        c = multipliers[0] * width
        self.stem = nn.Conv2d(channels, c, 3, padding=1)
        self.down = nn.ModuleList()
        laterals = [c]
        for level, multiplier in enumerate(multipliers):
            if level:
                self.down.append(UNetLevel(block(c, c, "down"), False, c, 0))
                laterals.append(c)
                side //= 2
            for _ in range(blocks):
                self.down.append(layer(c, multiplier * width, side))
                c = multiplier * width
                laterals.append(c)

        self.middle = nn.ModuleList(
            [UNetLevel(block(c, c), True, c, token_channels), UNetLevel(block(c, c), False, c, 0)]
        )

        self.up = nn.ModuleList()
        self.takes_lateral = []
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                self.up.append(layer(c + laterals.pop(), multiplier * width, side))
                self.takes_lateral.append(True)
                c = multiplier * width
            if level:
                self.up.append(UNetLevel(block(c, c, "up"), False, c, 0))
                self.takes_lateral.append(False)
                side *= 2
        assert not laterals
        self.norm = group_norm(c)
        self.out = zeroed(nn.Conv2d(c, channels, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        time = self.time(timestep_embedding(t, self.width))  # [n, embed]
        h = self.stem(x)
        laterals = [h]
        for layer in self.down:
            h = layer(h, time, condition)
            laterals.append(h)
        for layer in self.middle:
            h = layer(h, time, condition)
        for layer, takes_lateral in zip(self.up, self.takes_lateral, strict=True):
            if takes_lateral:
                h = torch.cat([h, laterals.pop()], dim=1)
            h = layer(h, time, condition)
        return self.out(F.silu(self.norm(h)))


class Denoiser(nn.Module):
    """x_t and z_sem to a prediction, in the space of x_t; denoises p x p patches inside.

    Space-to-depth is a permutation, so Gaussian noise stays Gaussian and nothing outside needs to
    know of it. Where `drop` is true a learned null condition stands in for z_sem, which gives the
    unconditional model that the `information` feedback compares with.
    """

    def __init__(self, unet: UNet, units: int, embed: int, tokens: bool, patch: int) -> None:
        super().__init__()
        self.unet = unet
        self.patch = patch
        self.tokens = UnitTokens(units, embed) if tokens else nn.Identity()
        self.null = nn.Parameter(torch.zeros(units, embed) if tokens else torch.zeros(units))

    def forward(self, x: Tensor, t: Tensor, z: Tensor, drop: Tensor | None = None) -> Tensor:
        """x [n, c, H, W], t [n] in 0..T-1, z [n, d], drop [n] bool -> [n, c, H, W]."""
        condition = self.tokens(z)  # [n, d] or [n, d, embed]
        if drop is not None:
            mask = drop.view(-1, *[1] * (condition.dim() - 1))
            condition = torch.where(mask, self.null.to(condition.dtype), condition)
        patches = F.pixel_unshuffle(x, self.patch)  # [n, cpp, H/p, W/p]
        return F.pixel_shuffle(self.unet(patches, t, condition), self.patch)
