"""Redundancy of a code: what two of its units tell twice, pair by pair, in nats."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

MEMORY = 2_000  # images in the moving averages of the moments
FEATURES = 2  # per unit: u and u^2, so lines and bends are seen
RIDGE = 1e-3  # share of its own variance that is added to each feature


class Redundancy(nn.Module):
    """1/2 * sum over pairs j < k of phi^2(z_j, z_k), from moving averages of moments.

    phi^2 = E[p(z_j, z_k) / (p(z_j) p(z_k))] - 1, Pearson's mean-square contingency, is the sum of
    the squared canonical correlations between functions of the two units (Lancaster 1958), and
    I(z_j; z_k) <= ln(1 + phi^2); where two units depend little on each other I is about phi^2 / 2.
    Only u and u^2 of each unit are used. The value does not depend on the units' means and scales.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        n = units * FEATURES
        self.register_buffer("frame", torch.zeros(2, units))  # moments of z: what u is relative to
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("second", torch.zeros(n, n))
        self.register_buffer("loss", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))  # of the averages; 1 once they are full

    def forward(self, z: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
        """The redundancy of z [n, d], and the moving average of the loss of each batch; scalars.

        The averages take in the moments of this batch, which alone have a gradient: that of the
        averages if every batch had changed as this one. The average of the loss has none.
        """
        with torch.autocast(z.device.type, enabled=False):
            return self.nats_and_level(z.float(), loss)

    def nats_and_level(self, z: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
        names = ("frame", "mean", "second", "loss", "weight")
        frame, mean, second, level, weight = (cast(Tensor, getattr(self, name)) for name in names)
        keep = math.exp(-len(z) * processes() / MEMORY)
        weight.mul_(keep).add_(1 - keep)
        take(frame, torch.stack([z.mean(dim=0), z.pow(2).mean(dim=0)]), keep)
        center, square = frame / weight
        u = (z - center) / (square - center**2 + 1e-12).sqrt()
        features = torch.stack([u, u**2], dim=2).flatten(1)
        own_mean, own_second = features.mean(dim=0), features.T @ features / len(z)
        take(mean, own_mean, keep)
        take(second, own_second, keep)
        take(level, loss, keep)
        m = mean / weight + (own_mean - own_mean.detach())
        s = second / weight + (own_second - own_second.detach())
        return redundancy(s - torch.outer(m, m)), level / weight

    def reset(self) -> None:
        """Forget: the code begins anew."""
        for buffer in self.buffers():
            buffer.zero_()


def processes() -> int:
    """How many see a part of each batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def take(average: Tensor, own: Tensor, keep: float) -> None:
    """Take moments of this batch, over all processes, into a moving average."""
    own = own.detach().clone()
    if processes() > 1:
        dist.all_reduce(own)
        own /= processes()
    average.mul_(keep).add_((1 - keep) * own)


def redundancy(covariance: Tensor) -> Tensor:
    """1/2 * sum over pairs of units of their squared canonical correlations.

    Args:
        covariance: of the features, those of one unit side by side, [2 d, 2 d].
    """
    d = len(covariance) // FEATURES
    blocks = covariance.view(d, FEATURES, d, FEATURES).transpose(1, 2)  # [d, d, 2, 2]
    own = blocks.diagonal().permute(2, 0, 1)  # [d, 2, 2]
    variance = own.diagonal(dim1=1, dim2=2)
    root = torch.linalg.cholesky(own + RIDGE * torch.diag_embed(variance + 1e-6))
    white = torch.linalg.inv(root)
    canonical = torch.einsum("jab,jkbc,kdc->jkad", white, blocks, white)
    phi2 = canonical.pow(2).sum(dim=(2, 3))
    return (phi2.sum() - phi2.diagonal().sum()) / 4
