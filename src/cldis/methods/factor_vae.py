"""FactorVAE: a discriminator measures the total correlation of the code (Kim & Mnih 2018)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from cldis.config import Config
from cldis.loop.step import StepNoise
from cldis.loop.two_branch import Coded
from cldis.methods.vae import Penalty, VAEAlone

LAYERS, WIDTH, SLOPE = 6, 256, 0.2


class FactorVAE(VAEAlone):
    """-E log p_theta(x|z) + KL(q_phi(z|x) || N(0, I)) + gamma * E[log D(z) / (1 - D(z))]  (eq. 2-3)

    for the VAE, and for the discriminator -E[log D(z)] - E[log(1 - D(z'))] over 2, where z' is z
    with every unit shuffled over the batch. `method_weight` is gamma, 35 as in the paper's 2D
    experiments.

    Both are minimised in one backward pass by one optimiser: the VAE sees a discriminator with
    fixed weights, the discriminator sees fixed codes. Differs from the paper: the discriminator
    has 256 units a layer instead of 1000, z' comes from the same batch, and its optimiser is that
    of the recipe.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.discriminator = discriminator(config.model.units)

    def branches(self) -> dict[str, list[nn.Parameter]]:
        return {**super().branches(), "discriminator": list(self.discriminator.parameters())}

    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        correlation = functional_call(self.discriminator, fixed, (coded.z,)).float().mean()
        z = coded.z.detach()
        true = self.discriminator(z).float()
        false = self.discriminator(shuffled(z, noise.z_noise)).float()
        own = 0.5 * (F.softplus(-true).mean() + F.softplus(false).mean())
        return Penalty(
            coded.kl + self.config.penalty_weight * correlation + own,
            {"total_correlation": correlation.detach(), "discriminator": own.detach()},
        )


def discriminator(units: int) -> nn.Sequential:
    """z [n, d] -> log D(z) / (1 - D(z)), [n, 1]; D is the probability that z was not shuffled."""
    layers: list[nn.Module] = []
    for width in [units, *[WIDTH] * (LAYERS - 2)]:
        layers += [nn.Linear(width, WIDTH), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 1))


def shuffled(z: Tensor, noise: Tensor) -> Tensor:
    """Every column of z [n, d] in an order of its own, that of `noise` [n, d] (algorithm 1)."""
    return z.gather(0, noise.argsort(dim=0))
