"""Purity and own on a generator of five things that lie apart and move about."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from cldis.metrics.tracking.mixing import SIDE, dependence, mixing
from support.scripts import load_script

frozen = load_script("tracking_mixing")
ROOT = Path(__file__).parents[2]
THINGS, IMAGES = 5, 12
PAIR = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)


def changes() -> np.ndarray:
    """x [5, IMAGES * cells, 3]: each thing is a square at another height in each image."""
    rng = np.random.default_rng(0)
    x = np.zeros((THINGS, IMAGES, SIDE, SIDE, 3))
    for image in range(IMAGES):
        for thing in range(THINGS):
            top = rng.integers(0, SIDE - 5)
            columns = slice(3 * thing, 3 * thing + 4)  # one column is shared with the next
            x[thing, image, top : top + 5, columns] = rng.normal(20, 6, size=3)
    return x.reshape(THINGS, -1, 3)


def scored(matrix: np.ndarray, have: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Purity and own of directions that are combinations of the things.

    Args:
        have: what each thing has in a collection, [n, THINGS]; None: independent amounts.
    """
    if have is None:
        have = np.random.default_rng(2).standard_normal((4_000, THINGS))
    codes = have @ np.linalg.pinv(matrix)  # directions move combinations of things
    found = mixing(np.einsum("kt,tnc->knc", matrix, changes()), codes)
    assert np.allclose(found.share.sum(axis=1), 1)
    return found.purity, found.own


def test_it_is_the_definition_that_was_frozen_before_it_was_confirmed() -> None:
    """And the file whose hash results/tracking_validation.md names."""
    matrix = np.random.default_rng(6).normal(size=(THINGS, THINGS)) + 2 * np.eye(THINGS)
    x = np.einsum("kt,tnc->knc", matrix, changes())
    codes = np.random.default_rng(2).standard_normal((4_000, THINGS)) @ np.linalg.pinv(matrix)
    one, other = mixing(x, codes / codes.std(axis=0)), frozen.mixing(x, codes)
    assert np.allclose(one.purity, other.purity) and np.allclose(one.own, other.own)
    sha = hashlib.sha256(Path(frozen.__file__).read_bytes()).hexdigest()
    assert sha in (ROOT / "results" / "tracking_validation.md").read_text()


def test_codes_that_do_not_vary_show_no_dependence() -> None:
    purity, own = scored(mixed(0, 3), np.zeros((50, THINGS)))
    assert np.allclose(purity[[0, 3]], 0.5, atol=0.08) and np.isfinite(own).all()


def mixed(*things: int) -> np.ndarray:
    matrix = np.eye(THINGS)
    matrix[np.ix_(things, things)] = PAIR
    return matrix


def test_clean_directions_are_pure_and_their_own() -> None:
    purity, own = scored(np.eye(THINGS))
    assert purity.min() > 0.95 and own.min() > 0.95


def test_the_size_of_a_change_does_not_matter() -> None:
    purity, own = scored(np.diag([100.0, 1, -3, 0.1, 20]))
    assert purity.min() > 0.95 and own.min() > 0.95


def test_a_mixed_pair_is_seen_and_the_others_stay_clean() -> None:
    purity, own = scored(mixed(0, 3))
    assert np.allclose(purity[[0, 3]], 0.5, atol=0.08)
    assert np.allclose(own[[0, 3]], 0.5, atol=0.08)
    assert purity[[1, 2, 4]].min() > 0.95 and own[[1, 2, 4]].min() > 0.95


def test_a_leak_is_blamed_on_the_direction_that_leaks() -> None:
    matrix = np.eye(THINGS)
    matrix[1, 3] = -1  # direction 1 moves thing 3 as well
    purity, _ = scored(matrix)
    assert purity[1] < 0.65 and np.delete(purity, 1).min() > 0.9


def test_a_doubled_direction_is_pure_but_not_its_own() -> None:
    purity, own = scored(np.concatenate([np.eye(THINGS), np.eye(THINGS)[:1]]))
    assert purity.min() > 0.95
    assert np.allclose(own[[0, 5]], 0.5, atol=0.05) and own[1:5].min() > 0.95


def test_what_varies_together_is_one_thing() -> None:
    angle = np.random.default_rng(3).uniform(0, 2 * np.pi, 4_000)
    have = np.random.default_rng(2).standard_normal((4_000, THINGS))
    have[:, 0], have[:, 3] = np.cos(angle), np.sin(angle)  # uncorrelated, and one circle
    purity, _ = scored(mixed(0, 3), have)
    assert purity.min() > 0.9


def test_independent_columns_do_not_depend_and_a_circle_does() -> None:
    rng = np.random.default_rng(4)
    angle = rng.uniform(0, 2 * np.pi, 4_000)
    found = dependence(np.stack([np.cos(angle), np.sin(angle), rng.normal(size=4_000)], 1))
    assert np.allclose(np.diag(found), 1) and np.array_equal(found, found.T)
    assert found[0, 1] > 0.7 and found[2, :2].max() < 0.05


def test_dependence_of_gaussians_is_their_squared_correlation() -> None:
    pair = np.random.default_rng(5).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 50_000)
    assert dependence(pair)[0, 1] == pytest.approx(0.36, abs=0.02)


def test_a_random_basis_is_worse_than_one_mixed_pair() -> None:
    random = np.linalg.qr(np.random.default_rng(1).standard_normal((THINGS, THINGS)))[0]
    worst = [np.mean(np.multiply(*scored(matrix))) for matrix in (random, mixed(0, 3))]
    assert worst[0] < worst[1]


def test_one_direction_is_its_own() -> None:
    purity, own = scored(np.eye(THINGS)[:1])
    assert purity == pytest.approx([1]) and own == pytest.approx([1])


def test_a_dead_direction_is_not_seen() -> None:
    frames = np.full((2, 3, 3, 64, 64, 3), 100, np.uint8)
    frames[:, 0, 2, :20, :20] = 160
    frames[:, 1, 2, 30:50, 30:50] = 160
    assert frozen.seen(frozen.fields(frames)).tolist() == [True, True, False]
