"""The stages of a run: the co-pilot leads, then pulls, then rests."""

from __future__ import annotations

from dataclasses import dataclass

from cldis.config import Config, DistillationConfig


@dataclass(frozen=True)
class Stage:
    """Who learns in a step, and how hard the co-pilot pulls."""

    vae: bool
    diffusion: bool
    weight: float = 0.0  # lambda_dt


def stage_at(config: Config, images: int) -> Stage:
    """The stage of the step that comes after `images` images.

    For the first `loop.lead` images the VAE learns alone. After `distillation.release` images
    nothing leads from it to z_sem any more, nor C: it rests, as it is. A branch that the arm
    lacks never learns.
    """
    arm, release = config.loop.arm, config.distillation.release
    leads = images < config.loop.lead
    rests = config.distils and 0 < release <= images
    return Stage(
        vae=arm != "diffae" and not rests,
        diffusion=arm != "vae" and not leads,
        weight=distillation_weight(config.distillation, config.loop.lead, images),
    )


def distillation_weight(config: DistillationConfig, lead: int, images: int) -> float:
    """lambda_dt after `images` images, of which `lead` trained the VAE alone.

    0 in warm-up, then the weight, from there a linear release to 0.
    """
    start = max(config.warmup, lead)
    if images < start:
        return 0.0
    if config.release:
        span = max(1, config.release - start)
        return config.weight * max(0.0, (config.release - images) / span)
    return config.weight
