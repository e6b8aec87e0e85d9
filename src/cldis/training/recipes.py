"""Named recipes: whole configurations with their size, cost and purpose."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

from cldis.config import Config

DEFAULT = "cpu64"


@dataclass(frozen=True)
class Recipe:
    """A configuration as overrides of the defaults, and what a person should expect of it."""

    overrides: tuple[str, ...]
    purpose: str
    cost: str

    def config(self, name: str) -> Config:
        base = Config.from_dict({**Config().to_dict(), "recipe": name})
        return base.with_overrides(self.overrides)


# The diffusion branch alone, z_sem a point and its units tokens (EncDiff), in small batches: the
# winner of suite px64, where it is the cell encdiff_16.
CPU64 = (
    "loop.arm=diffae",
    "model.gaussian=false",
    "training.batch=16",
    "training.images=256000",
)
# The VAE leads while C rises, then pulls, then rests: the cell closed_led_go of suite px64.
LOOP64 = (
    "model.gaussian=false",
    "vae.beta=200",  # the likelihood sums over four times the pixels of 32 px
    "distillation.kind=mse",
    "distillation.weight=2e-3",
    "distillation.release=208000",
    "feedback.warmup=5000",
    "feedback.rate=0.08",
    "loop.lead=160000",
    "training.batch=32",
    "training.images=256000",
)
# The same at 32 px, for longer: the cell closed_led_go of suite led.
ROOMS32 = (
    "model.resolution=32",
    "model.width=32",
    "model.attention=[]",
    "model.gaussian=false",
    "distillation.kind=mse",
    "distillation.weight=2e-3",
    "distillation.warmup=5000",
    "distillation.release=384000",
    "feedback.warmup=5000",
    "feedback.rate=0.05",
    "feedback.log_snr_max=-2",
    "loop.lead=256000",
    "training.batch=32",
    "training.images=512000",
)
ARMS32 = (
    "model.resolution=32",
    "feedback.log_snr_max=-2",
    "model.width=32",
    "model.attention=[]",
    "distillation.weight=2e-4",
    "distillation.warmup=10000",
    "feedback.warmup=10000",
    "training.images=64000",
)
STUDY32 = (
    *ARMS32,
    "distillation.warmup=5000",
    "feedback.warmup=5000",
    "feedback.rate=0.3",
    "training.batch=32",
    "training.images=32000",
)
DIFFAE64 = (
    "model.units=512",
    "model.patch=1",
    "model.width=64",
    "model.multipliers=[1,2,4,8]",
    "model.blocks=2",
    "model.attention=[16]",
    "model.dropout=0.1",
    "model.conditioning=adagn",
    "model.embed=512",
    "model.encoder=diffae",
    "model.encoder_width=64",
    "model.encoder_multipliers=[1,2,4,8,8]",
    "diffusion.prediction=epsilon",
    "training.images=72000000",
    "training.batch=128",
    "training.learning_rate=1e-4",
    "training.ema=1280000",
    "training.checkpoint_every=640000",
    "training.sample_every=640000",
)
TINY = (
    "model.resolution=32",
    "model.units=6",
    "model.width=16",
    "model.embed=32",
    "model.attention=[]",
    "model.encoder_width=16",
    "model.vae_width=16",
    "distillation.warmup=1000",
    "feedback.warmup=1000",
    "feedback.log_snr_max=-2",
    "training.images=6400",
    "training.batch=32",
    "training.log_every=640",
    "training.checkpoint_every=3200",
    "training.sample_every=3200",
    "training.learning_rate_warmup=320",
    "training.ema=1600",
)

RECIPES = {
    "cpu64": Recipe(
        CPU64,
        "own photos at 64 px on a small machine: the diffusion branch alone, which won the study",
        "about 50 minutes on one CPU core",
    ),
    "loop64": Recipe(
        LOOP64,
        "the closed loop at 64 px: the VAE leads",
        "about 30 minutes on one CPU core",
    ),
    "rooms32": Recipe(
        ROOMS32,
        "the closed loop at 32 px, for longer: the best of the loops there",
        "about 40 minutes on one CPU core",
    ),
    "demo": Recipe(
        (
            *CPU64,
            "training.learning_rate=2e-4",
            "training.images=12800",
            "training.start_from=starter:rooms64",
        ),
        "`make demo`: the default recipe, going on from a packaged starter that it trained",
        "about 3 minutes on one CPU core",
    ),
    "arms32": Recipe(
        ARMS32,
        "the ablation of the four arms at 32 px (set loop.arm)",
        "about 4 minutes on one CPU core",
    ),
    "study32": Recipe(
        STUDY32,
        "the study of `cldis bench`: twice as many steps per image, half the images",
        "about 3 minutes on one CPU core",
    ),
    "diffae64": Recipe(
        DIFFAE64,
        "closed loop around the official Diff-AE celeba64 networks, for a large GPU",
        "several GPU-days (not measured here)",
    ),
    "tiny": Recipe(TINY, "a smoke test: seconds, no good pictures", "under 1 minute on one core"),
}


def recipe_config(name: str) -> Config:
    """The configuration of a recipe.

    Raises:
        ValueError: unknown name; the nearest is suggested.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown recipe {name!r}; {hint}recipes: {', '.join(RECIPES)}")
    return RECIPES[name].config(name)


def stretched(config: Config, images: int) -> Config:
    """The same recipe over another budget: every stage keeps its share of it.

    The stages (`loop.lead`, both warm-ups, `distillation.release`) end at the same share of
    `images` as before, and `feedback.rate` changes inversely, so that C rises to the same nats.

    Raises:
        ValueError: `images` is below 1.
    """
    if images < 1:
        raise ValueError(f"training.images {images} must be at least 1, the images it sees")
    before = config.training.images

    def share(count: int) -> int:
        return count * images // before

    lead, release = share(config.loop.lead), config.distillation.release
    warmup = share(config.distillation.warmup)
    if release:  # 0 means never, whatever the budget
        release = max(share(release), lead + 1, warmup + 1)
    return config.with_overrides(
        [
            f"training.images={images}",
            f"loop.lead={lead}",
            f"distillation.warmup={warmup}",
            f"distillation.release={release}",
            f"feedback.warmup={share(config.feedback.warmup)}",
            f"feedback.rate={config.feedback.rate * before / images}",
        ]
    )


def resized(config: Config, resolution: int) -> Config:
    """The same recipe for images of another side in pixels.

    The likelihood of the VAE sums over pixels, so beta grows with their number to weigh the same.
    What spans the same share of an image spans more pixels, so it shows through more noise: the
    SNR range of the `information` feedback shifts down with their number (Hoogeboom et al. 2023,
    "simple diffusion", shift the noise schedule by as much).

    Raises:
        ValueError: a side that the model's levels do not divide.
    """
    factor = (resolution / config.model.resolution) ** 2
    return config.with_overrides(
        [
            f"model.resolution={resolution}",
            f"vae.beta={config.vae.beta * factor}",
            f"feedback.log_snr_max={config.feedback.log_snr_max - math.log(factor)}",
        ]
    )
