"""Controls that are not trained: principal components, and an encoder as it starts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cldis.methods.controls import CONTROLS, PCA, RandomEncoder
from cldis.networks import build
from loop.small import pictures, small_config


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_gives_a_code_per_image_and_repeats_itself(name: str) -> None:
    config, images = small_config(), pictures(300)
    state = torch.random.get_rng_state()
    codes = [CONTROLS[name](config).fit(images).encode(images) for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert codes[0].shape == (300, config.model.units) and codes[0].dtype == np.float32
    assert np.array_equal(codes[0], codes[1])
    assert np.isfinite(codes[0]).all() and (codes[0].std(axis=0) > 0).all()
    part = CONTROLS[name](config).fit(images).encode(images[:7])
    np.testing.assert_allclose(part, codes[0][:7], rtol=1e-4, atol=1e-4)


def test_pca_is_that_of_an_exact_decomposition() -> None:
    patterns, g = pictures(6), torch.Generator().manual_seed(0)
    amounts = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.2, 0.1])  # distinct: the order is no accident
    drawn = torch.randn(340, 6, generator=g) * amounts
    images, fresh = torch.einsum("nk,kchw->nchw", drawn, patterns).split([300, 40])
    found = PCA(small_config()).fit(images).encode(fresh)
    flat = images.flatten(1).double().numpy()
    mean = flat.mean(axis=0)
    _, values, rows = np.linalg.svd(flat - mean, full_matrices=False)
    scale = values[:4] / np.sqrt(len(flat) - 1)
    wanted = (fresh.flatten(1).double().numpy() - mean) @ rows[:4].T / scale
    signs = np.sign((found * wanted).sum(axis=0))  # a component has no sign of its own
    np.testing.assert_allclose(found * signs, wanted, rtol=1e-3, atol=1e-3)


def test_pca_whitens() -> None:
    images = pictures(500)
    codes = PCA(small_config()).fit(images).encode(images)
    np.testing.assert_allclose(np.cov(codes.T), np.eye(4), atol=0.02)


def test_too_few_images_for_the_components() -> None:
    with pytest.raises(ValueError, match=r"3 images .* give at least 4 images, or lower model\."):
        PCA(small_config()).fit(pictures(3))


def test_the_random_encoder_is_the_encoder_before_training() -> None:
    images = pictures(20)
    codes = {
        seed: RandomEncoder(small_config(f"training.seed={seed}")).fit(images).encode(images)
        for seed in (0, 1)
    }
    assert not np.allclose(codes[0], codes[1])
    torch.manual_seed(0)
    with torch.no_grad():
        wanted = build.semantic_encoder(small_config().model)(images).mean
    np.testing.assert_allclose(codes[0], wanted.numpy(), rtol=1e-5, atol=1e-6)
