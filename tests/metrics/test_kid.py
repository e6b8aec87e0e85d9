"""KID against closed forms of its kernel, and on images that are made worse step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from cldis.arrays import Floats
from cldis.data.rendered.rooms import Rooms
from cldis.images import to_model
from cldis.metrics.kid import SUBSETS, UNITS, features, kid, mmd2


def normal(n: int, mean: Floats, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, len(mean))) + mean


def expected_kernel(a: Floats, b: Floats) -> float:
    """E (x.y / d + 1)^3 for independent x ~ N(a, I) and y ~ N(b, I)."""
    d, dot, one, two = len(a), float(a @ b), float(a @ a), float(b @ b)
    first, second = dot, dot**2 + one + two + d
    third = dot**3 + 3 * dot * two + 3 * dot * (one + d + 2)
    return 1 + 3 * first / d + 3 * second / d**2 + third / d**3


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
def test_it_estimates_the_closed_form_for_gaussians(shift: float) -> None:
    a, b = np.zeros(3), np.array([shift, -shift, 0.0])
    true = expected_kernel(a, a) + expected_kernel(b, b) - 2 * expected_kernel(a, b)
    assert (true == 0) == (shift == 0)
    values = [mmd2(normal(60, a, 2 * k), normal(90, b, 2 * k + 1)) for k in range(300)]
    assert abs(np.mean(values) - true) < 4 * np.std(values) / np.sqrt(len(values))
    assert np.min(values) < 0 or shift == 0.8  # without bias it must go below 0 as well


def test_it_is_that_of_torchmetrics() -> None:
    x, y = normal(40, np.zeros(5), 0), normal(40, np.full(5, 0.5), 1)
    theirs = poly_mmd(torch.from_numpy(x), torch.from_numpy(y))
    assert mmd2(x, y) == pytest.approx(float(theirs), rel=1e-9)


def test_subsets_estimate_the_whole_and_order_does_not_count() -> None:
    x, y = normal(120, np.full(4, 0.4), 0), normal(100, np.zeros(4), 1)
    found = kid(x, y)
    standard = [(each - y.mean(axis=0)) / y.std(axis=0) for each in (x, y)]
    whole, error = mmd2(*standard), found.deviation / np.sqrt(SUBSETS)
    assert found.size == 50 and found.deviation > 0
    assert abs(found.mean - whole) < 4 * error
    shuffled = kid(np.random.default_rng(5).permutation(x), np.random.default_rng(6).permutation(y))
    assert abs(shuffled.mean - found.mean) < 6 * error
    assert kid(x, y) == found and kid(x, y, seed=1) != found
    scaled = kid(x * 7 + 3, y * 7 + 3)  # what size features have does not count
    assert scaled.mean == pytest.approx(found.mean, rel=1e-6)


def test_it_grows_with_the_shift() -> None:
    y = normal(800, np.zeros(6), 0)
    values = [kid(normal(800, np.full(6, s), 1), y).mean for s in (0.0, 0.2, 0.4, 0.8)]
    assert abs(values[0]) < 0.1 * values[1] and values == sorted(values)


@pytest.mark.parametrize(
    ("drawn", "real", "words"),
    [
        (np.zeros((3, 2)), np.zeros((9, 2)), "at least 4 images"),
        (np.zeros((9, 2)), np.zeros((9, 3)), "got shapes"),
        (np.full((9, 2), np.nan), np.zeros((9, 2)), "not finite"),
    ],
)
def test_wrong_features_are_refused(drawn: Floats, real: Floats, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kid(drawn, real)


def test_features_see_what_is_done_to_images() -> None:
    rooms = Rooms(32)
    chosen = np.random.default_rng(0).permutation(len(rooms))[:96]
    images = to_model(rooms.batch(chosen))
    found = features(images)
    assert found.shape == (96, UNITS) and (found.std(axis=0) > 0).all()
    assert np.array_equal(features(images[:3]), features(images[:3]))
    assert np.allclose(features(images[[2]]), found[[2]], rtol=1e-3, atol=1e-5)
    real, other = found[:48], found[48:]
    same = kid(other, real)
    noise = torch.randn(48, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    noisy = kid(features(images[48:] + 0.3 * noise), real)
    few = kid(np.repeat(other[:4], 12, axis=0), real)  # four images again and again
    assert abs(same.mean) < 0.1 < min(noisy.mean, few.mean)
    with pytest.raises(ValueError, match="expected floats"):
        features(images[:, :1])
