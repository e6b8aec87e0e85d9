"""Scores of directions whose answers are known: clean, mixed, dead, noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from cldis.metrics.tracking.changes import colour_fields, image_changes
from cldis.metrics.tracking.field import CELLS
from cldis.metrics.tracking.score import score, score_groups
from cldis.metrics.tracking.sums import TrackingSums
from tracking.scenes import (
    SHIFTS,
    SIDE,
    Change,
    Scene,
    amounts,
    both,
    disc_colour,
    floor_colour,
    frames,
    light,
    move,
    nothing,
    scenes,
    scores_of,
    tally_of,
    wall_colour,
)

CLEAN = [move, disc_colour, floor_colour, wall_colour]
MIXED = [
    both(move, floor_colour),
    both(move, wall_colour),
    both(disc_colour, floor_colour),
    both(wall_colour, disc_colour),
]
LEAKING = [move, disc_colour, both(floor_colour, wall_colour), wall_colour]
PARTS = ("purity", "own", "score")


@pytest.fixture(scope="module")
def clean() -> dict[str, Any]:
    return scores_of(CLEAN)


def test_clean_directions_score_high(clean: dict[str, Any]) -> None:
    assert clean["active"] == 4
    assert 0.8 < clean["score"] <= 1
    for row in clean["directions"]:
        assert row["active"] and row["score"] > 0.75
    shares = [row["motion_share"] for row in clean["directions"]]
    assert shares[0] > 0.6 and max(shares[1:]) < 0.05


def test_mixed_directions_score_lower(clean: dict[str, Any]) -> None:
    mixed = scores_of(MIXED)
    assert mixed["active"] == 4
    assert mixed["score"] < clean["score"] - 0.4
    assert mixed["purity"] < clean["purity"] - 0.2 and mixed["own"] < clean["own"] - 0.2


def test_one_mixed_direction_among_clean_ones_ranks_last_of_them() -> None:
    rows = scores_of([*CLEAN, both(move, floor_colour)])["directions"]
    assert min(rows, key=lambda row: row["purity"])["number"] == 4
    assert rows[4]["closest"] == 2


def test_directions_that_all_do_the_same_are_not_disentangled() -> None:
    found = scores_of([both(*CLEAN)] * 4)
    assert found["active"] == 4 and found["purity"] == pytest.approx(1)
    assert found["own"] == found["score"] == pytest.approx(1 / 4)


def test_a_second_direction_for_one_thing_costs_less_than_mixing() -> None:
    doubled = scores_of([*CLEAN, wall_colour])
    assert doubled["score"] > scores_of(MIXED)["score"] + 0.08


def test_a_doubled_direction_is_pure_and_half_its_own() -> None:
    rows = scores_of([*CLEAN, wall_colour])["directions"]
    for k in (3, 4):
        assert rows[k]["purity"] > 0.9 and rows[k]["own"] == pytest.approx(0.5, abs=0.05)


def test_a_leak_is_blamed_on_the_direction_that_leaks() -> None:
    purity = [row["purity"] for row in scores_of(LEAKING)["directions"]]
    assert purity[2] < 0.8 and min(purity[:2] + purity[3:]) > 0.85


def test_one_direction_alone_is_pure_and_its_own() -> None:
    assert scores_of(CLEAN[:1])["score"] == pytest.approx(1)


def test_dead_directions_are_inactive_and_have_no_score(clean: dict[str, Any]) -> None:
    found = scores_of([*CLEAN, nothing])
    dead = found["directions"][4]
    assert not dead["active"] and "score" not in dead and dead["activity"] == 0
    assert found["score"] == pytest.approx(clean["score"])


def test_when_all_are_dead_the_run_scores_nothing() -> None:
    found = scores_of([nothing, nothing])
    assert found["active"] == 0 and found["score"] == 0
    assert found["purity"] == 0 and found["own"] == 0


def test_noise_is_inactive_and_does_not_hide_what_is_real() -> None:
    found = scores_of([*CLEAN, nothing, nothing], noise=8.0)
    active = [row["active"] for row in found["directions"]]
    assert active == [True, True, True, True, False, False]
    assert found["directions"][4]["raw_activity"] > 3  # it would count without the floor
    assert found["score"] > 0.6


def test_light_is_one_direction_apart_from_motion() -> None:
    rows = scores_of([light, move])["directions"]
    assert rows[0]["motion_share"] < 0.03 and rows[0]["score"] > 0.7


def test_order_of_images_and_sign_of_directions_do_not_matter() -> None:
    images = scenes(5)
    forward = score(tally_of(CLEAN, images), amounts(4))
    backward = score(tally_of(CLEAN, images[::-1]), amounts(4))
    flipped = score(
        tally_of([lambda s, a, c=change: c(s, -a) for change in CLEAN], images), -amounts(4)
    )
    for other in (backward, flipped):
        for name in (*PARTS, "control"):
            assert other[name] == pytest.approx(forward[name], abs=0.01)


def test_numbering_of_directions_does_not_matter(clean: dict[str, Any]) -> None:
    turned = scores_of(CLEAN[::-1])
    for row, other in zip(clean["directions"], turned["directions"][::-1], strict=True):
        for name in PARTS:
            assert row[name] == pytest.approx(other[name], abs=1e-4)


def test_control_is_the_share_of_variation_that_the_code_holds() -> None:
    images = [scene.draw() for scene in scenes(6)]
    seen = image_changes(frames(Scene(), [move]), SHIFTS)

    def control(decoded: list[Any]) -> float:
        sums = TrackingSums(np.zeros(2 * CELLS**2))
        for image, again in zip(images, decoded, strict=True):
            sums.add(seen, image, again)
        return sums.control()

    mean = np.mean(images, axis=0)
    half = [(image + mean) / 2 for image in images]
    assert control(images) == 1
    assert control([mean] * 6) == pytest.approx(0, abs=1e-6)
    assert control(half) == pytest.approx(0.75, abs=1e-6)  # half the deviation is left: 1 - 1/4
    assert control(images[::-1]) == 0  # worse than the mean picture


def groups_of(images: list[Scene], count: int, changes: list[Change] = CLEAN) -> list[TrackingSums]:
    return [tally_of(changes, images[at::count], shifts=(-1.0, 0.0, 1.0)) for at in range(count)]


def test_groups_have_the_scores_of_all_images() -> None:
    images = scenes(6)
    found, sums = score_groups(groups_of(images, 3), amounts(4))
    whole = score(tally_of(CLEAN, images, shifts=(-1.0, 0.0, 1.0)), amounts(4))
    assert sums.images == 6 and found["score"] == pytest.approx(whole["score"])
    rows = zip(found["directions"], whole["directions"], strict=True)
    assert all(row["score"] == pytest.approx(other["score"]) for row, other in rows)


def test_the_error_is_how_far_the_score_varies_over_sets_of_images() -> None:
    """Its mean over sets of images, against the standard deviation of the score over them."""
    codes = amounts(4)
    sets = [score_groups(groups_of(scenes(8, i), 4, LEAKING), codes)[0] for i in range(10)]
    for rows in (sets, [found["directions"][2] for found in sets]):
        spread = np.std([row["score"] for row in rows], ddof=1)
        errors = np.sqrt(np.mean([row["error"] ** 2 for row in rows]))
        assert spread > 1e-4 and 0.5 < errors / spread < 2


def test_images_moved_by_the_shifts_about_1_alone_count_as_much_for_the_score() -> None:
    images, codes = scenes(6), amounts(4)
    whole = tally_of(LEAKING, images)
    some = tally_of(LEAKING, images[:3])
    low, high = (list(SHIFTS).index(at) for at in (-1.0, 1.0))
    for scene in images[3:]:
        taken, picture = frames(scene, LEAKING), scene.draw()
        some.add_field(colour_fields(taken[:, low], taken[:, high]), picture, picture)
    one, other = score(whole, codes), score(some, codes)
    assert (some.images, some.whole) == (6, 3) and one["control"] == other["control"]
    assert other["score"] == pytest.approx(one["score"], abs=1e-5)


def test_two_images_have_a_score_and_no_error() -> None:
    found, _ = score_groups(groups_of(scenes(2), 2), amounts(4))
    assert found["score"] > 0 and "error" not in found
    assert not any("error" in row for row in found["directions"])


def test_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1; give at least 2"):
        score(tally_of(CLEAN, scenes(1)), amounts(4))
    with pytest.raises(ValueError, match="got 0; give at least 2"):
        score_groups(groups_of([], 3), amounts(4))


def test_equal_images_are_refused() -> None:
    with pytest.raises(ValueError, match="all alike"):
        score(tally_of(CLEAN, [Scene()] * 3), amounts(4))


def test_flat_images_that_differ_are_scored_without_nan() -> None:
    """One colour each: nothing to see motion by, nothing fails."""
    sums = TrackingSums(np.zeros(2 * CELLS**2))
    for level in (40.0, 90.0, 140.0):
        base = np.full((1, len(SHIFTS), SIDE, SIDE, 3), level, np.float32)
        for j, shift in enumerate(SHIFTS):
            base[0, j] += 10 * shift
        sums.add(image_changes(base, SHIFTS), base[0, 2], base[0, 2])
    row = score(sums, np.zeros((9, 1)))["directions"][0]  # and their codes are all one
    assert row["motion_share"] == 0 and row["score"] == pytest.approx(1)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["noise", "flat", "sparse"]))
def test_scores_stay_in_range_whatever_the_pictures(seed: int, kind: str) -> None:
    draws = np.random.default_rng(seed)
    sums = TrackingSums(np.full(2 * CELLS**2, 0.5))
    for _ in range(3):
        shape = (3, 3, 16, 16, 3)
        taken = draws.uniform(0, 255, shape)
        if kind == "flat":
            taken = np.broadcast_to(taken[:, :, :1, :1], shape).copy()
        if kind == "sparse":
            taken *= draws.random(shape) < 0.02
        taken[:, 1] = taken[0, 1]
        taken = taken.astype(np.float32)
        image = draws.uniform(0, 255, (16, 16, 3)).astype(np.float32)
        sums.add(image_changes(taken, (-1.0, 0.0, 1.0)), image, taken[0, 1])
    found = score(sums, draws.standard_normal((int(draws.integers(1, 40)), 3)))
    for row in [found, *found["directions"]]:
        for name in (*PARTS, "control", "motion_share"):
            assert 0 <= row.get(name, 0) <= 1
