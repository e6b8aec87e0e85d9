"""The phases of a run: the VAE trains alone, then teaches z_sem, then is frozen."""

from __future__ import annotations

from dataclasses import dataclass

from cldis.config import Config, DistillationConfig


@dataclass(frozen=True)
class TrainingPhase:
    """Which branch learns in a step, and the weight of the distillation."""

    vae: bool
    diffusion: bool
    lambda_dt: float = 0.0


def phase_at(config: Config, images: int) -> TrainingPhase:
    """The phase of the step that comes after `images` images.

    For the first `loop.vae_alone` images the VAE learns alone. From `distillation.end` on it is
    frozen, and C with it: nothing that they do reaches z_sem any more. A branch that the method
    lacks never learns.
    """
    end = config.distillation.end
    frozen = config.distils and 0 < end <= images
    return TrainingPhase(
        vae="vae" in config.branches and not frozen,
        diffusion="diffusion" in config.branches and images >= config.loop.vae_alone,
        lambda_dt=distillation_weight(config.distillation, config.loop.vae_alone, images),
    )


def distillation_weight(config: DistillationConfig, vae_alone: int, images: int) -> float:
    """lambda_dt after `images` images, of which `vae_alone` trained the VAE alone.

    0 in warm-up, then the weight, from there falling linearly to 0 at `end`.
    """
    start = max(config.warmup, vae_alone)
    if images < start:
        return 0.0
    if config.end:
        span = max(1, config.end - start)
        return config.weight * max(0.0, (config.end - images) / span)
    return config.weight
