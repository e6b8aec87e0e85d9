"""Small networks that every test of this folder, and of the model API, can afford."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cldis.config import Config
from cldis.loop.phases import TrainingPhase
from cldis.loop.two_branch import TwoBranch
from cldis.methods.build import build
from support.small import NETWORKS

# The closed loop with Gaussian codes: every branch and every loss.
LOOP = Config.from_dict({"method": "closed", "model": {"gaussian": True}})
# The second form of the loop: the VAE begins.
RATE_LOOP = Config.from_dict(
    {
        "method": "rate_loop",
        "model": {"gaussian": True},
        "distillation": {"kind": "mse"},
        "loop": {"vae_alone": 1},
    }
)
SMALL = (*NETWORKS, "model.resolution=16", "model.patch=4", "model.attention=[2]")


def small_config(*overrides: str) -> Config:
    return LOOP.with_overrides([*SMALL, *overrides])


def perturbed(module: nn.Module, seed: int, scale: float = 0.05) -> nn.Module:
    """Add noise to every parameter, so that layers that start at zero say something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return module


def small_loop(*overrides: str, seed: int = 0, scale: float = 0.05) -> TwoBranch:
    torch.manual_seed(seed)
    loop = build(small_config(*overrides))
    perturbed(loop, seed, scale)
    return loop


def pictures(n: int, side: int = 16, seed: int = 0) -> Tensor:
    """Smooth random images [n, 3, side, side] in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 3, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return smooth.clamp(-1, 1)


def both(loop: TwoBranch, weight: float = 0.0) -> TrainingPhase:
    """The phase in which every branch of a method learns."""
    rate = loop.config.lowers_rate
    return TrainingPhase(loop.vae is not None, loop.denoiser is not None, weight, rate)
