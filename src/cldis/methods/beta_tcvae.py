"""beta-TCVAE: only the total correlation of the code is weighted (Chen et al. 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cldis.loop.step import StepNoise
from cldis.loop.two_branch import Coded
from cldis.methods.vae import Penalty, VAEAlone
from cldis.networks.gaussian import Gaussian


class BetaTCVAE(VAEAlone):
    """-E log p_theta(x|z) + I(z; x) + beta * TC(z) + sum_j KL(q(z_j) || p(z_j))    (eq. 4).

    `method_weight` is beta, 6 as in the paper. q(z) is estimated from the batch
    (`decomposition`). That differs from the paper's minibatch-weighted sampling only by constants
    that depend on the number of training images: the gradients are the same.
    """

    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        information, correlation, dimensions = decomposition(coded.q, coded.z)
        return Penalty(
            information + self.config.penalty_weight * correlation + dimensions,
            {"total_correlation": correlation.detach()},
        )


def decomposition(q: Gaussian, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """I(z; x), total correlation and dimension-wise KL in nats, scalars (Chen et al. 2018, eq. 2).

    q, z [n, d]: the posteriors of a batch and one sample of each. The aggregate q(z) is the
    mixture of the batch's own posteriors, so I(z; x) is at most ln n. The three add up to the
    one-sample estimate of the KL, mean of log q(z|x) - log p(z), exactly.
    """
    joint = log_normal(z[:, None], q.mean[None], q.log_variance[None])  # [n, n, d]: z_i under q_j
    log_n = math.log(len(z))
    log_q_given_x = joint.diagonal().sum(dim=0)  # [n]
    log_q = torch.logsumexp(joint.sum(dim=2), dim=1) - log_n  # [n]
    log_marginals = (torch.logsumexp(joint, dim=1) - log_n).sum(dim=1)  # [n]
    log_p = log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(dim=1)
    return (
        (log_q_given_x - log_q).mean(),
        (log_q - log_marginals).mean(),
        (log_marginals - log_p).mean(),
    )


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-density of N(mean, exp(log_variance)) at z, elementwise, in nats."""
    square = (z - mean) ** 2 * torch.exp(-log_variance)
    return -0.5 * (square + log_variance + math.log(2 * math.pi))
