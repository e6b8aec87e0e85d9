"""Every labelled metric: closed forms, invariances, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cldis import metrics
from cldis.metrics.labelled import labelled, reduce_units
from metrics.known import SIZES, aligned, grid_factors, noise, rotated

Score = Callable[[np.ndarray, np.ndarray], float]


def fast_dci(codes: np.ndarray, factors: np.ndarray) -> dict[str, Any]:
    return metrics.dci(codes, factors, estimator="gbt_30")


SCORES: dict[str, Score] = {
    "disentanglement": lambda c, f: fast_dci(c, f)["disentanglement"],
    "completeness": lambda c, f: fast_dci(c, f)["completeness"],
    "mig": lambda c, f: metrics.mig(c, f)["score"],
    "sap": lambda c, f: metrics.sap(c, f)["score"],
    "factor_vae": lambda c, f: metrics.factor_vae_of_pool(c, f, 600, 600)["score"],
    "beta_vae": lambda c, f: metrics.beta_vae_of_pool(c, f, 600, 600)["score"],
    "modularity": lambda c, f: metrics.modularity_explicitness(c, f)["modularity"],
    "explicitness": lambda c, f: metrics.modularity_explicitness(c, f)["explicitness"],
    "infom": lambda c, f: metrics.infomec(c, f)["modularity"],
    "infoc": lambda c, f: metrics.infomec(c, f)["compactness"],
    "infoe": lambda c, f: metrics.infomec(c, f)["explicitness"],
}
# What a rotation and pure noise may score at most. Absent: not a question the score asks.
ROTATED = {"disentanglement": 0.7, "completeness": 0.7, "mig": 0.4, "sap": 0.3, "modularity": 0.98}
ROTATED |= {"infom": 0.6, "infoc": 0.6}
NOISE = {"disentanglement": 0.1, "completeness": 0.1, "mig": 0.02, "sap": 0.05, "infoe": 0.05}
NOISE |= {"factor_vae": 0.45, "beta_vae": 0.45, "explicitness": 0.55}
# An axis-aligned code scores 1, but for the linear classifiers behind these two: the middle values
# of one unit are hard to tell apart by a line.
ALIGNED = {"sap": 0.4, "explicitness": 0.95}


@pytest.mark.parametrize("name", SCORES)
def test_closed_forms(name: str) -> None:
    factors = grid_factors()
    assert SCORES[name](aligned(factors), factors) > ALIGNED.get(name, 0.97)
    if name in ROTATED:
        assert SCORES[name](rotated(factors), factors) < ROTATED[name]
    if name in NOISE:
        assert SCORES[name](noise(), factors) < NOISE[name]


@pytest.mark.parametrize("name", SCORES)
def test_order_sign_and_scale_of_units_do_not_matter(name: str) -> None:
    factors = grid_factors()
    codes = rotated(factors) + 0.3 * noise(d=3)
    changed = codes[:, [2, 0, 1]] * [-2.0, 3.0, -0.5] + 1
    # Bins, neighbours and trees see the same ranks or widths; C = .01 of SAP is not scale free,
    # and ranges of InfoMEC decide which units are active. Mirrored bins hold other rows at edges.
    assert abs(SCORES[name](codes, factors) - SCORES[name](changed, factors)) < 0.03


@pytest.mark.parametrize("name", SCORES)
def test_the_same_seed_gives_the_same_score(name: str) -> None:
    factors = grid_factors(900)
    codes = rotated(factors) + 0.3 * noise(900, 3)
    assert SCORES[name](codes, factors) == SCORES[name](codes.copy(), factors.copy())


@pytest.mark.parametrize("name", SCORES)
def test_a_constant_unit_is_a_number_and_changes_little(name: str) -> None:
    factors = grid_factors(900)
    codes = np.concatenate([aligned(factors), np.full((900, 1), 3.7)], axis=1)
    found = SCORES[name](codes, factors)
    assert np.isfinite(found)
    if name != "modularity":  # a unit without information counts 0 there, as in the reference
        assert abs(found - SCORES[name](aligned(factors), factors)) < 0.03


@pytest.mark.parametrize("name", SCORES)
def test_only_constant_units_and_a_single_unit_give_numbers(name: str) -> None:
    factors = grid_factors(300)
    for codes in (np.full((300, 2), 0.1), aligned(factors)[:, :1]):
        assert 0 <= SCORES[name](codes, factors) <= 1 + 1e-9


BAD: list[tuple[np.ndarray, np.ndarray, str]] = [
    (np.zeros((20, 2)), grid_factors(19), "do not fit"),
    (np.zeros(20), grid_factors(20), "do not fit"),
    (np.zeros((20, 0)), grid_factors(20), "too small"),
    (np.zeros((4, 2)), grid_factors(4), "at least 10 rows"),
    (np.where(np.eye(20)[:, :2] > 0, np.nan, 0.0), grid_factors(20), "NaN or infinity.*row 0"),
    (np.where(np.eye(20)[:, :2] > 0, np.inf, 0.0), grid_factors(20), "NaN or infinity"),
    (np.zeros((20, 2), complex), grid_factors(20), "complex"),
    (np.zeros((20, 2)), grid_factors(20) * 0.5, "give integers"),
    (np.zeros((20, 2)), grid_factors(20) * [1, 0, 1], "factor 1 has only the value 0"),
    (np.zeros((20, 2)), np.arange(20)[:, None], "value of its own in each of the 20 rows"),
]


def test_bad_input_is_refused_in_words() -> None:
    for codes, factors, words in BAD:
        with pytest.raises(ValueError, match=words):
            labelled(codes, factors)


@pytest.mark.parametrize("name", SCORES)
def test_every_score_checks_its_input(name: str) -> None:
    codes, factors, words = BAD[4]
    with pytest.raises(ValueError, match=words):
        SCORES[name](codes, factors)


@settings(max_examples=25)
@given(
    n=st.integers(40, 120),
    d=st.integers(1, 4),
    sizes=st.lists(st.integers(2, 5), min_size=1, max_size=3),
    grain=st.sampled_from([0, 1, 3]),
    seed=st.integers(0, 10**6),
)
def test_any_small_pool_gives_scores_in_range(
    n: int, d: int, sizes: list[int], grain: int, seed: int
) -> None:
    """Ties, coarse codes, few rows, uneven values: a number in range or a ValueError."""
    rng = np.random.default_rng(seed)
    factors = np.minimum(rng.geometric(0.4, (n, len(sizes))) - 1, np.array(sizes) - 1)
    codes = rng.standard_normal((n, d)) + factors[:, :1]
    codes = codes if not grain else np.round(codes / grain)
    for name, score in SCORES.items():
        try:
            found = score(codes, factors)
        except ValueError as error:
            assert "factor" in str(error) and "rows" in str(error)
            continue
        low = -np.inf if name == "infoe" else -1e-9
        assert low <= found <= 1 + 1e-9, name


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 999))
def test_vector_units_become_their_first_principal_component(u: int, size: int, seed: int) -> None:
    codes = noise(50, u * size, seed)
    found = reduce_units(codes, size)
    assert found.shape == (50, u)
    for i in range(u):
        unit = codes[:, i * size : (i + 1) * size]
        largest = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False)[0]
        np.testing.assert_allclose(np.linalg.norm(found[:, i] - found[:, i].mean()), largest)


def test_vector_units_score_like_the_number_they_hide() -> None:
    factors = grid_factors(900)
    plain = aligned(factors)
    directions = noise(3, 4)  # each number along a direction of its own in four columns
    vectors = (plain[:, :, None] * directions).reshape(900, 12) + 5
    found = metrics.mig(vectors, factors, unit_size=4)["score"]
    assert found == pytest.approx(metrics.mig(plain, factors)["score"], abs=0.01)
    with pytest.raises(ValueError, match="unit_size 5 does not divide the 12"):
        metrics.mig(vectors, factors, unit_size=5)


def test_values_are_renumbered_and_splits_are_disjoint() -> None:
    factors = grid_factors(300) * 7 - 3
    data = labelled(np.arange(600.0).reshape(300, 2), factors)
    assert data.sizes == SIZES and data.factors.min() == 0
    train, test = data.split(1000, 500, seed=0)
    assert (len(train.codes), len(test.codes)) == (200, 100)
    assert not set(train.codes[:, 0]) & set(test.codes[:, 0])
    assert [len(part.codes) for part in data.split(50, 20, seed=0)] == [50, 20]
