"""beta-VAE (Higgins et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from cldis.methods.vae_family import Coded, VAEBaseline


class BetaVAE(VAEBaseline):
    """-E log p_theta(x|z) + beta * KL(q_phi(z|x) || N(0, I))    (eq. 4).

    `baseline.weight` is beta, 4 as in the paper's first experiments; the likelihood is summed over
    pixels, so beta has the paper's units.
    """

    usual_weight = 4.0

    def penalty(self, coded: Coded, terms: dict[str, Tensor]) -> Tensor:
        return self.weight * coded.kl
