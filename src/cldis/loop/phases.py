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
    rate: bool = False  # the rate of z_sem is lowered

    @property
    def kind(self) -> tuple[bool, bool, bool]:
        """Who learns what: a step of another kind begins a phase."""
        return self.vae, self.diffusion, self.rate


def phase_at(config: Config, images: int) -> TrainingPhase:
    """The phase of the step that comes after `images` images.

    For the first `loop.vae_alone` images the VAE learns alone. From `distillation.end` on it is
    frozen, and C with it: nothing that they do reaches z_sem any more. A branch that the method
    lacks never learns.

    Where the rate of z_sem is lowered (`rate_loop`), the VAE is frozen from the hand-over until
    then, and learns z_sem from then on; nothing is distilled into z_sem any more.
    """
    alone, start = config.loop.vae_alone, config.loop.rate_from
    if config.lowers_rate:
        rate = 0 < start <= images
        weight = distillation_weight(config.distillation, alone, images)
        return TrainingPhase(
            vae=images < alone or rate,
            diffusion=images >= alone,
            lambda_dt=0.0 if rate else weight,
            rate=rate,
        )
    end = config.distillation.end
    frozen = config.distils and 0 < end <= images
    return TrainingPhase(
        vae="vae" in config.branches and not frozen,
        diffusion="diffusion" in config.branches and images >= config.loop.vae_alone,
        lambda_dt=distillation_weight(config.distillation, config.loop.vae_alone, images),
    )


def distillation_weight(config: DistillationConfig, vae_alone: int, images: int) -> float:
    """lambda_dt after `images` images, of which `vae_alone` trained the VAE alone.

    0 in warm-up, then the weight, from there falling linearly to `rest` of it at `end`.
    """
    start = max(config.warmup, vae_alone)
    if images < start:
        return 0.0
    if config.end:
        span = max(1, config.end - start)
        return config.weight * max(config.rest, (config.end - images) / span)
    return config.weight
