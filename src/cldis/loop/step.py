"""What goes into a training step beside images, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cldis.config import Config


@dataclass(frozen=True)
class StepNoise:
    """All randomness of a step, one row per image."""

    t: Tensor  # [n] int64
    noise: Tensor  # [n, c, h, w], as x0
    z_noise: Tensor  # [n, d]
    vae_noise: Tensor  # [n, d]
    drop: Tensor  # [n] bool
    probe_noise: Tensor  # [n, c, h, w]
    probe_uniform: Tensor  # [n]

    @classmethod
    def draw(cls, config: Config, n: int, generator: torch.Generator) -> StepNoise:
        d, device = config.model.units, generator.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(n, *shape, generator=generator, device=device)

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator, device=device)

        return cls(
            t=(uniform() * config.diffusion.steps).long(),
            noise=normal(*config.model.diffused),
            z_noise=normal(d),
            vae_noise=normal(d),
            drop=uniform() < config.diffusion.condition_dropout,
            probe_noise=normal(*config.model.diffused),
            probe_uniform=uniform(),
        )

    def rows(self, start: int, stop: int) -> StepNoise:
        return StepNoise(**{name: value[start:stop] for name, value in vars(self).items()})


@dataclass(frozen=True)
class StepOutput:
    """What one micro-batch gives back."""

    loss: Tensor  # scalar, to be minimised
    terms: dict[str, Tensor] = field(default_factory=dict)  # detached scalars for the log
    signal: Tensor | None = None  # what the feedback observed; None: no reverse process ran
