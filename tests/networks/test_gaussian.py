"""Closed forms of diagonal Gaussians against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from cldis.networks.gaussian import Gaussian, kl, kl_to_standard

numbers = st.floats(-5, 5, width=32)
log_variances = st.floats(-6, 4, width=32)
gaussians = st.lists(st.tuples(numbers, log_variances), min_size=3, max_size=3).map(
    lambda rows: Gaussian(torch.tensor(rows)[None, :, 0], torch.tensor(rows)[None, :, 1])
)


def _normal(g: Gaussian) -> Normal:
    return Normal(g.mean.double(), (0.5 * g.log_variance.double()).exp())


@given(p=gaussians, q=gaussians)
def test_kl_is_that_of_torch(p: Gaussian, q: Gaussian) -> None:
    expected = kl_divergence(_normal(p), _normal(q)).float()
    assert kl(p, q).shape == (1, 3)
    torch.testing.assert_close(kl(p, q), expected, rtol=1e-4, atol=1e-4)


@given(p=gaussians)
def test_kl_to_standard_is_that_of_torch(p: Gaussian) -> None:
    expected = kl_divergence(_normal(p), Normal(0.0, torch.ones(1, 3).double())).float()
    torch.testing.assert_close(kl_to_standard(p), expected, rtol=1e-4, atol=1e-5)
    standard = Gaussian(torch.zeros(1, 3), torch.zeros(1, 3))
    torch.testing.assert_close(kl_to_standard(p), kl(p, standard), rtol=1e-4, atol=1e-5)


@given(p=gaussians)
def test_kl_of_a_gaussian_from_itself_is_zero(p: Gaussian) -> None:
    torch.testing.assert_close(kl(p, p), torch.zeros(1, 3), rtol=0, atol=1e-6)


def test_samples_have_the_mean_and_scale_and_carry_gradients() -> None:
    mean = torch.full((4096, 2), 0.7, requires_grad=True)
    log_variance = torch.full((4096, 2), -1.2, requires_grad=True)
    g = Gaussian(mean, log_variance)
    noise = torch.randn(4096, 2, generator=torch.Generator().manual_seed(0))
    sample = g.sample(noise)
    drawn = sample.detach()
    assert float(drawn.mean()) == pytest.approx(0.7, abs=0.03)
    assert float(drawn.std()) == pytest.approx(float(torch.tensor(-0.6).exp()), rel=0.03)
    sample.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones(4096, 2))
    torch.testing.assert_close(log_variance.grad, 0.5 * g.scale.detach() * noise)
    assert not g.detach().mean.requires_grad and not g.detach().log_variance.requires_grad


@given(raw=st.floats(-1e6, 1e6))
def test_the_log_variance_of_a_head_is_bounded_and_float32(raw: float) -> None:
    head = torch.tensor([[1.0, 2.0, raw, 0.0]], dtype=torch.bfloat16)
    g = Gaussian.from_head(head)
    assert g.mean.tolist() == [[1.0, 2.0]] and g.mean.dtype == torch.float32
    assert -12 <= float(g.log_variance[0, 0]) <= 4 and float(g.log_variance[0, 1]) == 0
    assert bool(torch.isfinite(kl_to_standard(g)).all())
