"""Circles: found where an angle is told by two units, left where two units are independent."""

from __future__ import annotations

import colorsys
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cldis.loop.circles import circles, mutual_information, polar, straighten
from cldis.loop.phases import TrainingPhase
from cldis.methods.build import build
from cldis.networks.vae import VAE
from loop.small import RATE_LOOP, SMALL

N = 2000


def standard(u: Tensor) -> Tensor:
    return (u - u.mean(dim=0)) / u.std(dim=0)


def ring(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ten even angles [N] with a little noise, radii [N] of .6 to 1.4, and their points [N, 2]."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.randint(10, (N,), generator=generator) * (2 * math.pi / 10)
    angle = angle + 0.05 * torch.randn(N, generator=generator)
    radius = 0.6 + 0.8 * torch.rand(N, generator=generator)
    return angle, radius, radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_angle_and_radius_are_found_among_other_units(seed: int) -> None:
    angle, radius, points = ring(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    u = torch.randn(N, 5, generator=generator)
    u[:, 1], u[:, 3] = points.T
    u = standard(u)
    found = circles(u, torch.tensor([True, True, False, True, True]))
    assert [(circle.first, circle.second) for circle in found] == [(1, 3)]
    told = polar(u, found)
    assert torch.equal(told[:, [0, 2, 4]], u[:, [0, 2, 4]])
    assert told[:, [1, 3]].mean(dim=0).tolist() == pytest.approx([0, 0], abs=0.1)
    assert told[:, [1, 3]].std(dim=0).tolist() == pytest.approx([1, 1], abs=0.1)
    # From the cut on, the angle goes round evenly: no even step is torn apart.
    turned = (angle - found[0].cut).remainder(2 * math.pi)
    assert float(torch.corrcoef(torch.stack([turned, told[:, 1]]))[0, 1]) > 0.99
    assert float(torch.corrcoef(torch.stack([radius, told[:, 3]]))[0, 1]) > 0.95


@pytest.mark.parametrize("kind", ["normal", "even", "two values", "clusters"])
def test_pairs_that_are_no_circle_are_left(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(N, 2, generator=generator)
    u = {
        "normal": torch.randn(N, 2, generator=generator),
        "even": torch.randint(8, (N, 2), generator=generator) + noise,
        "two values": torch.randint(2, (N, 2), generator=generator) + noise,
        # One factor of ten values at any place of a plane: no angle tells it.
        "clusters": torch.randn(10, 2, generator=generator)[
            torch.randint(10, (N,), generator=generator)
        ]
        + noise,
    }[kind]
    assert circles(standard(u), torch.tensor([True, True])) == []


def test_mutual_information_of_normal_units() -> None:
    """-log(1 - rho^2) / 2, of which 16 bins keep most; 0 where units are independent."""
    a, b = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0))
    rho = 0.8
    together = rho * a + math.sqrt(1 - rho**2) * b
    truth = -math.log(1 - rho**2) / 2
    assert mutual_information(a, b) == pytest.approx(0, abs=0.01)
    assert 0.9 * truth < mutual_information(a, together) < truth


def colours(vae: VAE) -> Tensor:
    """Images [n, 3, 16, 16] of every hue, dark to light, that the VAE learns to lay on a circle of
    its first two units; its other units say nothing."""
    n, generator = 1000, torch.Generator().manual_seed(0)
    hue = torch.rand(n, generator=generator)
    colour = torch.tensor([colorsys.hsv_to_rgb(h, 1, 1) for h in hue.tolist()]) * 2 - 1
    light = 0.7 + 0.3 * torch.rand(n, generator=generator)
    x = (light[:, None] * colour)[:, :, None, None].expand(-1, -1, 16, 16).contiguous()
    angle = 2 * math.pi * hue
    points = standard(light[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1))
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
    for _ in range(250):
        q = vae.encode(x)
        target = F.pad(points, (0, q.mean.shape[1] - 2))
        unsure = F.pad(torch.full_like(points, -4.0), (0, q.mean.shape[1] - 2))
        optimizer.zero_grad()
        (F.mse_loss(q.mean, target) + F.mse_loss(q.log_variance, unsure)).backward()
        optimizer.step()
    return x


def test_a_vae_learns_the_angle_of_its_circle() -> None:
    torch.manual_seed(0)
    vae = VAE(16, 3, 8, hidden=64)
    x = colours(vae)
    old = vae.encode(x).mean.detach()
    found = circles(old, torch.tensor([True, True, False]))
    assert len(found) == 1
    told = polar(old, found)
    before = vae.negative_log_likelihood(vae.decode(told), x).mean()
    straighten(vae, x, old, found)
    new = vae.encode(x).mean.detach()
    assert (new - told).pow(2).mean(dim=0).max() < 0.1  # of a variance of 1
    assert vae.negative_log_likelihood(vae.decode(new), x).mean() < before


def test_e_sem_begins_with_the_angle() -> None:
    torch.manual_seed(0)
    loop = build(RATE_LOOP.with_overrides([*SMALL, "loop.unmix=true"]))
    assert loop.vae is not None and loop.semantic is not None
    x = colours(loop.vae)
    loop.enter(TrainingPhase(vae=False, diffusion=True), x)
    taught, told = loop.vae.encode(x).mean[:, :2], loop.semantic(x).mean[:, :2]
    assert torch.equal(told, taught)
    together = mutual_information(told[:, 0], told[:, 1])
    assert together < 0.3  # where two units that lay on the circle share more than .6 nats


def test_nothing_is_learned_where_there_is_no_circle() -> None:
    vae = VAE(16, 2, 8)
    before = [p.clone() for p in vae.parameters()]
    straighten(vae, torch.zeros(4, 3, 16, 16), torch.zeros(4, 2), [])
    assert all(torch.equal(a, b) for a, b in zip(before, vae.parameters(), strict=True))
