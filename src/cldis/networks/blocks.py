"""Building blocks of the Diff-AE networks (structure: Preechakul et al. 2022)."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Resample = Literal["none", "up", "down"]


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels)


def zeroed(module: nn.Module) -> nn.Module:
    """Zero all parameters, so that a residual branch starts as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def timestep_embedding(t: Tensor, channels: int) -> Tensor:
    """Sinusoids of the timestep, cosines first (Vaswani et al. 2017). t [n] -> [n, channels]."""
    half = channels // 2
    frequencies = torch.exp(
        -math.log(10_000) * torch.arange(half, dtype=torch.float32, device=t.device) / half
    )
    angles = t[:, None].float() * frequencies[None]  # [n, half]
    embedding = torch.cat([angles.cos(), angles.sin()], dim=1)  # [n, 2 half]
    return F.pad(embedding, (0, channels % 2))


def resample(x: Tensor, how: Resample) -> Tensor:
    if how == "up":
        return F.interpolate(x, scale_factor=2, mode="nearest")
    if how == "down":
        return F.avg_pool2d(x, 2)
    return x


class EncoderBlock(nn.Module):
    """Unconditional residual block: norm, SiLU, [resample], conv, plus skip."""

    def __init__(self, channels: int, out_channels: int, how: Resample = "none") -> None:
        super().__init__()
        self.how: Resample = how
        self.norm = group_norm(channels)
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.skip = skip(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        h = resample(F.silu(self.norm(x)), self.how)
        return self.skip(resample(x, self.how)) + self.conv(h)


class ResBlock(nn.Module):
    """Residual block modulated by time and, with `adagn`, by z_sem, each in turn.

    h <- norm(h); h <- h (1 + s_t) + b_t; h <- h (1 + s_z)   (Diff-AE, eq. 7, as published code).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        time_channels: int,
        condition_channels: int = 0,
        dropout: float = 0.0,
        how: Resample = "none",
    ) -> None:
        super().__init__()
        self.how: Resample = how
        self.norm1 = group_norm(channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_channels, 2 * out_channels)
        self.condition = nn.Linear(condition_channels, out_channels) if condition_channels else None
        self.norm2 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip = skip(channels, out_channels)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        h = self.conv1(resample(F.silu(self.norm1(x)), self.how))  # [n, out, H, W]
        scale, shift = self.time(F.silu(time))[..., None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        if self.condition is not None:
            h = h * (1 + self.condition(F.silu(condition))[..., None, None])
        h = self.conv2(self.dropout(F.silu(h)))
        return self.skip(resample(x, self.how)) + h


class Pointwise(nn.Conv1d):
    """A linear map of every position; its weight is that of a convolution, [out, in, 1].

    A matrix product is faster than that convolution, and needs no change of layout beside
    attention.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, positions, channels] -> [n, positions, out_channels]."""
        return F.linear(x, self.weight.squeeze(2), self.bias)


class SelfAttention(nn.Module):
    """Single-head attention of all positions to each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = Pointwise(channels, 3 * channels)
        self.out = zeroed(Pointwise(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)  # [n, c, hw]
        q, k, v = self.qkv(self.norm(flat).transpose(1, 2)).chunk(3, dim=2)  # [n, hw, c] each
        h = F.scaled_dot_product_attention(q, k, v)
        return (flat + self.out(h).transpose(1, 2)).view_as(x)


class UnitAttention(nn.Module):
    """Positions attend to the unit tokens of z_sem (cross-attention, as in EncDiff)."""

    def __init__(self, channels: int, token_channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q = Pointwise(channels, channels)
        self.kv = nn.Linear(token_channels, 2 * channels)
        self.out = zeroed(Pointwise(channels, channels))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        flat = x.flatten(2)  # [n, c, hw]
        q = self.q(self.norm(flat).transpose(1, 2))  # [n, hw, c]
        k, v = self.kv(tokens).chunk(2, dim=2)  # [n, d, c] each
        h = F.scaled_dot_product_attention(q, k, v)
        return (flat + self.out(h).transpose(1, 2)).view_as(x)


class UnitTokens(nn.Module):
    """Each latent unit to its own token through its own small MLP. z [n, d] -> [n, d, channels]."""

    def __init__(self, units: int, channels: int, hidden: int = 32) -> None:
        super().__init__()
        self.weight_in = normal(units, hidden)
        self.bias_in = normal(units, hidden)
        self.weight_out = normal(units, hidden, channels, over=math.sqrt(hidden))
        self.bias_out = normal(units, channels)

    def forward(self, z: Tensor) -> Tensor:
        h = F.silu(z[..., None] * self.weight_in + self.bias_in)  # [n, d, hidden]
        return torch.einsum("ndh,dhc->ndc", h, self.weight_out) + self.bias_out

    @torch.no_grad()
    def absorb(self, mean: Tensor, scale: Tensor) -> None:
        """Read (z - mean) / scale from now on, and give the same tokens; both [d]."""
        self.bias_in.add_(mean[:, None] * self.weight_in)
        self.weight_in.mul_(scale[:, None])


def skip(channels: int, out_channels: int) -> nn.Module:
    return nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)


def normal(*shape: int, over: float = 1.0) -> nn.Parameter:
    """Standard normal numbers, divided by `over`.

    An outline on `meta` has none, and PyTorch would import its compiler to make them there.
    """
    made = torch.empty(*shape)
    return nn.Parameter(made if made.is_meta else made.normal_().div_(over))
