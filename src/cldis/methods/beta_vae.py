"""beta-VAE (Higgins et al. 2017)."""

from __future__ import annotations

from cldis.loop.step import StepNoise
from cldis.loop.two_branch import Coded
from cldis.methods.vae import Penalty, VAEAlone


class BetaVAE(VAEAlone):
    """-E log p_theta(x|z) + beta * KL(q_phi(z|x) || N(0, I))    (eq. 4).

    `method_weight` is beta, 4 as in the paper's first experiments; the likelihood is summed over
    pixels, so beta has the paper's units.
    """

    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        return Penalty(self.config.penalty_weight * coded.kl)
