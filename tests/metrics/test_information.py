"""Mutual information, MIG, modularity and InfoMEC against formulas and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from cldis.metrics.infomec import infomec
from cldis.metrics.information import binned_information, entropies, nearest_information
from cldis.metrics.labelled import labelled
from cldis.metrics.mig import mig
from cldis.metrics.modularity import modularity, modularity_explicitness
from metrics.known import SIZES, aligned, grid_factors, noise, rotated


@given(st.integers(0, 999), st.integers(2, 30))
def test_binned_information_is_scikit_learns(seed: int, bins: int) -> None:
    factors = grid_factors(200, seed)
    codes = rotated(factors)
    found = binned_information(labelled(codes, factors), bins)
    for i, unit in enumerate(codes.T):
        cells = np.digitize(unit, np.histogram(unit, bins)[1][:-1])
        for j, column in enumerate(factors.T):
            assert found[i, j] == pytest.approx(mutual_info_score(cells, column), abs=1e-9)


def test_entropy_of_even_values_is_the_logarithm() -> None:
    factors = np.stack([np.arange(60) % 4, np.arange(60) % 3], axis=1)
    np.testing.assert_allclose(entropies(labelled(noise(60), factors)), np.log([4, 3]))


@pytest.mark.parametrize("coarse", [False, True])
def test_nearest_information_is_scikit_learns(coarse: bool) -> None:
    """Ties are broken by each one's own noise, which moves the estimate a little."""
    factors = grid_factors(500)
    codes = rotated(factors) + 0.2 * noise(500, 3)
    codes = np.round(codes * 4) if coarse else codes
    found = nearest_information(labelled(codes, factors), seed=0, neighbours=10)
    for j, column in enumerate(factors.T):
        theirs = mutual_info_classif(codes, column, n_neighbors=10, random_state=0)
        np.testing.assert_allclose(found[:, j], theirs, atol=0.04 if coarse else 1e-6)


def test_nearest_information_of_a_gaussian_mixture() -> None:
    """Two unit Gaussians at +-a: I = h(mixture) - h(Gaussian), integrated numerically."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 8000)
    codes = (2.0 * labels - 1)[:, None] + rng.standard_normal((8000, 1))
    x = np.linspace(-9, 9, 20001)
    density = sum(np.exp(-((x - a) ** 2) / 2) for a in (-1, 1)) / (2 * np.sqrt(2 * np.pi))
    exact = -np.sum(density * np.log(density)) * (x[1] - x[0]) - 0.5 * np.log(2 * np.pi * np.e)
    found = nearest_information(labelled(codes, labels[:, None]), seed=0)
    assert found[0, 0] == pytest.approx(exact, abs=0.02)


def test_mig_of_a_code_with_a_twin_is_zero() -> None:
    """A factor held twice has no gap: its share of the mean is lost."""
    factors = grid_factors()
    codes = aligned(factors)
    alone, twin = (mig(c, factors) for c in (codes, np.concatenate([codes, codes[:, :1]], axis=1)))
    assert alone["score"] > 0.99 and alone["bins"] == 20 and alone["rows"] == 3000
    assert twin["gap"][0] == pytest.approx(0, abs=1e-12)
    assert twin["score"] == pytest.approx(alone["score"] * 2 / 3, abs=0.01)
    with pytest.raises(ValueError, match="MIG with 1 bins"):
        mig(codes, factors, bins=1)


def test_modularity_of_matrices_with_known_scores() -> None:
    assert modularity(np.eye(3)) == 1
    assert modularity(np.ones((2, 3))) == pytest.approx(0)
    assert modularity(np.array([[1.0, 0, 0], [0, 0, 0]])) == 0.5  # a dead unit counts 0
    assert modularity(np.array([[1.0, 0.5, 0]])) == pytest.approx(1 - 0.25 / 2)


def test_explicitness_of_a_linear_code_and_of_a_folded_one() -> None:
    """A line cannot tell which side of the fold a value came from."""
    factors = np.random.default_rng(0).integers(0, 2, (600, 2))
    straight = modularity_explicitness(aligned(factors), factors)
    folded = modularity_explicitness(np.abs(noise(600, 2)), factors)
    assert straight["explicitness"] == pytest.approx(1)
    assert folded["explicitness"] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ValueError, match="too few rows"):
        modularity_explicitness(noise(10), np.eye(10, 2, dtype=int), test=1)


def test_infomec_says_what_it_used() -> None:
    factors = grid_factors(600)
    found = infomec(aligned(factors, dead=2), factors, rows=500)
    assert found["active_units"] == 3 and found["rows"] == 500
    assert np.shape(found["nmi"]) == (5, len(SIZES))
    assert "nearest neighbours" in found["estimator"]
    assert found["compactness"] > 0.9 and found["explicitness"] > 0.95
