"""The methods by name: the one table that settings, commands, bench, reports and cards read.

A new method is a file in this folder and a line here. The table imports nothing heavy, so that
`--help` and a check of settings stay light; `cldis.methods.build` loads the class when a model is
built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cldis.text import named


@dataclass(frozen=True)
class Method:
    """What is known of a method without loading it."""

    origin: str  # module:Class of a `cldis.loop.two_branch.TwoBranch`, called with a Config
    label: str  # its name in print
    summary: str  # what it is, to follow "a run of"
    branches: tuple[str, ...]  # which it has, of `diffusion` and `vae`
    settings: Mapping[str, Any] = field(default_factory=dict)  # what it is made of, dotted keys
    weight: float | None = None  # usual weight of its main regulariser; None: it has none
    capacity: bool = False  # the capacity C is part of its loss
    feedback: bool = False  # C follows the reverse process
    rate: bool = False  # the feedback lowers the rate of z_sem itself


BOTH, DIFFUSION, VAE = ("diffusion", "vae"), ("diffusion",), ("vae",)
# Only the second form of the loop hands an encoder over, and lowers the rate of z_sem.
JOINT: dict[str, Any] = {"loop.unmix": False, "loop.rate_from": 0}
# One branch has nothing to wait for.
ALONE: dict[str, Any] = {"loop.vae_alone": 0, **JOINT}
# What it denoises is read as an image, or nothing is denoised.
IN_PIXELS: dict[str, Any] = {"model.space": "pixels"}
VAE_ALONE: dict[str, Any] = {**ALONE, **IN_PIXELS}
# The code is a point, and conditions every block (AdaGN) or becomes a token per unit.
POINT: dict[str, Any] = {**ALONE, "model.gaussian": False}
MODULATES: dict[str, Any] = {**POINT, "model.conditioning": "adagn"}
TOKENS: dict[str, Any] = {**POINT, "model.conditioning": "cross_attention"}

METHODS: dict[str, Method] = {
    "closed": Method(
        "cldis.loop.closed_loop:ClosedLoop",
        "CL-Dis",
        "the closed loop: a diffusion autoencoder and a β-VAE that teach each other",
        BOTH,
        JOINT,
        capacity=True,
        feedback=True,
    ),
    "open": Method(
        "cldis.loop.closed_loop:ClosedLoop",
        "CL-Dis, open loop",
        "the open loop: a β-VAE teaches a diffusion autoencoder and hears nothing back",
        BOTH,
        JOINT,
        capacity=True,
    ),
    "rate_loop": Method(
        "cldis.loop.rate_loop:RateLoop",
        "CL-Dis, rate",
        "the closed loop in its second form: a β-VAE begins the code, the diffusion model measures "
        "its information, and the rate of the code is lowered to that",
        BOTH,
        {
            "model.gaussian": True,
            "model.encoder": "burgess",
            "model.conditioning": "cross_attention",
            "distillation.kind": "mse",
        },
        capacity=True,
        feedback=True,
        rate=True,
    ),
    "diffusion": Method(
        "cldis.methods.diffusion:DiffusionBranch",
        "diffusion branch",
        "the diffusion autoencoder of the loop alone",
        DIFFUSION,
        ALONE,
    ),
    "vae": Method(
        "cldis.methods.vae:CapacityVAE",
        "β-VAE with a capacity",
        "the β-VAE of the loop alone",
        VAE,
        VAE_ALONE,
        capacity=True,
    ),
    "diffae": Method(
        "cldis.methods.diffae:DiffAE",
        "Diff-AE",
        "Diff-AE, a diffusion autoencoder with AdaGN",
        DIFFUSION,
        MODULATES,
    ),
    "encdiff": Method(
        "cldis.methods.encdiff:EncDiff",
        "EncDiff",
        "EncDiff, a diffusion autoencoder with a token per unit",
        DIFFUSION,
        TOKENS,
    ),
    "disdiff": Method(
        "cldis.methods.disdiff:DisDiff",
        "DisDiff",
        "DisDiff, a diffusion autoencoder whose decoded changes are read back",
        DIFFUSION,
        {**TOKENS, **IN_PIXELS},
        weight=0.05,
    ),
    "beta_vae": Method(
        "cldis.methods.beta_vae:BetaVAE", "β-VAE", "the β-VAE", VAE, VAE_ALONE, weight=4.0
    ),
    "anneal_vae": Method(
        "cldis.methods.anneal_vae:AnnealVAE",
        "AnnealVAE",
        "AnnealVAE, a β-VAE whose capacity rises at a fixed rate",
        VAE,
        VAE_ALONE,
        weight=100.0,
        capacity=True,
    ),
    "factor_vae": Method(
        "cldis.methods.factor_vae:FactorVAE", "FactorVAE", "FactorVAE", VAE, VAE_ALONE, weight=35.0
    ),
    "beta_tcvae": Method(
        "cldis.methods.beta_tcvae:BetaTCVAE", "β-TCVAE", "β-TCVAE", VAE, VAE_ALONE, weight=6.0
    ),
    "dip_vae": Method(
        "cldis.methods.dip_vae:DIPVAE", "DIP-VAE-II", "DIP-VAE-II", VAE, VAE_ALONE, weight=10.0
    ),
}


def find_method(name: str) -> Method:
    """A method by its name.

    Raises:
        ValueError: unknown name; the nearest is suggested.
    """
    return named("method", name, METHODS)
