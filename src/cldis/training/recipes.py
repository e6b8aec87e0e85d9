"""Named recipes: whole configurations with their size, cost and purpose."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cldis.config import Config
from cldis.text import named

DEFAULT = "taught64"


Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A configuration, and what a person should expect of it.

    `settings` are those of `Config` by section; what they leave out has its default there. No
    recipe builds on another.
    """

    settings: Settings
    purpose: str
    cost: str

    def config(self, name: str) -> Config:
        return Config.from_dict({**self.settings, "recipe": name})


PULL = 16_000  # images after the hand-over


def taught(alone: int, decoder: int, rate: float) -> Settings:
    """A VAE that begins and the diffusion branch that goes on, beside method and model.

    Args:
        alone: images of the VAE by itself.
        decoder: images of the diffusion branch after it. The strong pull ends after `PULL`.
        rate: by which C rises, in nats per 1,000 images.
    """
    return {
        "vae": {"beta": 200.0},
        "distillation": {
            "kind": "mse",
            "weight": 2e-3,
            "warmup": 0,
            "end": alone + PULL,
            "rest": 0.1,
        },
        "feedback": {"warmup": 5_000, "rate": rate},
        "loop": {"vae_alone": alone, "unmix": True},
        "training": {"images": alone + decoder, "batch": 16, "optimizer": "muon"},
    }


# Photos say more than drawings do: C rises to 15 nats.
PHOTOS = taught(alone=96_000, decoder=96_000, rate=0.16)

RECIPES = {
    # The cell unmixed_long of suite compact.
    "taught64": Recipe(
        {
            "method": "rate_loop",
            "model": {"resolution": 64, "width": 40, "attention": [8], "gaussian": True},
            **taught(alone=128_000, decoder=128_000, rate=0.08),
        },
        "own photos at 64 px on a small machine: a VAE teaches, a diffusion model goes on",
        "about 30 minutes on one CPU core",
    ),
    # The cell encdiff_16 of suite px64.
    "cpu64": Recipe(
        {
            "method": "encdiff",
            "model": {"resolution": 64, "width": 40, "attention": [8], "gaussian": False},
            "training": {"images": 256_000, "batch": 16},
        },
        "EncDiff at 64 px: the diffusion branch alone",
        "about 50 minutes on one CPU core",
    ),
    "photos128": Recipe(
        {
            "method": "rate_loop",
            "model": {
                "resolution": 128,
                "space": "madebyollin/taesd",
                "latent_channels": 4,
                "latent_pixels": 8,
                "thumbnail": 64,
                "patch": 1,
                "width": 40,
                "attention": [8],
                "gaussian": True,
            },
            **PHOTOS,
        },
        "own photos at 128 px: the default on the latents of the autoencoder TAESD",
        "about 25 minutes on one CPU core, encoding the photos not counted",
    ),
    # Latents in patches of 2 cost the U-Net what those of `photos128` cost it.
    "photos256": Recipe(
        {
            "method": "rate_loop",
            "model": {
                "resolution": 256,
                "space": "madebyollin/taesd",
                "latent_channels": 4,
                "latent_pixels": 8,
                "thumbnail": 64,
                "patch": 2,
                "width": 40,
                "attention": [8],
                "gaussian": True,
            },
            **PHOTOS,
        },
        "own photos at 256 px: the same on latents in patches of 2",
        "about 40 minutes on one CPU core, encoding the photos not counted",
    ),
    "gpu256": Recipe(
        {
            "method": "encdiff",
            "model": {
                "resolution": 256,
                "space": "madebyollin/taesd",
                "latent_channels": 4,
                "latent_pixels": 8,
                "thumbnail": 128,
                "patch": 1,
                "width": 128,
                "multipliers": [1, 2, 2],
                "blocks": 2,
                "attention": [16, 8],
                "dropout": 0.1,
                "embed": 256,
                "encoder_width": 64,
                "gaussian": False,
            },
            "training": {
                "images": 1_000_000,
                "batch": 64,
                "learning_rate": 2e-4,
                "ema": 50_000,
                "checkpoint_every": 100_000,
                "sample_every": 40_000,
            },
        },
        "own photos at 256 px on a GPU: a wider network on whole latents",
        "about 15 minutes of a GPU that reaches 50 TFLOP/s (46 PFLOP; computed, not measured)",
    ),
    # The cell closed_led_go of suite px64.
    "loop64": Recipe(
        {
            "method": "closed",
            "model": {"resolution": 64, "width": 40, "attention": [8], "gaussian": False},
            # The likelihood sums over four times the pixels of 32 px.
            "vae": {"beta": 200.0},
            "distillation": {"kind": "mse", "weight": 2e-3, "warmup": 20_000, "end": 208_000},
            "feedback": {"warmup": 5_000, "rate": 0.08, "log_snr_max": -3.4},
            "loop": {"vae_alone": 160_000},
            "training": {"images": 256_000, "batch": 32},
        },
        "the closed loop at 64 px: the VAE trains alone first",
        "about 30 minutes on one CPU core",
    ),
    # The cell closed_led_go of suite led.
    "rooms32": Recipe(
        {
            "method": "closed",
            "model": {"resolution": 32, "width": 32, "attention": [], "gaussian": False},
            "vae": {"beta": 50.0},
            "distillation": {"kind": "mse", "weight": 2e-3, "warmup": 5_000, "end": 384_000},
            "feedback": {"warmup": 5_000, "rate": 0.05, "log_snr_max": -2.0},
            "loop": {"vae_alone": 256_000},
            "training": {"images": 512_000, "batch": 32},
        },
        "the closed loop at 32 px, for longer: the best of the loops there",
        "about 40 minutes on one CPU core",
    ),
    "demo": Recipe(
        {
            "method": "rate_loop",
            "model": {"resolution": 64, "width": 40, "attention": [8], "gaussian": True},
            "vae": {"beta": 200.0},
            # The pull that stays of recipe taught64; its VAE comes with the starter.
            "distillation": {"kind": "mse", "weight": 2e-4, "warmup": 0},
            "feedback": {"warmup": 5_000, "rate": 0.08},
            "training": {
                "images": 12_800,
                "batch": 16,
                "optimizer": "muon",
                "learning_rate": 2e-4,
                "start_from": "starter:rooms64",
            },
        },
        "`make demo`: the default recipe, going on from a packaged starter that it trained",
        "about 3 minutes on one CPU core",
    ),
    "arms32": Recipe(
        {
            "method": "closed",
            "model": {"resolution": 32, "width": 32, "attention": [], "gaussian": True},
            "vae": {"beta": 50.0},
            "distillation": {"kind": "kl", "weight": 2e-4, "warmup": 10_000},
            "feedback": {"warmup": 10_000, "rate": 0.07, "log_snr_max": -2.0},
            "training": {"images": 64_000, "batch": 64},
        },
        "the ablation of the loop at 32 px (set method to closed, open, diffusion or vae)",
        "about 4 minutes on one CPU core",
    ),
    "study32": Recipe(
        {
            "method": "closed",
            "model": {"resolution": 32, "width": 32, "attention": [], "gaussian": True},
            "vae": {"beta": 50.0},
            "distillation": {"kind": "kl", "weight": 2e-4, "warmup": 5_000},
            "feedback": {"warmup": 5_000, "rate": 0.3, "log_snr_max": -2.0},
            "training": {"images": 32_000, "batch": 32},
        },
        "the study of `cldis bench`: twice as many steps per image as arms32, half the images",
        "about 3 minutes on one CPU core",
    ),
    "diffae64": Recipe(
        {
            "method": "closed",
            "model": {
                "resolution": 64,
                "units": 512,
                "patch": 1,
                "width": 64,
                "multipliers": [1, 2, 4, 8],
                "blocks": 2,
                "attention": [16],
                "dropout": 0.1,
                "conditioning": "adagn",
                "embed": 512,
                "encoder": "diffae",
                "encoder_width": 64,
                "encoder_multipliers": [1, 2, 4, 8, 8],
                "gaussian": True,
            },
            "diffusion": {"prediction": "epsilon"},
            "vae": {"beta": 50.0},
            "distillation": {"kind": "kl", "weight": 5e-5, "warmup": 20_000},
            "feedback": {"warmup": 20_000, "rate": 0.07, "log_snr_max": -3.4},
            "training": {
                "images": 72_000_000,
                "batch": 128,
                "learning_rate": 1e-4,
                "ema": 1_280_000,
                "checkpoint_every": 640_000,
                "sample_every": 640_000,
            },
        },
        "closed loop around the official Diff-AE celeba64 networks, for a large GPU",
        "several GPU-days (not measured here)",
    ),
    "tiny": Recipe(
        {
            "method": "closed",
            "model": {
                "resolution": 32,
                "units": 6,
                "width": 16,
                "embed": 32,
                "attention": [],
                "encoder_width": 16,
                "vae_width": 16,
                "gaussian": True,
            },
            "vae": {"beta": 50.0},
            "distillation": {"kind": "kl", "weight": 5e-5, "warmup": 1_000},
            "feedback": {"warmup": 1_000, "rate": 0.07, "log_snr_max": -2.0},
            "training": {
                "images": 6_400,
                "batch": 32,
                "learning_rate_warmup": 320,
                "ema": 1_600,
                "log_every": 640,
                "checkpoint_every": 3_200,
                "sample_every": 3_200,
            },
        },
        "a smoke test: seconds, no good pictures",
        "under 1 minute on one core",
    ),
}


def recipe_config(name: str) -> Config:
    """The configuration of a recipe.

    Raises:
        ValueError: unknown name; the nearest is suggested.
    """
    return named("recipe", name, RECIPES).config(name)


def stretched(config: Config, images: int) -> Config:
    """The same recipe over another budget: every phase keeps its share of it.

    The phases (`loop.vae_alone`, `loop.rate_from`, both warm-ups, `distillation.end`) end at the
    same share of `images` as before, and `feedback.rate` changes inversely, so that C rises to
    the same nats.

    Raises:
        ValueError: `images` is below 1.
    """
    if images < 1:
        raise ValueError(f"training.images {images} must be at least 1, the images it sees")
    before = config.training.images

    def share(count: int) -> int:
        return count * images // before

    alone, end = share(config.loop.vae_alone), config.distillation.end
    warmup = share(config.distillation.warmup)
    if end:  # 0 means never, whatever the budget
        end = max(share(end), alone + 1, warmup + 1)
    return config.with_overrides(
        [
            f"training.images={images}",
            f"loop.vae_alone={alone}",
            f"loop.rate_from={share(config.loop.rate_from)}",
            f"distillation.warmup={warmup}",
            f"distillation.end={end}",
            f"feedback.warmup={share(config.feedback.warmup)}",
            f"feedback.rate={config.feedback.rate * before / images}",
        ]
    )


def resized(config: Config, resolution: int) -> Config:
    """The same recipe for images of another side in pixels.

    The likelihood of the VAE sums over the pixels that it reads, so beta grows with their number to
    weigh the same.
    What spans the same share of an image spans more pixels, so it shows through more noise: the
    SNR range of the `information` feedback shifts down with their number (Hoogeboom et al. 2023,
    "simple diffusion", shift the noise schedule by as much).

    Raises:
        ValueError: a side that the model's levels do not divide.
    """
    model = config.model
    factor = (resolution / model.resolution) ** 2
    thumbnail = min(model.thumbnail, resolution) if model.thumbnail else None
    seen = ((thumbnail or resolution) / model.seen) ** 2
    return config.with_overrides(
        [
            f"model.resolution={resolution}",
            f"model.thumbnail={json.dumps(thumbnail)}",
            f"vae.beta={config.vae.beta * seen}",
            f"feedback.log_snr_max={config.feedback.log_snr_max - math.log(factor)}",
        ]
    )
