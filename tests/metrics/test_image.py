"""SSIM and PSNR: against closed forms, and their behaviour on any picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cldis.metrics.image import psnr, ssim


def noise(n: int, side: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@given(st.integers(1, 4), st.sampled_from([8, 10, 11, 16, 33]), st.integers(0, 999))
def test_equal_pictures_are_perfect_and_others_are_not(n: int, side: int, seed: int) -> None:
    a, b = noise(n, side, seed), noise(n, side, seed + 1)
    assert ssim(a, a) == pytest.approx(np.ones(n))
    assert np.isposinf(psnr(a, a)).all()
    assert ssim(a, b).shape == psnr(a, b).shape == (n,)
    assert (ssim(a, b) < 0.9).all() and (ssim(a, b) > -1).all()
    assert ssim(a, b) == pytest.approx(ssim(b, a))
    assert psnr(a, b) == pytest.approx(psnr(b, a))


@given(st.integers(0, 999), st.sampled_from([8, 16]))
def test_each_image_is_measured_by_itself(seed: int, side: int) -> None:
    a, b = noise(3, side, seed), noise(3, side, seed + 1)
    for measure in (ssim, psnr):
        alone = [measure(a[i : i + 1], b[i : i + 1])[0] for i in range(3)]
        assert measure(a, b) == pytest.approx(alone)


@given(st.floats(0.01, 0.9))
def test_psnr_of_a_constant_offset(offset: float) -> None:
    a = torch.zeros(1, 3, 8, 8)
    expected = -20 * math.log10(offset / 2)  # half the distance on pixels in [0, 1]
    assert psnr(a, a + offset) == pytest.approx(expected, abs=1e-4)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([8, 20]))
def test_ssim_of_flat_pictures(first: float, second: float, side: int) -> None:
    """Without variance only the luminance term is left (Wang et al. 2004, eq. 6)."""
    a = torch.full((1, 3, side, side), 2 * first - 1, dtype=torch.float64)
    b = torch.full((1, 3, side, side), 2 * second - 1, dtype=torch.float64)
    c = 0.01**2
    expected = (2 * first * second + c) / (first**2 + second**2 + c)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_one_window_is_the_formula() -> None:
    """In the 2 x 2 places where a flat window of 7 lies inside 8 pixels."""
    a, b = noise(1, 8, 0).double(), noise(1, 8, 1).double()
    x, y = ((t + 1) / 2 for t in (a, b))
    found = []
    for channel in range(3):
        for top in range(2):
            for left in range(2):
                p = x[0, channel, top : top + 7, left : left + 7]
                q = y[0, channel, top : top + 7, left : left + 7]
                covariance = ((p - p.mean()) * (q - q.mean())).mean()
                light = (2 * p.mean() * q.mean() + 1e-4) / (p.mean() ** 2 + q.mean() ** 2 + 1e-4)
                variances = p.var(correction=0) + q.var(correction=0)
                found.append(float(light * (2 * covariance + 9e-4) / (variances + 9e-4)))
    assert ssim(a, b) == pytest.approx(np.mean(found), abs=1e-6)


def test_closer_pictures_score_higher() -> None:
    a, b = noise(2, 32, 0), noise(2, 32, 1)
    near, far = a.lerp(b, 0.1), a.lerp(b, 0.4)
    assert (ssim(a, near) > ssim(a, far)).all()
    assert (psnr(a, near) > psnr(a, far)).all()


def test_values_beyond_the_range_are_clipped() -> None:
    a = torch.ones(1, 3, 16, 16)
    assert np.isposinf(psnr(a, 3 * a)).all()
    assert ssim(a, 3 * a) == pytest.approx(1)


def test_no_pictures_give_no_numbers() -> None:
    empty = torch.zeros(0, 3, 16, 16)
    assert ssim(empty, empty).shape == psnr(empty, empty).shape == (0,)


@pytest.mark.parametrize("measure", [ssim, psnr])
@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(2, 3, 8, 8), "equal shape"),
        (torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), r"\[n, 3, H, W\]"),
        (torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), r"\[n, 3, H, W\]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 8, 8), "uint8"),
    ],
)
def test_wrong_pictures_are_refused(measure, a, b, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        measure(a, b)


def test_ssim_needs_room_for_a_window() -> None:
    with pytest.raises(ValueError, match="at least 7 x 7"):
        ssim(torch.zeros(1, 3, 6, 6), torch.zeros(1, 3, 6, 6))
