"""Shapes, permutations and dependencies of the networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cldis.config_model import ModelConfig
from cldis.networks import build
from cldis.networks.blocks import (
    ResBlock,
    SelfAttention,
    UnitAttention,
    UnitTokens,
    group_norm,
    timestep_embedding,
)
from cldis.networks.unet import Denoiser, UNet
from cldis.networks.vae import VAE
from loop.small import perturbed

SMALL: dict[str, Any] = {
    "resolution": 16,
    "units": 3,
    "patch": 2,
    "width": 8,
    "embed": 12,
    "attention": [4],
    "encoder_width": 8,
    "vae_width": 8,
}


def _config(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SMALL, **values})


def _inputs(config: ModelConfig, n: int = 2, seed: int = 0) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, config.resolution, config.resolution, generator=g)
    t = torch.randint(1000, (n,), generator=g)
    return x, t, torch.randn(n, config.units, generator=g)


@pytest.mark.parametrize("conditioning", ["adagn", "cross_attention"])
@settings(max_examples=8)
@given(
    patch=st.sampled_from([1, 2, 4]),
    multipliers=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    blocks=st.integers(1, 2),
    attention=st.sets(st.sampled_from([2, 4, 8, 16]), max_size=2),
    width=st.sampled_from([8, 9, 12]),
)
def test_the_denoiser_keeps_the_shape_of_its_input(
    conditioning: str,
    patch: int,
    multipliers: list[int],
    blocks: int,
    attention: set[int],
    width: int,
) -> None:
    config = _config(
        conditioning=conditioning,
        patch=patch,
        multipliers=multipliers,
        blocks=blocks,
        attention=sorted(attention),
        width=width,
    )
    network = perturbed(build.denoiser(config), 0)
    x, t, z = _inputs(config)
    out = network(x, t, z)
    assert out.shape == x.shape and bool(torch.isfinite(out).all())
    out.sum().backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert missing == ["null"]  # only hidden rows use it


def _sides_with_attention(config: ModelConfig) -> list[int]:
    sides: list[int] = []
    network = build.denoiser(config)

    def note(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        sides.append(args[0].shape[-1])

    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_pre_hook(note)
    network(*_inputs(config))
    return sides


def test_attention_sits_where_it_was_asked_for_and_in_the_middle() -> None:
    # 16 px in patches of 2: sides 8, 4. The middle has the lowest side, 4.
    assert _sides_with_attention(_config(attention=[])) == [4]
    assert _sides_with_attention(_config(attention=[8])) == [8, 4, 8, 8]
    assert _sides_with_attention(_config(attention=[4])) == [4, 4, 4, 4]


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_patches_are_a_permutation_of_the_pixels(patch: int) -> None:
    class Seen(nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            self.x = x
            return x

    seen = Seen()
    network = Denoiser(seen, 3, 8, tokens=True, patch=patch)  # type: ignore[arg-type]
    x = torch.arange(2 * 3 * 16 * 16).view(2, 3, 16, 16).float()
    out = network(x, torch.zeros(2), torch.zeros(2, 3))
    assert torch.equal(out, x)
    assert seen.x.shape == (2, 3 * patch**2, 16 // patch, 16 // patch)
    for image, patches in zip(x, seen.x, strict=True):
        assert torch.equal(patches.flatten().sort().values, image.flatten())


@pytest.mark.parametrize("conditioning", ["adagn", "cross_attention"])
def test_a_fresh_denoiser_says_zero_and_a_trained_one_listens(conditioning: str) -> None:
    config = _config(conditioning=conditioning)
    torch.manual_seed(0)
    network = build.denoiser(config)
    x, t, z = _inputs(config)
    assert torch.equal(network(x, t, z), torch.zeros_like(x))
    perturbed(network, 1, 0.1)
    base = network(x, t, z)
    assert (network(x, t, z + 1) - base).abs().max() > 1e-3
    assert (network(x, (t + 300) % 1000, z) - base).abs().max() > 1e-3
    assert (network(x + 1, t, z) - base).abs().max() > 1e-3
    for unit in range(config.units):
        moved = z.clone()
        moved[0, unit] += 2
        changed = (network(x, t, moved) - base).abs().amax(dim=(1, 2, 3))
        assert changed[0] > 1e-4
        assert changed[1] < 1e-6  # rows do not see each other


@pytest.mark.parametrize("conditioning", ["adagn", "cross_attention"])
def test_hidden_rows_do_not_depend_on_the_code(conditioning: str) -> None:
    config = _config(conditioning=conditioning)
    network = perturbed(build.denoiser(config), 1, 0.1)
    x, t, z = _inputs(config, n=4)
    drop = torch.tensor([True, False, True, False])
    a, b = network(x, t, z, drop), network(x, t, z + 1, drop)
    assert torch.equal(a[drop], b[drop])
    assert (a[~drop] - b[~drop]).abs().amax(dim=(1, 2, 3)).min() > 1e-3
    torch.testing.assert_close(a[~drop], network(x, t, z)[~drop])
    a.sum().backward()
    assert network.null.grad is not None and float(network.null.grad.abs().sum()) > 0


@given(unit=st.integers(0, 4), value=st.floats(-3, 3), seed=st.integers(0, 1000))
def test_a_token_depends_on_its_own_unit_alone(unit: int, value: float, seed: int) -> None:
    torch.manual_seed(seed)
    tokens = UnitTokens(5, 6)
    z = torch.randn(2, 5)
    moved = z.clone()
    moved[:, unit] = value
    before, after = tokens(z), tokens(moved)
    others = [i for i in range(5) if i != unit]
    assert before.shape == (2, 5, 6)
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-6)
    if (moved[:, unit] - z[:, unit]).abs().min() > 0.1:
        assert (before[:, unit] - after[:, unit]).abs().max() > 1e-4


def test_attention_to_tokens_has_no_order_of_tokens() -> None:
    block = perturbed(UnitAttention(8, 6), 0, 0.3)
    x, tokens = torch.randn(2, 8, 4, 4), torch.randn(2, 5, 6)
    torch.testing.assert_close(block(x, tokens), block(x, tokens[:, torch.randperm(5)]))


def test_residual_branches_start_as_the_identity() -> None:
    x, time, tokens = torch.randn(2, 8, 4, 4), torch.randn(2, 6), torch.randn(2, 3, 6)
    assert torch.equal(ResBlock(8, 8, 6)(x, time, tokens), x)
    assert torch.equal(SelfAttention(8)(x), x)
    assert torch.equal(UnitAttention(8, 6)(x, tokens), x)


@given(channels=st.integers(2, 33), t=st.integers(0, 999))
def test_timestep_embeddings_are_sinusoids(channels: int, t: int) -> None:
    found = timestep_embedding(torch.tensor([t]), channels)[0]
    half = channels // 2
    assert len(found) == channels
    torch.testing.assert_close(found[:half] ** 2 + found[half : 2 * half] ** 2, torch.ones(half))
    assert float(found[0]) == pytest.approx(float(torch.tensor(float(t)).cos()), abs=1e-6)


def test_timesteps_are_told_apart() -> None:
    table = timestep_embedding(torch.arange(1000), 32)
    distances = torch.cdist(table, table) + 10 * torch.eye(1000)
    assert float(distances.min()) > 0.1


@given(channels=st.integers(1, 300))
def test_groups_divide_any_number_of_channels(channels: int) -> None:
    assert channels % group_norm(channels).num_groups == 0


@pytest.mark.parametrize("resolution", [8, 16, 24, 32, 40, 64, 72])
def test_the_vae_takes_every_resolution(resolution: int) -> None:
    vae = VAE(resolution, units=5, width=8)
    x = torch.rand(2, 3, resolution, resolution) * 2 - 1
    q = vae.encode(x)
    assert q.mean.shape == q.log_variance.shape == (2, 5)
    logits = vae.decode(q.mean)
    assert logits.shape == x.shape
    nll = vae.negative_log_likelihood(logits, x)
    assert nll.shape == (2,)
    nll.sum().backward()
    assert all(p.grad is not None for p in vae.parameters())


def test_the_likelihood_is_that_of_bernoulli_pixels() -> None:
    torch.manual_seed(0)
    logits, x = torch.randn(3, 3, 4, 4), (torch.rand(3, 3, 4, 4) > 0.5).float() * 2 - 1
    expected = torch.distributions.Bernoulli(logits=logits).log_prob((x + 1) / 2)
    torch.testing.assert_close(VAE.negative_log_likelihood(logits, x), -expected.sum(dim=(1, 2, 3)))
    # the right picture is the likeliest
    sure = VAE.negative_log_likelihood(20 * x, x)
    assert float(sure.max()) < 1e-4 < float(VAE.negative_log_likelihood(-20 * x, x).min())


@pytest.mark.parametrize("encoder", ["burgess", "diffae"])
@pytest.mark.parametrize("resolution", [16, 24, 40])
@pytest.mark.parametrize("gaussian", [True, False])
def test_the_semantic_encoder_gives_one_gaussian_per_image(
    encoder: str, resolution: int, gaussian: bool
) -> None:
    config = _config(
        encoder=encoder, resolution=resolution, gaussian=gaussian, encoder_multipliers=[1, 2]
    )
    network = build.semantic_encoder(config)
    x, _, _ = _inputs(config, n=3)
    q = network(x)
    assert q.mean.shape == q.log_variance.shape == (3, 3)
    assert q.mean.std(dim=0).min() > 0
    if gaussian:  # starts sharp, so that the denoiser has something to read
        assert float(q.log_variance.detach().mean()) == pytest.approx(
            build.START_LOG_VARIANCE, abs=0.5
        )
    else:
        assert q.scale.max() < 0.003
        assert not q.log_variance.requires_grad


def test_unet_and_denoiser_have_no_buffers_and_keep_their_parameter_names() -> None:
    network = build.denoiser(_config())
    assert isinstance(network.unet, UNet)
    assert set(network.state_dict()) == {name for name, _ in network.named_parameters()}
    heads = {name.split(".")[0] for name in network.state_dict()}
    assert heads == {"unet", "tokens", "null"}
