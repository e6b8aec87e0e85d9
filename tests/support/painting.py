"""A decoder whose factors are known: a bar that moves, a bar that shines, hidden by a rotation."""

from __future__ import annotations

import torch
from torch import Tensor

from cldis.navigation.directions import Directions
from cldis.navigation.train import Scene

SIDE, UNITS, LIVE = 16, 4, 2


def rotation(units: int = UNITS, seed: int = 3) -> Tensor:
    return Directions.random(units, units, seed).matrix


def draw(factors: Tensor) -> Tensor:
    """factors [n, 2] -> images [n, 3, 16, 16] in [-1, 1]: place of a bar, light."""
    place = torch.linspace(-4, 4, SIDE)
    bar = torch.exp(-((place - factors[:, :1]) ** 2)).view(-1, 1, SIDE).expand(-1, SIDE // 2, -1)
    light = torch.sigmoid(factors[:, 1]).view(-1, 1, 1).expand(-1, SIDE // 2, SIDE)
    red = torch.cat([bar, torch.zeros_like(bar)], dim=1)
    blue = torch.cat([torch.zeros_like(light), light], dim=1)
    return torch.stack([red, torch.zeros_like(red), blue], dim=1) * 2 - 1


def scene(turn: Tensor | None = None, count: int = 256) -> Scene:
    """Codes of 4 units, of which `turn` mixes 2 live factors and 2 that nothing shows."""
    turn = rotation() if turn is None else turn
    generator = torch.Generator().manual_seed(7)
    codes = torch.randn(count, UNITS, generator=generator)
    return Scene(
        decode=lambda z, x_T: draw((z @ turn)[:, :LIVE]) + 0.02 * x_T,
        codes=codes[: count // 2],
        held_out=codes[count // 2 :],
        unit_std=torch.ones(UNITS),
        resolution=SIDE,
        start_shape=(3, SIDE, SIDE),
        device=torch.device("cpu"),
        checkpoint="000000000001",
    )
