"""Diagonal Gaussians over latent units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """N(mean, diag(exp(log_variance))), both [n, d]."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def from_head(cls, head: Tensor) -> Gaussian:
        """Split a network's output [n, 2 d]; the log-variance is kept within [-12, 4]."""
        mean, raw = head.float().chunk(2, dim=1)
        return cls(mean, raw.clamp(-12.0, 4.0))

    @property
    def scale(self) -> Tensor:
        """Standard deviation [n, d]."""
        return torch.exp(0.5 * self.log_variance)

    def sample(self, noise: Tensor) -> Tensor:
        """Reparameterised sample from standard normal `noise` [n, d]."""
        return self.mean + self.scale * noise

    def detach(self) -> Gaussian:
        return Gaussian(self.mean.detach(), self.log_variance.detach())


@dataclass(frozen=True)
class Codes:
    """Both latents of a batch; a branch that the method lacks is None."""

    sem: Gaussian | None
    disen: Gaussian | None

    @property
    def main(self) -> Gaussian:
        """The code that the decoder draws from: z_sem, or z_disen of a VAE alone."""
        main = self.sem or self.disen
        assert main is not None, "every method has one of its branches"
        return main

    @property
    def z(self) -> Tensor:
        """The mean of the main code, [n, d]."""
        return self.main.mean


def joined(parts: Sequence[Gaussian], units: int) -> Gaussian:
    """The rows of all parts in one Gaussian over `units` units, on the CPU; there may be none."""
    none = torch.zeros(0, units)
    return Gaussian(
        torch.cat([none, *(part.mean.cpu() for part in parts)]),
        torch.cat([none, *(part.log_variance.cpu() for part in parts)]),
    )


def kl(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p || q) per unit, in nats, [n, d]."""
    return 0.5 * (
        q.log_variance
        - p.log_variance
        + (p.log_variance.exp() + (p.mean - q.mean) ** 2) / q.log_variance.exp()
        - 1.0
    )


def kl_to_standard(p: Gaussian) -> Tensor:
    """KL(p || N(0, I)) per unit, in nats, [n, d]."""
    return 0.5 * (p.log_variance.exp() + p.mean**2 - 1.0 - p.log_variance)
