"""The explorer without its page: edits, mixtures, order, sessions, uploads."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cldis.config import Config
from cldis.data.rendered.rooms import Rooms
from cldis.explorer.actions import Actions
from cldis.explorer.collection import Collection
from cldis.explorer.pictures import draw_map, map_hit, map_places
from cldis.explorer.received import Received
from cldis.explorer.regions import region
from cldis.explorer.server import free_port
from cldis.explorer.sessions import IDLE, MOST, Session, Sessions
from cldis.explorer.studio import Studio
from cldis.explorer.uploads import read_upload, shown_name
from cldis.io import write_json
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from support.command import refused
from support.made import tracking_scores
from support.small import RUN


@pytest.fixture(scope="module")
def studio(run: Path) -> Studio:
    return Studio.open(run)


def amounts(studio: Studio, **moved: float) -> list[float]:
    return [moved.get(f"r{i}", 0.0) for i in range(len(studio.rows))]


def test_no_amount_is_the_photo_and_a_preview_is_near_the_edit(studio: Studio) -> None:
    begin, still = studio.sample(3), amounts(studio)
    assert torch.equal(studio.edited(begin, still), begin.image)
    assert torch.equal(studio.preview(begin, still), begin.image)
    moved = amounts(studio, r0=2.0)
    quick, full = studio.preview(begin, moved), studio.edited(begin, moved)
    expected = studio.model.move(begin.image[None], studio.change(moved), studio.steps)
    torch.testing.assert_close(full, expected[0], rtol=0, atol=1e-4)
    change = (full - begin.image).abs().mean()
    assert change > 0.02
    assert (quick - full).abs().mean() < change


def test_a_strip_shows_edits_of_several_photos(studio: Studio) -> None:
    strip = studio.strip(0)
    assert strip.shape == (3, 3, 3, 64, 64)
    for i, (low, middle, high) in enumerate(strip):
        begin = studio.sample(i)
        assert torch.equal(middle, begin.image)
        for shown, amount in ((low, -2.0), (high, 2.0)):
            expected = studio.preview(begin, amounts(studio, r0=amount))
            torch.testing.assert_close(shown, expected, rtol=0, atol=1e-3)
    heat = (strip[:, 2] - strip[:, 0]).abs().mean(dim=(0, 1))
    shown = torch.from_numpy(studio.rows[0].heat)
    torch.testing.assert_close(shown / shown.max(), heat / heat.max())
    assert studio.strip(0) is strip  # drawn once


def test_the_code_alone_is_drawn_from_a_random_start(studio: Studio) -> None:
    begin = studio.sample(5)
    again = studio.model.reconstruct(begin.image[None], studio.steps)
    torch.testing.assert_close(begin.alone, again["random"][0], rtol=0, atol=1e-4)
    assert (begin.alone - begin.image).abs().mean() > 0.01


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    heat = np.zeros((40, 40), np.float32)
    heat[top:bottom, left:right] = 0.5
    return heat


@pytest.mark.parametrize(
    ("heat", "word"),
    [
        (np.ones((40, 40), np.float32), "everywhere"),
        (box(0, 15, 0, 40), "top"),
        (box(25, 40, 0, 40), "bottom"),
        (box(0, 40, 4, 14), "left"),
        (box(5, 10, 30, 38), "top right"),
        (box(30, 40, 0, 12), "bottom left"),
        (box(12, 30, 10, 28), "middle"),
        (1 - 2 * box(3, 37, 3, 37), "edges"),
        (box(0, 0, 0, 0), "nowhere"),
    ],
)
def test_a_region_has_a_word(heat: np.ndarray, word: str) -> None:
    assert region(heat) == region(heat * 1e-3) == word
    turned = {"top": "left", "bottom": "right", "left": "top"}
    assert region(heat.T) == turned.get(word, region(heat.T))


def test_a_picture_that_is_overtaken_is_not_shown(studio: Studio, tmp_path: Path) -> None:
    actions = Actions(studio, Sessions(len(studio.rows)), Received(tmp_path))
    one, two = (amounts(studio, r0=value) for value in (1.0, 2.0))
    actions.sessions.get("a").photo = studio.sample(3)
    for moved in (one, two):
        actions.preview("a", moved)
    assert actions.follow("a", one) is None  # the slider has gone on
    shown = actions.follow("a", two)
    assert shown is not None and "+2." in shown[0] and 'class="stage done"' in shown[1]
    assert shown == actions.settle("a", two)
    assert actions.follow("a", one) is None


def test_rows_are_sorted_by_score_where_there_is_one(studio: Studio, run: Path) -> None:
    strength = [float(row.heat.mean()) for row in studio.rows]
    assert strength == sorted(strength, reverse=True) and len(strength) == 16
    active = [row.active for row in studio.rows]
    assert active == sorted(active, reverse=True)  # those that change nothing come last
    assert [value >= 0.03 * strength[0] for value in strength] == active
    assert 5 < sum(active)
    copy = run.with_name("tracked")
    shutil.copytree(run, copy)
    scores = tracking_scores([None if k == 2 else k / 20 for k in range(16)])
    (copy / "tracking").mkdir()
    write_json(copy / "tracking" / "scores.json", scores)
    numbers = [row.number for row in Studio.open(copy).rows]
    assert numbers == [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1, 0, 2]
    write_json(copy / "tracking" / "scores.json", {**scores, "origin": "navigated"})
    assert all(row.score is None for row in Studio.open(copy).rows)  # of other directions


def test_a_run_of_the_vae_alone_is_drawn_by_it(tmp_path: Path) -> None:
    settings = [*RUN, "method=vae", "model.resolution=32"]
    source = Rooms(32)
    made = RunFolder.create(tmp_path / "run", Config().with_overrides(settings), source, "rooms")
    assert train(made, source, False, quiet=True)
    studio = Studio.open(made.path)
    studio.model.unit_std.fill_(50.0)  # hardly trained, its units would hardly move a picture
    begin, still = studio.sample(2), amounts(studio)
    assert begin.start.noise is None and len(studio.rows) == 4 and studio.kind == "unit"
    assert torch.equal(studio.edited(begin, still), begin.image)
    drawn = studio.model.decode_vae(begin.z[None])
    torch.testing.assert_close(begin.start.again, drawn)
    torch.testing.assert_close(begin.alone, drawn[0])
    moved = amounts(studio, r0=2.0)
    full = studio.edited(begin, moved)
    assert (full - begin.image).abs().max() > 0.01
    # Nothing is faster than the VAE itself: the preview is the edit.
    torch.testing.assert_close(studio.preview(begin, moved), full)
    frames = studio.traversal(begin, moved, 0, (-1.0, 2.0))
    torch.testing.assert_close(frames[1], full)
    other = studio.sample(5)
    torch.testing.assert_close(studio.mixed(begin, other, range(4)), studio.full(begin, other.z))
    assert studio.collection().codes.shape[1] == 4
    assert all(np.isfinite(row.heat).all() for row in studio.rows)


def test_mixing_all_units_gives_the_other_code_and_none_gives_the_photo(studio: Studio) -> None:
    one, two = studio.sample(1), studio.sample(4)
    everything = list(range(len(studio.rows)))
    assert torch.allclose(studio.mixed(one, two, []), one.image, atol=1e-4)
    expected = studio.full(one, two.z)
    assert torch.allclose(studio.mixed(one, two, everything), expected, atol=1e-2)


def test_neighbours_extremes_and_outliers() -> None:
    codes = np.array([[0.0, 0], [1, 5], [2, 0.1], [0.1, 0], [9, 9]])
    images = np.zeros((5, 3, 8, 8), np.uint8)
    found = Collection(images, list("abcde"), codes)
    assert found.nearest(codes[0], [], 2)[0] == [0, 3]
    assert found.nearest(np.array([2.0, 5.0]), [0], 1)[0] == [2]
    assert found.nearest(np.array([2.0, 5.0]), [1], 1)[0] == [1]
    assert found.extremes(0, 2) == ([0, 3], [4, 2])
    assert found.outliers(1)[0] == [4]
    flat = found.map()
    assert flat.shape == (5, 2) and flat.min() == 0 and flat.max() == 1
    centres, shown = map_places(flat)
    assert draw_map(found, 1).size[0] > centres[:, 0].max()
    assert all(map_hit(found, *centres[i]) == i for i in shown)


def test_sessions_are_apart_and_end() -> None:
    now = [0.0]
    sessions = Sessions(2, lambda: now[0])
    one, two = sessions.get("a"), sessions.get("b")
    one.settle((1.0, 0.0))
    one.settle((1.0, 0.0))  # nothing new, nothing to undo
    one.settle((1.0, 2.0))
    assert two.amounts == (0.0, 0.0) and sessions.get("a") is one
    assert [one.undo(), one.undo(), one.undo()] == [(1.0, 0.0), (0.0, 0.0), (0.0, 0.0)]
    sessions.end("a")
    assert sessions.get("a") is not one
    now[0] += IDLE + 1
    assert sessions.get("b") is not two and len(sessions) == 1
    for i in range(MOST + 5):
        sessions.get(str(i))
    assert len(sessions) == MOST
    assert isinstance(sessions.get("b"), Session)


def test_uploads_are_judged_by_content(tmp_path: Path) -> None:
    path = tmp_path / "photo.exe"
    Image.new("RGB", (40, 20), (255, 0, 0)).save(path, "PNG")
    image = read_upload(path, 16)
    assert image.shape == (3, 16, 16) and float(image[0].min()) == 1.0
    for kind in ("TIFF", "PPM", "TGA", "EPS"):  # Pillow reads them; strangers may not send them
        Image.new("RGB", (20, 20)).save(path, kind)
        refused(lambda: read_upload(path, 16), "not a picture")
    path.unlink()
    refused(lambda: read_upload(path, 16), "gone")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../folder/name", "name"), ("a\\b\\<b>.png", "b"), ("..", "photo"), ("é x.jpg", "é_x")],
)
def test_names_of_uploads_are_harmless(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_ports() -> None:
    refused(lambda: free_port("127.0.0.1", 70000), "1 to 65535")
    refused(lambda: free_port("203.0.113.7", 7860), "cannot listen")
