"""Other methods behind the interface of the closed loop, trained by the same engine."""

from __future__ import annotations

from cldis.baselines.anneal_vae import AnnealVAE
from cldis.baselines.beta_tcvae import BetaTCVAE
from cldis.baselines.beta_vae import BetaVAE
from cldis.baselines.diffae import DiffAE
from cldis.baselines.dip_vae import DIPVAE
from cldis.baselines.disdiff import DisDiff
from cldis.baselines.encdiff import EncDiff
from cldis.baselines.factor_vae import FactorVAE
from cldis.config import Config
from cldis.loop.closed_loop import ClosedLoop

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
