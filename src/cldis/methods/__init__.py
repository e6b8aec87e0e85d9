"""Other methods behind the interface of the closed loop, trained by the same engine."""

from __future__ import annotations

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


def build(config: Config) -> ClosedLoop:
    """The method of `baseline.method`, freshly initialised; the closed loop for `none`."""
    return METHODS[config.baseline.method](config)
