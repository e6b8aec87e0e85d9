"""What each baseline adds to the likelihood, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from cldis.loop.feedback import build_feedback
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import TwoBranch
from cldis.methods.beta_tcvae import decomposition, log_normal
from cldis.methods.build import build
from cldis.methods.dip_vae import covariance, covariance_penalty
from cldis.methods.disdiff import swap_losses
from cldis.methods.factor_vae import discriminator, shuffled
from cldis.networks.gaussian import Gaussian
from cldis.networks.space import Views
from loop.small import both, perturbed, pictures, small_config

shapes = {"n": st.integers(1, 12), "d": st.integers(1, 6), "seed": st.integers(0, 2**31)}


def _step(method: str, *overrides: str, capacity: float = 0.0) -> tuple[TwoBranch, StepOutput]:
    torch.manual_seed(0)
    made = build(small_config(f"method={method}", *overrides))
    perturbed(made, 0)
    drawn = StepNoise.draw(made.config, 6, torch.Generator().manual_seed(0))
    feedback = build_feedback(made.config, made.process)
    feedback.capacity = capacity
    return made, made(Views.pixels(pictures(6)), drawn, both(made, 0.3), feedback)


def _gradients(made: TwoBranch, loss: Tensor) -> dict[str, Tensor]:
    made.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


def _normals(n: int, d: int, seed: int) -> tuple[Gaussian, Tensor]:
    g = torch.Generator().manual_seed(seed)
    q = Gaussian(2 * torch.randn(n, d, generator=g), torch.randn(n, d, generator=g))
    return q, q.sample(torch.randn(n, d, generator=g))


def _correlated(n: int, rho: float, seed: int = 0) -> Tensor:
    """Pairs from a standard normal with correlation rho; their TC is -ln(1 - rho^2) / 2."""
    a, b = torch.randn(2, n, generator=torch.Generator().manual_seed(seed))
    return torch.stack([a, rho * a + math.sqrt(1 - rho**2) * b], dim=1)


# --- beta-VAE and AnnealVAE


@given(beta=st.floats(0, 100))
def test_beta_weights_the_kl(beta: float) -> None:
    _, out = _step("beta_vae", f"method_weight={beta}")
    wanted = float(out.terms["vae_nll"]) + beta * float(out.terms["vae_kl"])
    assert float(out.loss.detach()) == pytest.approx(wanted, rel=1e-5)


@given(capacity=st.floats(0, 50))
def test_anneal_holds_the_kl_at_the_capacity(capacity: float) -> None:
    _, out = _step("anneal_vae", capacity=capacity)
    distance = abs(float(out.terms["vae_kl"]) - capacity)
    assert float(out.loss.detach()) == pytest.approx(
        float(out.terms["vae_nll"]) + 100 * distance, rel=1e-4
    )


@pytest.mark.parametrize("method", ["beta_vae", "factor_vae", "beta_tcvae", "dip_vae"])
def test_only_anneal_hears_of_the_capacity(method: str) -> None:
    losses = [float(_step(method, capacity=c)[1].loss.detach()) for c in (0.0, 20.0)]
    assert losses[0] == losses[1]


# --- beta-TCVAE


@given(**shapes)
def test_the_three_parts_add_up_to_the_sampled_kl(n: int, d: int, seed: int) -> None:
    q, z = _normals(n, d, seed)
    sampled = torch.distributions.Normal(q.mean, q.scale).log_prob(z)
    sampled = (sampled - torch.distributions.Normal(0.0, 1.0).log_prob(z)).sum(dim=1).mean()
    parts = torch.stack(decomposition(q, z))
    torch.testing.assert_close(parts.sum(), sampled, rtol=1e-4, atol=1e-3)
    assert float(parts[0]) <= math.log(n) + 1e-5


@given(**shapes)
def test_log_density_is_that_of_torch(n: int, d: int, seed: int) -> None:
    q, z = _normals(n, d, seed)
    wanted = torch.distributions.Normal(q.mean, q.scale).log_prob(z)
    torch.testing.assert_close(log_normal(z, q.mean, q.log_variance), wanted)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_total_correlation_of_a_known_gaussian(rho: float) -> None:
    """Posteriors N(m, .09) around correlated means: their mixture is a known Gaussian."""
    means = _correlated(1200, rho)
    q = Gaussian(means, torch.full_like(means, math.log(0.09)))
    noise = torch.randn(means.shape, generator=torch.Generator().manual_seed(1))
    _, found, _ = decomposition(q, q.sample(noise))
    blurred = rho / 1.09
    assert float(found) == pytest.approx(-0.5 * math.log(1 - blurred**2), abs=0.06)


def test_one_code_for_all_images_holds_no_information() -> None:
    q = Gaussian(torch.full((8, 3), 0.7), torch.full((8, 3), -1.0))
    information, correlation, _ = decomposition(q, q.sample(torch.randn(8, 3)))
    assert float(information) == pytest.approx(0, abs=1e-5)
    assert float(correlation) == pytest.approx(0, abs=1e-5)


def test_with_beta_1_it_is_the_sampled_elbo() -> None:
    made, out = _step("beta_tcvae", "method_weight=1")
    assert made.vae is not None
    q = made.vae.encode(pictures(6))
    z = q.sample(StepNoise.draw(made.config, 6, torch.Generator().manual_seed(0)).vae_noise)
    zero = torch.zeros_like(z)
    sampled = log_normal(z, q.mean, q.log_variance) - log_normal(z, zero, zero)
    torch.testing.assert_close(out.loss, out.terms["vae_nll"] + sampled.sum(dim=1).mean())


def test_beta_weights_the_total_correlation_only() -> None:
    losses = {
        beta: float(_step("beta_tcvae", f"method_weight={beta}")[1].loss.detach())
        for beta in (0, 1, 6)
    }
    _, out = _step("beta_tcvae")
    assert float(out.loss.detach()) == losses[6]
    correlation = float(out.terms["total_correlation"])
    assert losses[6] - losses[1] == pytest.approx(5 * correlation, rel=0.02, abs=0.01)


# --- DIP-VAE


@given(**shapes)
def test_covariance_is_that_of_numpy_plus_the_mean_variance(n: int, d: int, seed: int) -> None:
    q, _ = _normals(n, d, seed)
    wanted = np.cov(q.mean.double().numpy(), rowvar=False, bias=True).reshape(d, d)
    wanted = wanted + np.diag(q.log_variance.double().exp().mean(dim=0).numpy())
    with torch.autocast("cpu", dtype=torch.bfloat16):  # must not touch it
        found = covariance(q)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_covariance_penalty_by_hand() -> None:
    cov = torch.tensor([[1.5, 0.2, 0.0], [0.2, 1.0, -0.3], [0.0, -0.3, 0.0]])
    off_diagonal, diagonal = covariance_penalty(cov)
    assert float(off_diagonal) == pytest.approx(2 * (0.04 + 0.09))
    assert float(diagonal) == pytest.approx(0.25 + 0 + 1)
    assert [float(value) for value in covariance_penalty(torch.eye(4))] == [0, 0]


def test_an_aggregate_that_is_standard_normal_costs_nothing() -> None:
    """Means with covariance .75 I and variances of .25: together I."""
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    q = Gaussian(math.sqrt(0.75) * corners, torch.full((4, 2), math.log(0.25)))
    assert sum(covariance_penalty(covariance(q))) == pytest.approx(0, abs=1e-10)


def test_dip_adds_both_parts() -> None:
    _, out = _step("dip_vae", "method_weight=3")
    terms = {name: float(value) for name, value in out.terms.items()}
    wanted = terms["vae_nll"] + terms["vae_kl"] + 3 * terms["covariance"]
    assert float(out.loss.detach()) == pytest.approx(wanted, rel=1e-5)


# --- FactorVAE


@given(**shapes)
def test_shuffling_keeps_every_column_and_what_was_drawn_decides(n: int, d: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    z, noise = torch.randn(2, n, d, generator=g)
    found = shuffled(z, noise)
    assert torch.equal(found.sort(dim=0).values, z.sort(dim=0).values)
    assert torch.equal(shuffled(z, noise), found)


def test_shuffling_breaks_dependence() -> None:
    z = _correlated(4000, 0.9)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
    assert abs(float(torch.corrcoef(shuffled(z, noise).T)[0, 1])) < 0.05


def test_the_discriminator_measures_a_known_total_correlation() -> None:
    torch.manual_seed(0)
    network, rho = discriminator(2), 0.8
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(150):
        z = _correlated(256, rho, seed=step)
        true, false = network(z), network(shuffled(z, torch.randn_like(z)))
        loss = nn.functional.softplus(-true).mean() + nn.functional.softplus(false).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = float(network(_correlated(4000, rho, seed=10**6)).mean())
    assert found == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.12)


def test_the_vae_and_the_discriminator_learn_from_their_own_loss_only() -> None:
    """The weight reaches the VAE alone; without it the VAE is a beta-VAE with beta 1."""
    none = _gradients(*_loss(_step("factor_vae", "method_weight=0")))
    full = _gradients(*_loss(_step("factor_vae", "method_weight=35")))
    plain = _gradients(*_loss(_step("beta_vae", "method_weight=1")))
    for name, gradient in none.items():
        if name.startswith("discriminator"):
            assert torch.equal(gradient, full[name]) and bool(gradient.any()), name
        else:
            torch.testing.assert_close(gradient, plain[name], rtol=1e-4, atol=1e-5)
    changed = [name for name in plain if not torch.equal(none[name], full[name])]
    assert changed and all(name.startswith("vae.encoder") for name in changed)


def _loss(pair: tuple[TwoBranch, StepOutput]) -> tuple[TwoBranch, Tensor]:
    return pair[0], pair[1].loss


# --- Diff-AE, EncDiff and DisDiff


@pytest.mark.parametrize("method", ["diffae", "encdiff", "diffusion"])
def test_these_have_the_diffusion_loss_alone(method: str) -> None:
    _, out = _step(method)
    assert torch.equal(out.loss.detach(), out.terms["diffusion"])


def test_disdiff_without_its_weight_is_encdiff() -> None:
    _, without = _step("disdiff", "method_weight=0")
    _, encdiff = _step("encdiff")
    torch.testing.assert_close(without.loss, encdiff.loss)


def test_disdiff_leaves_out_rows_that_hide_their_code() -> None:
    _, out = _step("disdiff", "method_weight=1000", "diffusion.condition_dropout=0.999999")
    torch.testing.assert_close(out.loss.detach(), out.terms["diffusion"])


def test_disdiff_asks_the_decoder_and_the_code_that_it_decodes() -> None:
    """The swap changes the picture, so its loss is there."""
    none, without = _step("disdiff", "method_weight=0", "diffusion.condition_dropout=0")
    full, out = _step("disdiff", "method_weight=1000", "diffusion.condition_dropout=0")
    assert float(out.loss.detach()) > float(out.terms["diffusion"]) + 1e-4
    before, after = _gradients(none, without.loss), _gradients(full, out.loss)
    for part in ("denoiser.unet.stem", "denoiser.tokens", "semantic.network"):
        names = [name for name in before if name.startswith(part)]
        assert any(not torch.equal(before[name], after[name]) for name in names), part
    # Nobody hides the code, so the null condition learns nothing.
    assert not bool(after["denoiser.null"].any())


def test_reading_a_picture_trains_the_picture_and_not_the_reader() -> None:
    made, _ = _step("disdiff")
    images = pictures(3).requires_grad_()
    made.read(images).sum().backward()  # type: ignore[operator]
    assert images.grad is not None and bool(images.grad.any())
    assert all(p.grad is None for p in made.parameters())
    torch.testing.assert_close(made.read(images), made.semantic(images).mean)  # type: ignore[operator,misc]


def test_swap_losses_by_hand() -> None:
    before = torch.tensor([[0.0, 1.0, 2.0]])
    after = torch.tensor([[3.0, 1.0, 1.0]])
    wanted = torch.tensor([[3.0, 1.0, 2.0]])
    invariant, variant = swap_losses(before, after, wanted, torch.tensor([0]))
    moved, nearer = np.array([3.0, 0.0, 1.0]), np.array([3.0, 0.0, -1.0])
    assert float(invariant) == pytest.approx(float(np.log(np.exp(moved).sum()) - 3), rel=1e-5)
    assert float(variant) == pytest.approx(float(np.log(np.exp(nearer).sum()) - 3), rel=1e-5)


@given(d=st.integers(2, 8), unit=st.integers(0, 7), size=st.floats(8, 50))
def test_a_code_that_reads_back_the_swap_costs_nothing(d: int, unit: int, size: float) -> None:
    unit %= d
    before = torch.zeros(1, d)
    after = before.clone()
    after[0, unit] = size
    right = swap_losses(before, after, after, torch.tensor([unit]))
    assert all(float(loss) < d * math.exp(-size) + 1e-6 for loss in right)
    still = swap_losses(before, before, after, torch.tensor([unit]))
    assert [float(loss) for loss in still] == pytest.approx([math.log(d)] * 2, rel=1e-5)
    wrong = swap_losses(before, after, after, torch.tensor([(unit + 1) % d]))
    assert all(float(loss) > size - 1 for loss in wrong)
