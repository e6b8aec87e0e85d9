"""A factor that closes on itself, and the two coordinates that tell it apart.

A hue or a full turn closes on itself, and a VAE lays it on a circle of two units. Neither tells the
factor by itself, and no turn of the two does; the angle does, and the radius is free to tell
something else. Circles show without labels: their two units depend on each other, while angle and
radius do not. The angle is cut where the fewest images lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cldis.networks.vae import VAE

DEPENDENT = 0.2  # nats that the two units of a circle share at least
LEFT = 1 / 3  # share of them that angle and radius share at most
BINS = 16  # of equal count, per unit
GRID, SHARPNESS = 360, 200.0  # angles at which the density is read; its kernel's concentration
EPOCHS, BATCH, RATE = 8, 32, 1e-3


@dataclass(frozen=True)
class Circle:
    """Units `first` and `second` go round; the angle is counted from `cut`, in radians."""

    first: int
    second: int
    cut: float


def polar(u: Tensor, found: list[Circle]) -> Tensor:
    """u [n, d] with the angle of every circle in its first unit and the radius in its second.

    Both have mean 0 and variance 1: the angle where it is spread evenly, the logarithm of the
    radius over these n.
    """
    u = u.clone()
    for circle in found:
        radius = u[:, [circle.first, circle.second]].norm(dim=1).clamp(min=1e-6).log()
        angle = torch.atan2(u[:, circle.second], u[:, circle.first]) - circle.cut
        u[:, circle.first] = (angle.remainder(2 * math.pi) - math.pi) * math.sqrt(3) / math.pi
        u[:, circle.second] = (radius - radius.mean()) / radius.std()
    return u


def circles(u: Tensor, active: Tensor) -> list[Circle]:
    """The circles among the active units of u, each unit in one at most, the clearest first.

    Args:
        u: codes [n, d], whose active units are uncorrelated, of mean 0 and standard deviation 1.
        active: boolean [d].
    """
    units = active.nonzero().flatten().tolist()
    pairs = [(i, j) for i in units for j in units if i < j]
    shared = {(i, j): mutual_information(u[:, i], u[:, j]) for i, j in pairs}
    found: list[Circle] = []
    for i, j in sorted(pairs, key=lambda pair: -shared[pair]):
        taken = any({i, j} & {circle.first, circle.second} for circle in found)
        if shared[i, j] < DEPENDENT or taken:
            continue
        angle, radius = torch.atan2(u[:, j], u[:, i]), torch.hypot(u[:, i], u[:, j])
        if mutual_information(angle, radius) < LEFT * shared[i, j]:
            found.append(Circle(i, j, emptiest(angle)))
    return found


def mutual_information(a: Tensor, b: Tensor) -> float:
    """I(a; b) in nats over bins of equal count, [n] each; less what n images add (Miller 1955)."""
    n = len(a)
    rows, columns = (x.argsort().argsort() * BINS // n for x in (a, b))
    joint = torch.bincount(rows * BINS + columns, minlength=BINS**2).double().view(BINS, BINS) / n
    apart = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
    nats = torch.special.xlogy(joint, joint / apart.clamp(min=1e-12)).sum()
    return float(nats) - (BINS - 1) ** 2 / (2 * n)


def emptiest(angles: Tensor) -> float:
    """The angle in radians round which the fewest of the angles [n] lie."""
    grid = torch.arange(GRID, device=angles.device) * (2 * math.pi / GRID)
    density = (SHARPNESS * (torch.cos(grid[:, None] - angles) - 1)).exp().mean(dim=1)
    return float(grid[density.argmin()])


@torch.enable_grad()
def straighten(vae: VAE, x: Tensor, u: Tensor, found: list[Circle]) -> None:
    """Teach a VAE that knows circles to tell their angles and radii instead.

    The encoder learns the means of its own code in polar coordinates, the decoder to draw from
    them; what q(z|x) is unsure of stays as it is.

    Args:
        x: images [n, 3, H, W] in [-1, 1].
        u: their means [n, d] under the VAE, without gradient.
    """
    if not found:
        return
    target = polar(u, found)
    optimizer = torch.optim.Adam(vae.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).to(x.device).split(BATCH):
            q = vae.encode(x[rows])
            error = F.mse_loss(q.mean, target[rows])
            nll = vae.negative_log_likelihood(vae.decode(target[rows]), x[rows]).mean()
            optimizer.zero_grad()
            (error + nll / x[0].numel()).backward()
            optimizer.step()
