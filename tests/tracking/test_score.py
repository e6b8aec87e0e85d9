"""Scores of directions whose answers are known: clean, mixed, dead, noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from cldis.metrics.tracking.changes import image_changes
from cldis.metrics.tracking.field import CELLS
from cldis.metrics.tracking.score import score, score_groups
from cldis.metrics.tracking.sums import TrackingSums, monotonicity, smoothness
from tracking.scenes import (
    SHIFTS,
    SIDE,
    Scene,
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
PARTS = ("consistency", "separation", "monotonicity", "smoothness", "score")


@pytest.fixture(scope="module")
def clean() -> dict[str, Any]:
    return scores_of(CLEAN)


def test_clean_directions_score_high(clean: dict[str, Any]) -> None:
    assert clean["active"] == 4
    assert 0.6 < clean["score"] <= 0.75  # four things at the most: 1 - 1/4
    for row in clean["directions"]:
        assert row["active"] and row["score"] > 0.75
    shares = [row["motion_share"] for row in clean["directions"]]
    assert shares[0] > 0.6 and max(shares[1:]) < 0.05


def test_mixed_directions_score_lower(clean: dict[str, Any]) -> None:
    mixed = scores_of(MIXED)
    assert mixed["active"] == 4
    assert mixed["score"] < clean["score"] - 0.1
    assert mixed["separation"] < clean["separation"] - 0.2


def test_one_mixed_direction_among_clean_ones_ranks_last_of_them() -> None:
    rows = scores_of([*CLEAN, both(move, floor_colour)])["directions"]
    assert min(rows, key=lambda row: row["separation"])["number"] == 4
    assert rows[4]["closest"] == 2


def test_directions_that_all_do_the_same_are_not_disentangled() -> None:
    found = scores_of([both(*CLEAN)] * 4)
    assert found["active"] == 4 and found["score"] < 0.05


def test_a_second_direction_for_one_thing_costs_less_than_mixing() -> None:
    doubled = scores_of([*CLEAN, wall_colour])
    assert doubled["score"] > scores_of(MIXED)["score"] + 0.08


def test_more_different_things_are_better_and_one_alone_is_nothing() -> None:
    found = [scores_of(CLEAN[:count])["score"] for count in (1, 2, 3, 4)]
    assert found[0] == 0 and found == sorted(found)


def test_dead_directions_are_inactive_and_have_no_score(clean: dict[str, Any]) -> None:
    found = scores_of([*CLEAN, nothing])
    dead = found["directions"][4]
    assert not dead["active"] and "score" not in dead and dead["activity"] == 0
    assert found["score"] == pytest.approx(clean["score"])


def test_when_all_are_dead_the_run_scores_nothing() -> None:
    found = scores_of([nothing, nothing])
    assert found["active"] == 0 and found["score"] == 0
    assert found["consistency"] == 0 and found["separation"] == 0


def test_noise_is_inactive_and_does_not_hide_what_is_real() -> None:
    found = scores_of([*CLEAN, nothing, nothing], noise=8.0)
    active = [row["active"] for row in found["directions"]]
    assert active == [True, True, True, True, False, False]
    assert found["directions"][4]["raw_activity"] > 3  # it would count without the floor
    assert found["score"] > 0.6


def test_light_is_one_consistent_direction_apart_from_motion() -> None:
    rows = scores_of([light, move])["directions"]
    assert rows[0]["motion_share"] < 0.03 and rows[0]["consistency"] > 0.9
    assert rows[0]["separation"] > 0.7


def test_a_direction_that_does_another_thing_in_every_image_is_inconsistent() -> None:
    images = scenes(8)
    turn = iter(range(8 * len(SHIFTS)))

    def erratic(scene: Scene, amount: float) -> Scene:
        return CLEAN[next(turn) // len(SHIFTS) % 4](scene, amount)

    found = score(tally_of([erratic, wall_colour], images))["directions"]
    assert found[0]["consistency"] < 0.4 < 0.9 < found[1]["consistency"]


def test_order_of_images_and_sign_of_directions_do_not_matter() -> None:
    images = scenes(5)
    forward = score(tally_of(CLEAN, images))
    backward = score(tally_of(CLEAN, images[::-1]))
    flipped = score(tally_of([lambda s, a, c=change: c(s, -a) for change in CLEAN], images))
    for other in (backward, flipped):
        for name in (*PARTS, "control"):
            assert other[name] == pytest.approx(forward[name], abs=0.01)


def test_numbering_of_directions_does_not_matter(clean: dict[str, Any]) -> None:
    turned = scores_of(CLEAN[::-1])
    for row, other in zip(clean["directions"], turned["directions"][::-1], strict=True):
        for name in PARTS:
            assert row[name] == pytest.approx(other[name])


def test_control_is_the_share_of_variation_that_the_code_holds() -> None:
    images = [scene.draw() for scene in scenes(6)]
    seen = image_changes(frames(Scene(), [move]), SHIFTS)

    def control(decoded: list[Any]) -> float:
        sums = TrackingSums(np.zeros(2 * CELLS**2))
        for image, again in zip(images, decoded, strict=True):
            sums.add(seen, image, again)
        return float(score(sums)["control"])

    mean = np.mean(images, axis=0)
    half = [(image + mean) / 2 for image in images]
    assert control(images) == 1
    assert control([mean] * 6) == pytest.approx(0, abs=1e-6)
    assert control(half) == pytest.approx(0.75, abs=1e-6)  # half the deviation is left: 1 - 1/4
    assert control(images[::-1]) == 0  # worse than the mean picture


def groups_of(images: list[Scene], count: int) -> list[TrackingSums]:
    return [tally_of(CLEAN, images[at::count], shifts=(-1.0, 0.0, 1.0)) for at in range(count)]


def test_groups_have_the_scores_of_all_images() -> None:
    images = scenes(6)
    found, sums = score_groups(groups_of(images, 3))
    whole = score(tally_of(CLEAN, images, shifts=(-1.0, 0.0, 1.0)))
    assert sums.images == 6 and found["score"] == pytest.approx(whole["score"])
    rows = zip(found["directions"], whole["directions"], strict=True)
    assert all(row["score"] == pytest.approx(other["score"]) for row, other in rows)


def test_the_error_is_how_far_the_score_varies_over_sets_of_images() -> None:
    """Its mean over sets of images, against the standard deviation of the score over them."""
    sets = [score_groups(groups_of(scenes(16, seed), 4))[0] for seed in range(12)]
    for rows in (sets, [found["directions"][0] for found in sets]):
        spread = np.std([row["score"] for row in rows], ddof=1)
        errors = np.sqrt(np.mean([row["error"] ** 2 for row in rows]))
        assert spread > 1e-4 and 0.5 < errors / spread < 2


def test_two_images_have_a_score_and_no_error() -> None:
    found, _ = score_groups(groups_of(scenes(2), 2))
    assert found["score"] > 0 and "error" not in found
    assert not any("error" in row for row in found["directions"])


def test_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1; give at least 2"):
        score(tally_of(CLEAN, scenes(1)))
    with pytest.raises(ValueError, match="got 0; give at least 2"):
        score_groups(groups_of([], 3))


def test_equal_images_are_refused() -> None:
    with pytest.raises(ValueError, match="all alike"):
        score(tally_of(CLEAN, [Scene()] * 3))


def test_flat_images_that_differ_are_scored_without_nan() -> None:
    """One colour each: nothing to see motion by, nothing fails."""
    sums = TrackingSums(np.zeros(2 * CELLS**2))
    for level in (40.0, 90.0, 140.0):
        base = np.full((1, len(SHIFTS), SIDE, SIDE, 3), level, np.float32)
        for j, shift in enumerate(SHIFTS):
            base[0, j] += 10 * shift
        sums.add(image_changes(base, SHIFTS), base[0, 2], base[0, 2])
    row = score(sums)["directions"][0]
    assert row["motion_share"] == 0 and row["consistency"] == pytest.approx(1)


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
    found = score(sums)
    for row in [found, *found["directions"]]:
        for name in (*PARTS, "control", "motion_share"):
            assert 0 <= row.get(name, 0) <= 1


def test_monotonicity_knows_rise_fall_and_none() -> None:
    curves = np.array([[4, 2, 0, 1, 3], [2, 4, 0, 4, 2], [0, 0, 0, 0, 0], [4, 2, 0, 0, 0.0]])
    np.testing.assert_allclose(monotonicity(curves), [1, 1 / 3, 0, 0.5])


def test_smoothness_knows_steady_steps_and_one_jump() -> None:
    steps = np.array([[2, 2, 2, 2], [0, 8, 0, 0], [0, 0, 0, 0], [3, 1, 3, 1.0]])
    np.testing.assert_allclose(smoothness(steps), [1, 0, 0, (0.8 - 0.25) / 0.75])
