"""DIP-VAE-II: the covariance of the aggregate code is pulled to I (Kumar et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from cldis.loop.step import StepNoise
from cldis.loop.two_branch import Coded
from cldis.methods.vae import Penalty, VAEAlone
from cldis.networks.gaussian import Gaussian


class DIPVAE(VAEAlone):
    """-E log p_theta(x|z) + KL(q_phi(z|x) || N(0, I))
    + lambda_od * sum_{i != j} Cov_ij^2 + lambda_d * sum_i (Cov_ii - 1)^2    (eq. 7).

    Cov is that of z over images and posterior noise, the paper's second variant, with
    lambda_d = lambda_od. `method_weight` is lambda_od, 10. The covariance is that of the batch.
    """

    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        off_diagonal, diagonal = covariance_penalty(covariance(coded.q))
        distance = off_diagonal + diagonal
        return Penalty(
            coded.kl + self.config.penalty_weight * distance, {"covariance": distance.detach()}
        )


def covariance(q: Gaussian) -> Tensor:
    """Cov of z over images and posterior noise, [d, d] (Kumar et al. 2018, eq. 5).

    Cov(mean) + diag(E[variance]), from the batch, normalised by n.
    """
    centred = q.mean - q.mean.mean(dim=0)
    with torch.autocast(centred.device.type, enabled=False):  # a product in bf16 is too coarse
        between = centred.T @ centred / len(centred)
    return between + q.log_variance.exp().mean(dim=0).diag()


def covariance_penalty(cov: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of squares off the diagonal, and of the diagonal's distance from 1. cov [d, d]."""
    diagonal = cov.diagonal()
    off_diagonal = (cov**2).sum() - (diagonal**2).sum()
    return off_diagonal, ((diagonal - 1) ** 2).sum()
