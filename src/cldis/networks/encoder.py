"""Image encoders: the semantic encoder of Diff-AE and the small one of Burgess et al. 2018."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import EncoderBlock, SelfAttention, group_norm


class DiffAEEncoder(nn.Module):
    """Half a U-Net with global average pooling. images [n, 3, H, W] -> [n, out]."""

    def __init__(
        self,
        side: int,
        channels: int,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        out: int,
        patch: int = 1,
    ) -> None:
        super().__init__()
        self.patch = patch
        c = multipliers[0] * width
        layers: list[nn.Module] = [nn.Conv2d(channels, c, 3, padding=1)]
        for level, multiplier in enumerate(multipliers):
            if level:
                layers.append(EncoderBlock(c, c, "down"))
                side //= 2
            for _ in range(blocks):
                layers.append(EncoderBlock(c, multiplier * width))
                c = multiplier * width
                if side in attention:
                    layers.append(SelfAttention(c))
        layers += [EncoderBlock(c, c), SelfAttention(c), EncoderBlock(c, c)]
        self.layers = nn.Sequential(*layers)
        self.norm = group_norm(c)
        self.head = nn.Linear(c, out)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.norm(self.layers(F.pixel_unshuffle(x, self.patch))))
        return self.head(h.mean(dim=(2, 3)))


class BurgessEncoder(nn.Module):
    """Stride-2 convolutions down to 4 x 4, then two linear layers. [n, 3, H, W] -> [n, out].

    Channels lie last: its convolutions are faster so, and no normalisation stands between them
    (that of groups is several times slower so, which is why the U-Net is left as it is).
    """

    def __init__(self, resolution: int, width: int, out: int, hidden: int = 256) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c = 3
        for level in range(halvings(resolution)):
            c_out = width if level < 2 else 2 * width
            layers += [nn.Conv2d(c, c_out, 4, stride=2, padding=1), nn.SiLU()]
            c = c_out
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        layers += [nn.Linear(16 * c, hidden), nn.SiLU(), nn.Linear(hidden, out)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.contiguous(memory_format=torch.channels_last))


def halvings(resolution: int) -> int:
    """How often a side is halved evenly on the way to 4 pixels."""
    count = 0
    while resolution % 2 == 0 and resolution >= 8:
        resolution //= 2
        count += 1
    return count
