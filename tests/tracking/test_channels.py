"""Motion and appearance of known changes, and what flow is known to get wrong."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2")

from cldis.metrics.tracking.changes import image_changes
from cldis.metrics.tracking.field import CELLS, cells, change_field, check_shifts
from cldis.metrics.tracking.floor import QUANTISATION, Floor
from cldis.metrics.tracking.motion import ESTIMATORS, flow_function, track, warp
from support.command import refused
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
)

SCENE = Scene()
DOWN, ACROSS = np.mgrid[0:SIDE, 0:SIDE]
RIM = np.abs(np.hypot(ACROSS - SCENE.x, DOWN - SCENE.y) - 8) < 2  # the edge of the disc
FAR = np.hypot(ACROSS - SCENE.x, DOWN - SCENE.y) > 18


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_translation_is_motion_of_the_right_length(estimator: str) -> None:
    """2 pixels a shift: 4 pixels at the ends, found by chaining 2-pixel steps."""
    field = change_field(frames(SCENE, [move])[0], 2, estimator)
    for j, shift in enumerate(SHIFTS):
        believed = field.motion[j, ..., 0][RIM & (field.pixels()[j] > 0)]
        if shift:
            assert len(believed) > 40
            assert np.median(believed) == pytest.approx(2 * shift, abs=0.5)
    assert field.energy()[4, : CELLS**2].sum() > 1.5 * field.energy()[4, CELLS**2 :].sum()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_long_move_is_followed_in_small_steps_and_lost_in_one(estimator: str) -> None:
    """10 pixels: flow in one step fails or floods; chained it holds."""
    shifts = (-2.0, 0.0, *np.arange(0.5, 5.5, 0.5))
    taken = frames(replace(SCENE, x=18), [move], shifts)[0]
    rim = np.abs(np.hypot(ACROSS - 18, DOWN - SCENE.y) - 8) < 2
    found = track(taken, 1, estimator)[-1, ..., 0]
    assert np.median(found[rim & (found != 0)]) == pytest.approx(10, abs=1.5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_lies_far_from_the_moving_thing_stays(estimator: str) -> None:
    """DIS floods flat regions: neither wall nor floor may move with the disc."""
    field = change_field(frames(SCENE, [move])[0], 2, estimator)
    assert field.pixels()[:, FAR].mean() < 0.02


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("change", [disc_colour, floor_colour, light])
def test_colour_and_light_are_no_motion(change, estimator: str) -> None:  # type: ignore
    field = change_field(frames(SCENE, [change])[0], 2, estimator)
    energy = field.energy()
    assert energy[:, : CELLS**2].sum() < 0.03 * energy.sum()


def test_a_colour_change_is_read_exactly() -> None:
    """+25 red, -25... of the disc per shift, sign and place."""
    field = change_field(frames(SCENE, [disc_colour])[0], 2)
    inside = np.hypot(ACROSS - SCENE.x, DOWN - SCENE.y) < 6
    np.testing.assert_allclose(field.appearance[3][inside], [[-25, 25, 0]] * inside.sum(), atol=1)
    assert np.abs(field.appearance[3][FAR]).max() == 0
    np.testing.assert_allclose(field.appearance[3], -field.appearance[1], atol=1e-3)


def test_nothing_is_exactly_nothing() -> None:
    seen = image_changes(frames(SCENE, [nothing]), SHIFTS)
    for values in vars(seen).values():
        assert not np.asarray(values).any()


def test_motion_and_colour_at_once_show_in_both_channels() -> None:
    alone = change_field(frames(SCENE, [move])[0], 2).energy()[4]
    mixed = change_field(frames(SCENE, [both(move, floor_colour)])[0], 2).energy()[4]
    moving = slice(0, CELLS**2)
    assert mixed[moving].sum() == pytest.approx(alone[moving].sum(), rel=0.5)
    assert mixed[CELLS**2 :].sum() > 3 * alone[CELLS**2 :].sum()


def test_warp_brings_a_later_frame_back() -> None:
    flow = np.zeros((SIDE, SIDE, 2), np.float32)
    flow[..., 0] = 3
    later = replace(SCENE, x=SCENE.x + 3).draw()
    np.testing.assert_allclose(warp(later, flow)[:, 5:-5], SCENE.draw()[:, 5:-5], atol=1e-3)


def test_cells_are_means_also_where_they_do_not_fit() -> None:
    maps = np.random.default_rng(0).random((2, 48, 48)).astype(np.float32)
    expected = maps.reshape(2, CELLS, 6, CELLS, 6).mean(axis=(2, 4)).reshape(2, -1)
    np.testing.assert_allclose(cells(maps), expected, rtol=1e-5)
    odd = np.full((1, 50, 50), 7, np.float32)
    np.testing.assert_allclose(cells(odd), 7, rtol=1e-5)


def test_floor_is_mean_and_deviation_between_decodes() -> None:
    floor = Floor()
    assert (floor.level() == QUANTISATION).all()
    grey = np.full((3, SIDE, SIDE, 3), 100, np.float32)
    grey[1] += 10
    grey[2] += 20
    floor.add(grey)
    appearance = floor.level()[CELLS**2 :]
    np.testing.assert_allclose(appearance, 15 + 5 + QUANTISATION, rtol=1e-4)
    floor.add(np.full((1, SIDE, SIDE, 3), 9, np.float32))  # one decode has nothing to compare
    np.testing.assert_allclose(floor.level()[CELLS**2 :], appearance)


@pytest.mark.parametrize("shifts", [(), (0.0,), (0.0, 1.0), (-1.0, 1.0), (1.0, 0.0, -1.0)])
def test_shifts_must_rise_through_zero(shifts: tuple[float, ...]) -> None:
    refused(lambda: check_shifts(shifts), "must rise and hold 0")


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(lambda: flow_function("raft"), "'raft' is unknown; one of farneback, dis")
    taken = frames(SCENE, [move])
    refused(lambda: image_changes(taken[:, :4], SHIFTS), "shape")
    taken[0, 0, 0, 0, 0] = np.nan
    refused(lambda: image_changes(taken, SHIFTS), "NaN")
    monkeypatch.setitem(sys.modules, "cv2", None)
    refused(lambda: flow_function("farneback"), "pip install 'cldis[tracking]'")
