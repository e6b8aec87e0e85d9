"""Redundancy: what two units tell twice, against closed forms, and what its gradient does."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cldis.loop.redundancy import MEMORY, Redundancy, redundancy

N = 200_000


def told(meter: Redundancy, z: Tensor) -> Tensor:
    """What the units of z tell twice."""
    nats: Tensor
    nats, _ = meter(z, torch.tensor(1.0))
    return nats


def measured(z: Tensor) -> float:
    """All rows in one batch that is large enough to fill the averages."""
    return float(told(Redundancy(z.shape[1]), z))


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_independent_units_tell_nothing_twice() -> None:
    assert measured(normal(N, 5)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8])
def test_correlated_gaussians(rho: float) -> None:
    """Canonical correlations of a Gaussian pair are rho, rho^2, ...: two features see two."""
    z = normal(N, 2)
    z[:, 1] = rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1]
    assert measured(z) == pytest.approx((rho**2 + rho**4) / 2, abs=0.01)


def test_a_circle_in_two_units_is_seen_though_they_do_not_correlate() -> None:
    angle = 2 * math.pi * torch.rand(N, generator=torch.Generator().manual_seed(0))
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert abs(float(torch.corrcoef(z.T)[0, 1])) < 0.01
    assert measured(z) == pytest.approx(0.5, abs=0.01)  # cos^2 = 1 - sin^2


def test_means_and_scales_do_not_count() -> None:
    z = normal(N, 3)
    z[:, 2] += z[:, 0]
    moved = z * torch.tensor([1e-3, 1.0, 50.0]) + torch.tensor([0.002, -3.0, 7.0])
    assert measured(moved) == pytest.approx(measured(z), rel=0.02)


def test_a_doubled_unit_counts_once_more() -> None:
    z = normal(N, 2)
    both = torch.cat([z, z[:, :1]], dim=1)
    assert measured(both) == pytest.approx(1.0, abs=0.02)  # phi^2 = 2 features


def test_small_batches_find_what_one_large_one_finds() -> None:
    z = normal(20 * MEMORY, 2)
    z[:, 1] = 0.6 * z[:, 0] + 0.8 * z[:, 1]
    meter = Redundancy(2)
    for batch in z.split(16):
        found = float(told(meter, batch))
    assert found == pytest.approx((0.6**2 + 0.6**4) / 2, abs=0.06)


def test_the_gradient_makes_units_independent_but_not_small() -> None:
    """Descent on a linear map of two sources undoes their mixture, whatever the scale."""
    torch.manual_seed(0)
    mix = torch.nn.Parameter(torch.tensor([[1.0, 0.6], [0.3, 1.0]]))
    meter, optimizer = Redundancy(2), torch.optim.Adam([mix], lr=2e-3)
    sources = normal(2000, 16, 2)
    size = float(mix.detach().norm())
    for batch in sources:
        loss = told(meter, batch @ mix.T)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    code = normal(N, 2) @ mix.detach().T
    assert abs(float(torch.corrcoef(code.T)[0, 1])) < 0.05
    assert float(mix.detach().norm()) == pytest.approx(size, rel=0.2)


def test_averages_are_kept_and_forgotten() -> None:
    meter = Redundancy(3)
    told(meter, normal(64, 3))
    again = Redundancy(3)
    again.load_state_dict(meter.state_dict())
    assert torch.equal(told(again, normal(16, 3)), told(meter, normal(16, 3)))
    meter.reset()
    assert all(not buffer.any() for buffer in meter.buffers())


def test_a_unit_that_says_nothing_is_no_fault() -> None:
    z = normal(64, 3)
    z[:, 1] = 0.25
    z.requires_grad_()
    loss = told(Redundancy(3), z)
    loss.backward()
    assert (
        z.grad is not None and bool(z.grad.isfinite().all()) and math.isfinite(float(loss.detach()))
    )


def test_the_level_of_the_loss_is_a_mean_from_the_first_batch_on() -> None:
    meter, losses = Redundancy(2), [3.0, 5.0, 4.0]
    for loss in losses:
        _, level = meter(normal(16, 2), torch.tensor(loss, requires_grad=True))
    assert float(level) == pytest.approx(4.0, rel=0.02) and not level.requires_grad


def test_the_covariance_alone() -> None:
    own = torch.eye(4)
    own[0, 2] = own[2, 0] = 0.5
    assert float(redundancy(own)) == pytest.approx(0.25 / 2, rel=0.01)
