"""The predictor R: which direction was moved, and how far, from a pair of images.

It sees the first image and the difference, and answers as in Voynov & Babenko 2020 (eq. 1): logits
of k and an estimate of eps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cldis.networks.blocks import group_norm
from cldis.networks.encoder import halvings

SHIFT_WEIGHT = 0.25  # of the L1 term (Voynov & Babenko 2020, section 4)


class Predictor(nn.Module):
    """Stride-2 convolutions down to 4 x 4 over [x, x' - x], one hidden layer, two heads."""

    def __init__(self, resolution: int, directions: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c = 6
        for level in range(halvings(resolution)):
            c_out = width if level == 0 else 2 * width
            layers.append(nn.Conv2d(c, c_out, 4, stride=2, padding=1))
            layers += [group_norm(c_out), nn.SiLU()]
            c = c_out
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * c, 128), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.direction = nn.Linear(128, directions)
        self.amount = nn.Linear(128, 1)

    def forward(self, x: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        """x, moved [n, 3, H, W] in [-1, 1] -> logits of k [n, K], estimate of eps [n]."""
        h = self.body(torch.cat([x, moved - x], dim=1))
        return self.direction(h), self.amount(h)[:, 0]


def navigation_loss(logits: Tensor, amount: Tensor, k: Tensor, eps: Tensor) -> Tensor:
    """Cross-entropy of k + .25 * L1 of eps, means over the batch; a scalar."""
    return F.cross_entropy(logits, k) + SHIFT_WEIGHT * F.l1_loss(amount, eps)
