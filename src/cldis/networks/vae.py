"""The VAE: a convolutional beta-VAE (Higgins et al. 2017; layout of Burgess et al. 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoder import BurgessEncoder, halvings
from .gaussian import Gaussian
from .space import at_side


class VAE(nn.Module):
    """q_phi(z|x) and a Bernoulli p_theta(x|z) over pixels in [0, 1].

    It reads images at `resolution`, whatever their side, and draws them at that.
    """

    def __init__(self, resolution: int, units: int, width: int, hidden: int = 256) -> None:
        super().__init__()
        self.side = resolution
        self.encoder = BurgessEncoder(resolution, width, 2 * units)
        levels = halvings(resolution)
        channels = [width if level < 2 else 2 * width for level in range(levels)][::-1]
        self.start = (channels[0], resolution // 2**levels)
        layers: list[nn.Module] = [nn.Linear(units, hidden), nn.SiLU()]
        layers += [nn.Linear(hidden, channels[0] * self.start[1] ** 2), nn.SiLU()]
        layers.append(nn.Unflatten(1, (channels[0], self.start[1], self.start[1])))
        for c_in, c_out in zip(channels, [*channels[1:], 3], strict=True):
            layers += [nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1), nn.SiLU()]
        self.decoder = nn.Sequential(*layers[:-1])

    def encode(self, images: Tensor) -> Gaussian:
        """images [n, 3, H, W] in [-1, 1] -> q_phi(z|x)."""
        return Gaussian.from_head(self.encoder(at_side(images, self.side)))

    def decode(self, z: Tensor) -> Tensor:
        """z [n, d] -> pixel logits [n, 3, side, side]."""
        return self.decoder(z)

    @torch.no_grad()
    def turn(self, unmixing: Tensor, center: Tensor, variance: Tensor, units: Tensor) -> None:
        """Give u = unmixing (z - center) in place of z from now on, and draw the same images.

        Args:
            unmixing: [d, d], invertible.
            center: [d].
            variance: [d] of q(u|x) for the units that change, the same for every image from now on.
            units: that change, boolean [d].
        """
        head, d = self.encoder.layers[-1], len(center)
        first = self.decoder[0]
        assert isinstance(head, nn.Linear) and isinstance(first, nn.Linear)
        head.weight[:d] = unmixing @ head.weight[:d]
        head.bias[:d] = unmixing @ (head.bias[:d] - center)
        head.weight[d:][units] = 0
        head.bias[d:][units] = variance[units].log()
        first.bias += first.weight @ center
        first.weight.copy_(first.weight @ torch.linalg.inv(unmixing))

    @staticmethod
    def negative_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
        """-log p_theta(x|z) per image in nats, [n]; images in [-1, 1], read at the logits' side."""
        target = (at_side(images, logits.shape[-1]) + 1) / 2
        loss = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        return loss.flatten(1).sum(dim=1)
