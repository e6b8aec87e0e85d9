"""Label-free scores against closed forms and against codes whose answer is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cldis.metrics import (
    gaussian_total_correlation,
    pairwise_mutual_information,
    self_mig,
    udr,
    variation_predictability,
)
from cldis.metrics.udr import agreement
from support.command import refused


def gaussian(rows: int, rho: float, seed: int = 0) -> np.ndarray:
    """Two standard normal units of correlation `rho` and an independent third."""
    a, b, c = np.random.default_rng(seed).standard_normal((3, rows))
    return np.stack([a, rho * a + np.sqrt(1 - rho**2) * b, c], axis=1)


def grid_codes() -> np.ndarray:
    """Three units that take all combinations of their values: rank correlation exactly 0."""
    axes = (np.arange(4.0), np.arange(5.0) ** 2, np.exp(np.arange(6.0)))
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def rotation(units: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((units, units)))[0]


# ------------------------------------------------------------------------- codes of one model


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.6, 0.9])
def test_total_correlation_of_gaussians_has_the_closed_form(rho: float) -> None:
    found = gaussian_total_correlation(gaussian(40_000, rho))
    assert found["score"] == pytest.approx(-0.5 * np.log(1 - rho**2), abs=0.01)
    assert found["dependent"] == 0


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.9])
def test_mutual_information_of_gaussians_has_the_closed_form(rho: float) -> None:
    found = pairwise_mutual_information(gaussian(40_000, rho), bins=30)
    matrix = np.array(found["information"])
    assert matrix[0, 1] == pytest.approx(-0.5 * np.log(1 - rho**2), abs=0.04)
    assert matrix[0, 2] == pytest.approx(0, abs=0.005)
    assert found["score"] == pytest.approx((matrix[0, 1] + matrix[0, 2] + matrix[1, 2]) / 3)
    assert np.allclose(np.diag(matrix), np.log(30), atol=0.01)


def test_mutual_information_sees_what_correlation_does_not() -> None:
    x = np.random.default_rng(0).standard_normal(20_000)
    codes = np.stack([x, x**2], axis=1)
    assert gaussian_total_correlation(codes)["score"] < 0.01
    assert pairwise_mutual_information(codes)["score"] > 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-5, 5))
def test_scale_sign_place_and_order_of_units_do_not_matter(
    seed: int, scale: float, shift: float
) -> None:
    codes = gaussian(600, 0.6, seed)
    changed = (scale * codes + shift)[:, [2, 0, 1]] * [1, -1, 1]
    for score in (gaussian_total_correlation, pairwise_mutual_information, self_mig):
        assert score(changed)["score"] == pytest.approx(score(codes)["score"], abs=0.02)


def test_self_mig_of_gaussians() -> None:
    independent = self_mig(gaussian(40_000, 0.0))
    assert independent["score"] == pytest.approx(1, abs=0.01)
    rho, bins = 0.9, 20
    found = self_mig(gaussian(40_000, rho), bins=bins)
    expected = 1 + 0.5 * np.log(1 - rho**2) / np.log(bins)
    assert found["gap"][:2] == pytest.approx([expected] * 2, abs=0.03)
    assert found["gap"][2] == pytest.approx(1, abs=0.01)
    assert found["score"] == pytest.approx(np.mean(found["gap"]))


def test_a_repeated_unit_is_the_worst_case() -> None:
    x = np.random.default_rng(0).standard_normal(2_000)
    codes = np.stack([x, -3 * x], axis=1)
    found = gaussian_total_correlation(codes)
    assert found["dependent"] == 1 and found["score"] == pytest.approx(11.2, abs=0.5)
    assert self_mig(codes)["score"] == pytest.approx(0, abs=0.02)
    assert pairwise_mutual_information(codes)["score"] == pytest.approx(np.log(20), abs=0.02)


def test_constant_units_are_left_out() -> None:
    codes = np.insert(gaussian(2_000, 0.5), 1, 7.0, axis=1)
    for score in (gaussian_total_correlation, pairwise_mutual_information, self_mig):
        found, bare = score(codes), score(np.delete(codes, 1, axis=1))
        assert found["units"] == [0, 2, 3]
        assert found["score"] == bare["score"]


def test_one_unit_depends_on_nothing() -> None:
    codes = gaussian(100, 0.0)[:, :1]
    assert gaussian_total_correlation(codes)["score"] == 0
    assert pairwise_mutual_information(codes)["score"] == 0
    assert self_mig(codes)["score"] == 1


def test_units_that_mostly_rest_give_no_nan() -> None:
    codes = np.zeros((500, 2))
    codes[:3, 0] = 1
    codes[5:8, 1] = 1
    assert np.isfinite(self_mig(codes)["score"])
    assert np.isfinite(pairwise_mutual_information(codes)["score"])


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros(20), "expected [n, d]"),
        (np.zeros((3, 2)), "at least 10 rows"),
        (np.ones((20, 2)), "collapsed"),
        (np.full((20, 2), np.nan), "NaN"),
        (np.array([["a"]] * 20), "real numbers"),
    ],
)
def test_bad_codes_are_refused(codes: np.ndarray, words: str) -> None:
    for score in (gaussian_total_correlation, pairwise_mutual_information, self_mig):
        refused(partial(score, codes), words)


def test_bad_sizes_are_refused() -> None:
    refused(lambda: self_mig(gaussian(50, 0), bins=1), "1 bins")
    with pytest.raises(ValueError, match="60 bins do not fit 50 rows"):
        pairwise_mutual_information(gaussian(50, 0), bins=60)
    with pytest.raises(ValueError, match="more rows"):
        gaussian_total_correlation(np.random.default_rng(0).standard_normal((12, 12)))


# ------------------------------------------------------------------------------------- UDR


def test_units_that_are_permuted_and_flipped_agree_fully() -> None:
    codes = grid_codes()
    others = [codes[:, [2, 0, 1]] * [1, -1, 1], np.exp(-codes[:, [1, 0, 2]] / 100)]
    found = udr([codes, *others])
    assert found["score"] == pytest.approx([1, 1, 1])
    lasso = udr([codes, others[0]], similarity="lasso")
    assert lasso["score"] == pytest.approx([0.9, 0.9], abs=1e-6)


def test_rotated_codes_agree_less() -> None:
    rng = np.random.default_rng(1)
    codes = rng.uniform(-1, 1, (2_000, 5))
    straight = udr([codes, codes[:, ::-1], -codes])["score"]
    turned = udr([codes @ rotation(5, seed) for seed in range(3)])["score"]
    assert max(turned) < 0.6 < 0.85 < min(straight)


def test_udr_by_hand() -> None:
    assert agreement(np.eye(3)) == 1
    assert agreement(np.zeros((2, 3))) == 0
    assert agreement(np.ones((3, 3))) == pytest.approx(1 / 3)
    matrix = np.array([[0.8, 0.2, 0.0], [0.0, 0.5, 0.5]])
    rows, columns = 0.64 / 1 + 0.25 / 1, 0.8 + 0.25 / 0.7 + 0.5
    assert agreement(matrix) == pytest.approx((rows + columns) / 5)


def test_the_score_is_the_median_over_the_others() -> None:
    codes = np.random.default_rng(2).standard_normal((400, 4))
    found = udr([codes, codes @ rotation(4), -codes, codes[:, ::-1]])
    pairs = np.array(found["pairs"])
    assert np.allclose(pairs, pairs.T) and not pairs.diagonal().any()
    assert found["score"][1] == pytest.approx(np.median(pairs[1, [0, 2, 3]]))
    assert found["score"][1] < min(found["score"][0], *found["score"][2:])


def test_only_informative_units_count() -> None:
    codes = grid_codes()
    noise = np.random.default_rng(3).standard_normal((2, len(codes), 1))
    dirty = [np.hstack([codes, extra]) for extra in noise]
    mask = [True, True, True, False]
    assert udr(dirty)["score"][0] < 0.95
    clean = udr(dirty, informative=[mask, mask])
    assert clean["score"] == pytest.approx([1, 1]) and clean["informative"] == [3, 3]


def test_a_collapsed_model_agrees_with_none() -> None:
    codes = grid_codes()
    found = udr([codes, np.full_like(codes, 0.1), -codes])
    assert found["score"][1] == 0
    assert found["score"][0] == pytest.approx(0.5)  # median of 0 and 1


def test_udr_refuses_what_does_not_fit() -> None:
    codes = grid_codes()
    refused(lambda: udr([codes]), "got 1")
    refused(lambda: udr([codes, codes[1:]]), "120, 119 rows")
    with pytest.raises(ValueError, match="pearson"):
        udr([codes, codes], similarity="pearson")  # type: ignore[arg-type]
    refused(lambda: udr([codes, codes], informative=[[True] * 3]), "1 masks")
    refused(lambda: udr([codes, codes], informative=[[True] * 3, [True] * 2]), "mask of model 1")
    refused(lambda: udr([codes, np.where(codes > 2, np.nan, codes)]), "NaN")


# -------------------------------------------------------------------- variation predictability


def pairs(directions: int, images: int = 60, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Random pictures in which direction k lightens or darkens its own patch."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(-1, 1, (images * directions, 3, 16, 16))
    moved = np.tile(np.arange(directions), images)
    second = first.copy()
    for row, number in enumerate(moved):
        top, left = divmod(int(number), 4)
        change = rng.choice([-1, 1]) * rng.uniform(0.3, 1)
        second[row, :, 4 * top : 4 * top + 4, 4 * left : 4 * left + 4] += change
    return first, second, moved, np.repeat(np.arange(images), directions)


def test_clear_directions_are_predictable_in_any_sign() -> None:
    first, second, moved, images = pairs(6)
    found = variation_predictability(first, second, moved, images)
    assert found["score"] > 0.95 and found["chance"] == pytest.approx(1 / 6)
    assert found["train"] == found["test"] == 180
    assert variation_predictability(first, second, moved, images) == found


def test_directions_that_do_the_same_are_not() -> None:
    first, second, _, images = pairs(1, images=240)
    moved = np.random.default_rng(1).permutation(np.arange(240) % 4)
    found = variation_predictability(first, second, moved)
    assert abs(found["score"]) < 0.2
    assert len(found["recall"]) == 4
    assert images.shape == moved.shape


def test_no_change_at_all_is_chance() -> None:
    first, _, moved, images = pairs(4, images=20)
    found = variation_predictability(first, first, moved, images)
    assert found["accuracy"] == pytest.approx(0.25)
    assert found["score"] == pytest.approx(0)


def test_variation_predictability_leaves_torchs_random_numbers_alone() -> None:
    import torch

    first, second, moved, _ = pairs(3, images=8)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    variation_predictability(first, second, moved)
    assert torch.equal(torch.rand(3), expected)


def test_variation_predictability_refuses_what_does_not_fit() -> None:
    first, second, moved, images = pairs(3, images=8)
    refused(lambda: variation_predictability(first, second[1:], moved), "do not fit")
    refused(lambda: variation_predictability(first, second, moved + 1), "without")
    refused(lambda: variation_predictability(first, second, 0 * moved), "at least 2")
    refused(lambda: variation_predictability(first, second, moved.astype(float)), "integer")
    refused(lambda: variation_predictability(first, np.full_like(second, np.inf), moved), "NaN")
    refused(lambda: variation_predictability(first, second, moved, train_share=1), "train_share 1")
    refused(lambda: variation_predictability(first, second, moved, images[1:]), "groups have shape")
    with pytest.raises(ValueError, match="no pair to train on"):
        variation_predictability(first, second, moved, 0 * images)
