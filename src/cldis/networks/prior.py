"""The denoiser of codes: an MLP that sees its input again in every layer (as in Diff-AE)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cldis.networks.blocks import timestep_embedding

TIME = 64  # sinusoids of a timestep


class CodeDenoiser(nn.Module):
    """(x_t [n, d, 1, 1], t [n]) -> [n, d, 1, 1]: codes are pictures of one pixel, so that noise
    process and samplers are those of pictures."""

    def __init__(self, units: int, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(TIME, width), nn.SiLU())
        inputs = [units] + [width + units] * layers
        self.layers = nn.ModuleList(nn.Linear(n, width) for n in inputs[:-1])
        self.scales = nn.ModuleList(nn.Linear(width, width) for _ in inputs[:-1])
        self.out = nn.Linear(inputs[-1], units)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        x = h = x_t.flatten(1)  # [n, d]
        time = self.time(timestep_embedding(t, TIME))  # [n, width]
        for layer, scale in zip(self.layers, self.scales, strict=True):
            h = F.layer_norm(layer(h), time.shape[1:]) * (1 + scale(time))
            h = torch.cat([F.silu(h), x], dim=1)  # [n, width + d]
        return self.out(h)[..., None, None]
