"""FactorVAE and beta-VAE scores: groups that share a factor, from a grid and from a pool."""

from __future__ import annotations

import numpy as np
import pytest

from cldis.metrics.batches import GridBatches, PoolBatches, chunks
from cldis.metrics.beta_vae import beta_vae_of_pool, beta_vae_score
from cldis.metrics.factor_vae import factor_vae_of_pool, factor_vae_score
from cldis.metrics.labelled import labelled
from metrics.known import SIZES, aligned, encoder, grid_factors, noise, rotated
from support.command import refused


def sources() -> list[GridBatches | PoolBatches]:
    """Two sources whose codes are the factors themselves."""
    factors = grid_factors()
    grid = GridBatches(lambda f: f.astype(float), SIZES, seed=0, unit_size=1)
    return [grid, PoolBatches(labelled(factors.astype(float), factors), seed=0)]


@pytest.mark.parametrize("which", [0, 1])
def test_a_held_factor_is_held_and_the_others_vary(which: int) -> None:
    factor = np.arange(90) % 3
    codes = sources()[which].held(factor, 20)
    assert codes.shape == (90, 20, 3)
    varies = np.ptp(codes, axis=1) > 0
    assert (varies == (np.arange(3) != factor[:, None])).all()
    assert len(np.unique(codes[factor == 0, 0, 0])) == SIZES[0]  # every value is held at times


@pytest.mark.parametrize("which", [0, 1])
def test_pairs_agree_in_their_factor_alone(which: int) -> None:
    factor = np.arange(90) % 3
    a, b = sources()[which].pairs(factor, 40)
    same = (a == b).mean(axis=1)
    assert (same[np.arange(90), factor] == 1).all()
    assert (same < 1).sum() == 180
    assert (np.ptp(a, axis=1) > 0).all()  # each pair has a value of its own


def test_rare_values_are_not_held() -> None:
    factors = np.stack([np.repeat([0, 1, 2], [20, 17, 3]), np.arange(40) % 2], axis=1)
    held = PoolBatches(labelled(factors.astype(float), factors), 0).held(np.zeros(50, int), 5)
    assert set(held[:, :, 0].ravel()) == {0.0, 1.0}
    with pytest.raises(ValueError, match="no value of factor 0 has 8 rows"):
        factor_vae_of_pool(noise(40), np.stack([np.arange(40) // 2, factors[:, 1]], axis=1))


def test_grid_and_pool_agree_on_a_mixed_code() -> None:
    mix = np.array([[1, 0.8, 0], [0, 1, 0.7], [0.4, 0, 1]])
    factors = grid_factors(6000)
    grid = factor_vae_score(lambda f: f @ mix, SIZES, 1500, 1500)["score"]
    pool = factor_vae_of_pool(factors @ mix, factors, 1500, 1500)["score"]
    assert 0.5 < pool < 1 and grid == pytest.approx(pool, abs=0.05)
    grid = beta_vae_score(lambda f: f @ mix, SIZES, 800, 800)["score"]
    assert grid == pytest.approx(
        beta_vae_of_pool(factors @ mix, factors, 800, 800)["score"], abs=0.05
    )


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
def test_a_perfect_encoder_scores_one_and_bad_ones_are_refused(score) -> None:  # type: ignore[no-untyped-def]
    assert score(encoder, SIZES, 300, 300)["score"] == 1
    refused(lambda: score(lambda f: f * np.nan, SIZES), "NaN")
    refused(lambda: score(lambda f: f[:3], SIZES), "it must return [n, d]")
    refused(lambda: score(encoder, (5, 4, 1)), "at least 2")
    refused(lambda: score(encoder, SIZES, 0, 5), "at least 1")


def test_vector_units_of_an_encoder() -> None:
    def vectors(factors: np.ndarray) -> np.ndarray:
        return (encoder(factors)[:, :, None] * noise(3, 4)).reshape(len(factors), 12)

    assert factor_vae_score(vectors, SIZES, 300, 300, unit_size=4)["score"] == 1
    assert factor_vae_score(vectors, SIZES, 300, 300)["active_units"] == 12


def test_dead_units_take_no_votes() -> None:
    """A unit that only rounds off its constant must not win the least variance."""
    factors = grid_factors()
    codes = np.concatenate(
        [np.full((3000, 1), 0.1), rotated(factors), 1e-4 * noise(3000, 1)], axis=1
    )
    found = factor_vae_of_pool(codes, factors, 300, 300)
    assert found["active_units"] == 3
    assert factor_vae_of_pool(codes, factors, 300, 300, min_std=0)["active_units"] == 4
    dead = factor_vae_of_pool(np.full((3000, 2), 0.1), factors, 300, 300)
    assert (dead["score"], dead["active_units"]) == (0, 0)


def test_one_factor_leaves_nothing_to_name() -> None:
    factors = grid_factors()[:, :1]
    assert beta_vae_of_pool(aligned(factors), factors)["score"] == 1


def test_chunks_add_up() -> None:
    assert sum(chunks(10_000, 64)) == 10_000
    assert list(chunks(3, 10**9)) == [1, 1, 1]
