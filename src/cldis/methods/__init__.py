"""Other methods behind the interface of the closed loop, trained by the same engine."""

from __future__ import annotations

import torch

from cldis.config import Config
from cldis.loop.closed_loop import ClosedLoop
from cldis.methods.anneal_vae import AnnealVAE
from cldis.methods.beta_tcvae import BetaTCVAE
from cldis.methods.beta_vae import BetaVAE
from cldis.methods.diffae import DiffAE
from cldis.methods.dip_vae import DIPVAE
from cldis.methods.disdiff import DisDiff
from cldis.methods.encdiff import EncDiff
from cldis.methods.factor_vae import FactorVAE

# The names that `baseline.method` takes. Each is called with the whole configuration.
METHODS: dict[str, type[ClosedLoop]] = {
    "none": ClosedLoop,
    "beta_vae": BetaVAE,
    "anneal_vae": AnnealVAE,
    "factor_vae": FactorVAE,
    "beta_tcvae": BetaTCVAE,
    "dip_vae": DIPVAE,
    "diffae": DiffAE,
    "encdiff": EncDiff,
    "disdiff": DisDiff,
}

MOST = 250_000_000  # parameters: 1 GB of float32, and more than twice recipe diffae64


def build(config: Config) -> ClosedLoop:
    """The method of `baseline.method`, freshly initialised; the closed loop for `none`.

    Raises:
        ValueError: see `outline`; nothing is allocated.
    """
    outline(config)
    return METHODS[config.baseline.method](config)


def outline(config: Config) -> ClosedLoop:
    """What `build` gives, on torch's `meta` device: shapes without numbers, at no cost.

    No random number is drawn.

    Raises:
        ValueError: the sizes make more than `MOST` parameters.
    """
    with torch.device("meta"):
        made = METHODS[config.baseline.method](config)
    count = sum(parameter.numel() for parameter in made.parameters())
    if count > MOST:
        raise ValueError(
            f"these sizes make {count / 1e6:,.0f} million parameters, more than the "
            f"{MOST / 1e6:,.0f} million allowed; lower model.width, model.multipliers, "
            f"model.embed or model.units"
        )
    return made
