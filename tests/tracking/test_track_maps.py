"""Arrays of content tracking on disk: what was measured comes back, and damage is noticed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")

import cldis
from cldis.data import open_data
from cldis.metrics.tracking.score import similarity
from cldis.navigation.directions import Directions
from cldis.tracking.maps import FOLDER, MAPS, load_maps, maps_of, save_maps
from cldis.tracking.track import SHIFTS, Tracking, track


@pytest.fixture(scope="module")
def tracking(vae_run: Path, photos: Path) -> Tracking:
    model = cldis.load(vae_run)
    model.unit_std = torch.full((4,), 100.0)  # hardly trained: far shifts change something
    source = open_data(photos, 16)
    return track(model, source, images=4, directions=Directions.random(4, 3, seed=1))


def test_maps_are_what_was_measured(tracking: Tracking, tmp_path: Path) -> None:
    save_maps(maps_of(tracking), tmp_path / FOLDER)
    found = load_maps(tmp_path)
    assert found is not None and found.scores == tracking.scores
    sums = tracking.sums
    np.testing.assert_allclose(found.shifts, SHIFTS)
    np.testing.assert_allclose(found.motion, sums.mean("motion"), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.appearance, sums.mean("appearance"), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.mean, sums.mean("image"), rtol=1e-5)
    np.testing.assert_allclose(found.curve, tracking.curves.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.similarity, similarity(sums), atol=1e-6)
    assert (found.curve_low <= found.curve_high).all() and found.appearance.max() > 0.5
    for row in found.scores["directions"]:
        k = row["number"]
        whole = found.by_motion[k] + found.by_appearance[k]
        assert found.by_motion[k] / whole == pytest.approx(row["motion_share"], abs=1e-4)


def test_the_heat_map_of_a_direction(tracking: Tracking) -> None:
    maps = maps_of(tracking)
    found = np.stack([maps.change(k) for k in range(3)])
    assert found.shape == (3, 16, 16) and found.min() >= 0
    assert found.max() == pytest.approx(1)  # of some direction, somewhere
    for k in (-1, 3):
        with pytest.raises(ValueError, match=r"directions are 0\.\.2"):
            maps.change(k)
    still = dataclasses.replace(maps, motion=0 * maps.motion, appearance=0 * maps.appearance)
    assert still.change(0).max() == 0


def test_other_directions_are_noticed(tracking: Tracking) -> None:
    maps = maps_of(tracking)
    assert maps.fits(Directions.random(4, 3, seed=1))
    assert maps.fits(Directions.random(4, 3, seed=1).named(0, "smile"))
    assert not maps.fits(Directions.random(4, 3, seed=2))
    assert not maps.fits(Directions.random(4, 2, seed=1))


def test_nothing_or_damage(tracking: Tracking, tmp_path: Path) -> None:
    assert load_maps(tmp_path) is None
    path = save_maps(maps_of(tracking), tmp_path / FOLDER)
    assert path == tmp_path / "tracking" / MAPS
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[:-1]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"cannot be read .*cldis track"):
            load_maps(tmp_path)
    path.write_bytes(whole)
    assert load_maps(shutil.copytree(tmp_path, tmp_path.with_name("again"))) is not None
