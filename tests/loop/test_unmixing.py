"""Independent axes: factors that are turned into each other are found again, others are left."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cldis.loop.unmixing import independent_axes
from cldis.networks.gaussian import Gaussian


def grid(seed: int, n: int = 2000) -> Tensor:
    """Independent factors of 3, 8 and 40 even steps, each with variance 1, [n, 3]."""
    generator = torch.Generator().manual_seed(seed)
    steps = [torch.randint(k, (n,), generator=generator).float() for k in (3, 8, 40)]
    factors = torch.stack(steps, dim=1)
    return (factors - factors.mean(dim=0)) / factors.std(dim=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_turned_factors_are_found(seed: int) -> None:
    factors = grid(seed)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    mean = torch.zeros(len(factors), 5)
    mean[:, [0, 2, 4]] = factors @ turn.T
    active = torch.tensor([True, False, True, False, True])
    q = Gaussian(mean, torch.full_like(mean, -3.0))
    axes = independent_axes(q, active)
    assert axes is not None
    new = (mean - axes.center) @ axes.unmixing.T
    both = torch.corrcoef(torch.cat([factors, new[:, active]], dim=1).T)[:3, 3:].abs()
    assert bool((both.max(dim=1).values > 0.99).all())  # each factor is one unit,
    assert len(set(both.argmax(dim=1).tolist())) == 3  # and each unit one factor
    assert torch.equal(axes.unmixing[[1, 3]], torch.eye(5)[[1, 3]])
    whole = new.var(dim=0)[active] + axes.variance[active]
    assert whole.tolist() == pytest.approx([1.0] * 3, abs=0.01)


def test_too_few_images_or_units_and_normal_units_are_left() -> None:
    factors = grid(0)
    q = Gaussian(factors, torch.full_like(factors, -3.0))
    assert independent_axes(q, torch.tensor([True, False, False])) is None
    few = Gaussian(factors[:150], torch.full((150, 3), -3.0))
    assert independent_axes(few, torch.tensor([True, True, False])) is None
