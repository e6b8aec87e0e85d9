"""What edits keep of a photo: the mask, and the blend of photo and decode."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cldis.diffusion.kept import CLEAR, FAINT, Start, mask
from loop.small import pictures


def _square(side: int, half: int, size: float) -> Tensor:
    """A change of one channel in a square around the middle, [1, 3, side, side]."""
    change = torch.zeros(1, 3, side, side)
    middle = side // 2
    change[:, 1, middle - half : middle + half, middle - half : middle + half] = size
    return change


@pytest.mark.parametrize("side", [16, 32, 64, 256])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_mask_is_one_where_the_decode_changes_and_zero_far_away(side: int, sign: int) -> None:
    half, reach = side // 8, 2 * max(1, side // 64)
    found = mask(_square(side, half, sign * CLEAR))[0, 0]
    middle = side // 2
    inside = slice(middle - half, middle + half)
    near = slice(middle - half - reach, middle + half + reach)
    assert found.shape == (side, side) and bool((found[inside, inside] == 1).all())
    assert 0 < float(found[middle, middle + half]) < 1 or reach > 2  # widened and softened
    found[near, near] = 0
    assert bool((found == 0).all())


def test_a_faint_change_is_none_and_a_mask_grows_with_the_change() -> None:
    assert bool((mask(_square(32, 4, FAINT)) == 0).all())
    sizes = [FAINT + share * (CLEAR - FAINT) for share in (0.1, 0.5, 0.9, 1.0)]
    middles = [float(mask(_square(32, 4, size))[0, 0, 16, 16]) for size in sizes]
    assert middles == pytest.approx([0.1, 0.5, 0.9, 1.0], abs=1e-5)
    assert bool((mask(torch.ones(1, 3, 20, 20)) == 1).all())  # up to the border


def _start(images: Tensor | None, again: Tensor) -> Start:
    return Start(torch.zeros(len(again), 2), None, 1, again, images)


def test_no_change_gives_the_photo_bit_for_bit_and_a_large_one_the_decode() -> None:
    x, again = pictures(3), pictures(3, seed=1)
    start = _start(x, again)
    assert torch.equal(start.edited(again), x) and torch.equal(start.unmoved, x)
    far = torch.where(again > 0, again - 0.5, again + 0.5)
    torch.testing.assert_close(start.edited(far), far, rtol=0, atol=1e-6)
    plain = _start(None, again)
    assert torch.equal(plain.edited(far), far) and torch.equal(plain.unmoved, again)


@given(seed=st.integers(0, 1000), strength=st.floats(0, 1))
def test_an_edit_is_the_formula_of_its_file(seed: int, strength: float) -> None:
    x, again, other = (pictures(2, seed=seed + k) for k in range(3))
    drawn = again + strength * (other - again)
    found = _start(x, again).edited(drawn)
    expected = drawn + (1 - mask(drawn - again)) * (x - again)
    torch.testing.assert_close(found, expected.clamp(-1, 1), rtol=0, atol=1e-5)


def test_rows_and_repetitions_stay_together() -> None:
    x = pictures(3)
    start = Start(torch.arange(3.0)[:, None], x + 1, 5, x + 2, x)
    twice = start.rows(slice(1, 3)).repeated(2)
    assert len(twice) == 4 and twice.steps == 5 and twice.z[:, 0].tolist() == [1, 1, 2, 2]
    assert twice.noise is not None and twice.images is not None
    for part, apart in ((twice.noise, 1), (twice.again, 2), (twice.images, 0)):
        assert torch.equal(part, x[[1, 1, 2, 2]] + apart)
    assert start.rows(slice(1)).repeated(0).again.shape == (0, *x.shape[1:])
