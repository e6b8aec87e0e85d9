"""AnnealVAE: the capacity of the code rises with training (Burgess et al. 2018)."""

from __future__ import annotations

from cldis.loop.step import StepNoise
from cldis.loop.two_branch import Coded
from cldis.methods.vae import Penalty, VAEAlone


class AnnealVAE(VAEAlone):
    """-E log p_theta(x|z) + gamma * |KL(q_phi(z|x) || N(0, I)) - C|    (eq. 8).

    `method_weight` is gamma, 100. The paper's 1000 needs its millions of images: at a hundredth
    of them the KL is held at C by posteriors that are narrow and say nothing of the image. C rises
    linearly from 0: `feedback.warmup`, `feedback.rate` and `feedback.capacity_max` are its start,
    slope and end. The paper takes 25 nats over 6.4 million images; the default here is the pace of
    our own linear control.
    """

    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        return Penalty(self.config.penalty_weight * (coded.kl - capacity).abs())
