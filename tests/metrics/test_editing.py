"""Editing scores on tables of changes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cldis.metrics.editing import (
    Kind,
    changed,
    editing_scores,
    effects,
    intended_factors,
    mean_scores,
    owned,
    reading,
    resampled_scores,
    steps_between,
    tolerance,
)


def one_hot(values: list[int], size: int) -> np.ndarray:
    return np.eye(size)[values]


def perfect(directions: int = 5, images: int = 12, factors: int = 4) -> np.ndarray:
    """Direction i changes factor i in every edit and nothing else; the rest are dead."""
    changes = np.zeros((directions, images, 2, factors), bool)
    for factor in range(factors):
        changes[factor, ..., factor] = True
    return changes


def noise(rate: float, directions: int = 8, images: int = 400, factors: int = 5) -> np.ndarray:
    draws = np.random.default_rng(0).random((directions, images, 2, factors))
    return np.asarray(draws < rate)


@pytest.mark.parametrize("kind", ["categorical", "ordered", "cyclic"])
def test_a_certain_reader_reads_the_value(kind: Kind) -> None:
    assert reading(one_hot(list(range(7)), 7), kind).tolist() == list(range(7))


def test_between_two_values_a_cyclic_reading_goes_the_short_way() -> None:
    probabilities = (one_hot([9], 10) + one_hot([1], 10)) / 2
    assert reading(probabilities, "cyclic").tolist() == [0]
    assert reading(probabilities[:, ::-1], "cyclic").tolist() == [9]


def test_an_ordered_reading_is_the_median() -> None:
    assert reading(np.array([[0.4, 0.0, 0.35, 0.25]]), "ordered").tolist() == [2]
    assert reading(np.array([[0.4, 0.0, 0.35, 0.25]]), "categorical").tolist() == [0]


def test_steps() -> None:
    one, other = np.array([0, 0, 3, 5]), np.array([9, 5, 3, 4])
    assert steps_between(one, other, 10, "cyclic").tolist() == [1, 5, 0, 1]
    assert steps_between(one, other, 10, "ordered").tolist() == [9, 5, 0, 1]
    assert steps_between(one, other, 10, "categorical").tolist() == [1, 1, 0, 1]


@given(st.integers(2, 20), st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_cyclic_steps_are_a_distance_that_turns_leave_alone(
    size: int, a: int, b: int, turn: int
) -> None:
    def steps(x: int, y: int) -> int:
        return int(steps_between(np.array(x % size), np.array(y % size), size, "cyclic"))

    assert steps(a, b) == steps(b, a) == steps(a + turn, b + turn) <= size // 2
    assert (steps(a, b) == 0) == (a % size == b % size)


def test_tolerance_is_the_error_that_enough_readings_stay_within() -> None:
    assert tolerance(np.array([0] * 95 + [3] * 5)) == 0
    assert tolerance(np.array([0] * 94 + [3] * 6)) == 3


def test_a_change_is_more_than_the_tolerance() -> None:
    before, after = np.array([[0, 0, 0]]), np.array([[[1, 1, 9]], [[2, 0, 8]]])
    found = changed(before, after, (10, 4, 10), ("ordered", "categorical", "cyclic"), (1, 0, 1))
    assert found.tolist() == [[[False, True, False]], [[True, False, True]]]


def test_effects_by_hand() -> None:
    edits = np.array([[[1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 0, 0]]], bool)
    found = effects(np.stack([edits, edits]), np.array([0, 1]))
    assert found.intended.tolist() == [0.75, 0.25]
    assert found.leakage.tolist() == [0.125, 0.375]
    assert found.kept.tolist() == [0.75, 0.25]
    assert owned(found, 3).tolist() == [True, False]


def test_perfect_directions() -> None:
    found = editing_scores(perfect())
    assert (found["active"], found["own"], found["margin"]) == (4, 4, 1)
    assert (found["intended"], found["leakage"], found["selectivity"]) == (1, 0, 1)
    assert found["kept"] == 1


def test_directions_that_change_everything_have_no_margin() -> None:
    found = editing_scores(np.ones((3, 8, 2, 4), bool))
    assert (found["margin"], found["own"], found["kept"]) == (0, 0, 0)
    assert (found["intended"], found["leakage"], found["selectivity"]) == (1, 1, 0.25)


def test_dead_directions_are_no_good_ones() -> None:
    found = editing_scores(np.zeros((3, 8, 2, 4), bool))
    assert (found["active"], found["own"], found["margin"]) == (0, 0, 0)
    assert found["intended"] is found["leakage"] is found["selectivity"] is None


def test_one_direction_that_moves_two_factors_is_neither_ones_own() -> None:
    changes = np.zeros((2, 8, 2, 4), bool)
    changes[0, ..., :2] = True
    found = editing_scores(changes)
    assert (found["active"], found["own"], found["selectivity"]) == (1, 0, 0.5)
    assert found["leakage"] == pytest.approx(1 / 3)


def test_choosing_on_one_half_leaves_no_bias() -> None:
    """Directions that change all factors at random alike must show no margin, however many."""
    found = editing_scores(noise(0.3))
    assert found["selectivity"] == pytest.approx(1 / 5, abs=0.02)
    assert found["margin"] == pytest.approx(0, abs=0.03)
    chosen, active = intended_factors(noise(0.3, images=6, directions=40))
    assert active.all() and len(set(chosen.tolist())) > 1


def test_what_was_chosen_is_measured_on_other_images() -> None:
    changes = np.zeros((1, 8, 1, 2), bool)
    changes[0, 0::2, :, 0] = True  # the even images say factor 0, the odd ones factor 1
    changes[0, 1::2, :, 1] = True
    found = editing_scores(changes)
    assert (found["intended"], found["leakage"], found["selectivity"]) == (0, 1, 0)


def test_a_bootstrap_surrounds_the_score_and_repeats() -> None:
    changes = perfect(images=40) & noise(0.6, directions=5, images=40, factors=4)
    draws = [score["intended"] for score in resampled_scores(changes, 100)]
    assert min(draws) < editing_scores(changes)["intended"] < max(draws)
    assert draws == [score["intended"] for score in resampled_scores(changes, 100)]


def test_missing_entries_are_left_out_of_a_mean() -> None:
    scores = [{"a": 1, "b": None, "c": [{"d": 0}]}, {"a": None, "b": None, "c": [{"d": 1}]}]
    assert mean_scores(scores) == {"a": 1, "b": None, "c": [{"d": 0.5}]}


@pytest.mark.parametrize("shape", [(2, 8, 2), (2, 3, 2, 4), (2, 8, 2, 1), (0, 8, 2, 4)])
def test_a_wrong_shape_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        editing_scores(np.zeros(shape, bool))
