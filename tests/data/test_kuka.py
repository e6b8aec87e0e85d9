"""`kuka`: exact factors, every factor visible, the maps' colours, and the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cldis.data.catalogue import CATALOGUE
from cldis.data.rendered import kuka_render
from cldis.data.rendered.colour_mixing import ColourMixing
from cldis.data.rendered.kuka import ARM_COLOUR, BACKGROUND_COLOURS, OBJECT_COLOURS, Kuka
from support.command import without
from support.grids import check_blocked_cache, check_grid, damaged, image

STEPS = 2
SIZES = (6, 4, 2, 3, 3, STEPS, STEPS)
FACTOR_ROWS = st.tuples(*(st.integers(0, size - 1) for size in SIZES))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kuka")


@pytest.fixture(scope="module")
def kuka(cache: Path) -> Kuka:
    pytest.importorskip("pybullet_data")
    return Kuka(32, cache, steps=STEPS)


def test_the_grid(kuka: Kuka) -> None:
    check_grid(kuka, SIZES)
    assert len(kuka) * (kuka_render.STEPS // STEPS) ** 2 == CATALOGUE["kuka"].images
    assert isinstance(kuka, ColourMixing)
    with pytest.raises(ValueError, match="camera_height has no value 3; choose 0 to 2"):
        kuka.index(np.array([[0, 0, 0, 3, 0, 0, 0]]))


@given(factors=FACTOR_ROWS)
def test_image_is_the_colour_mix_of_its_maps(kuka: Kuka, factors: tuple[int, ...]) -> None:
    """Against a sum written apart from `mixture`."""
    colour, shape, size, camera, ground, horizontal, vertical = factors
    colours = [
        list(BACKGROUND_COLOURS.values())[ground],
        ARM_COLOUR,
        list(OBJECT_COLOURS.values())[colour],
    ]
    geometry = (((shape * 2 + size) * 3 + camera) * STEPS + horizontal) * STEPS + vertical
    maps = kuka.maps[geometry].reshape(3, 32, 32).astype(float)
    exact = sum(np.multiply.outer(c, m) for c, m in zip(colours, maps, strict=True))
    assert np.abs(image(kuka, factors) - exact).max() <= 0.5 + 1e-3


@given(factors=FACTOR_ROWS, which=st.integers(0, 6), step=st.integers(1, 5))
def test_every_factor_is_seen(kuka: Kuka, factors: tuple[int, ...], which: int, step: int) -> None:
    """At 32 px each change of one factor changes at least 8 pixels by 20 grey levels."""
    other = list(factors)
    other[which] = (other[which] + 1 + step % (SIZES[which] - 1)) % SIZES[which]
    apart = image(kuka, factors).astype(int) - image(kuka, tuple(other))
    assert (np.abs(apart).max(axis=0) >= 20).sum() >= 8


def test_colours_change_their_own_surface_only(kuka: Kuka) -> None:
    changed = (image(kuka, (1, 0, 1, 1, 0, 0, 0)) != image(kuka, (3, 0, 1, 1, 0, 0, 0))).any(axis=0)
    geometry, _ = kuka.mixture(kuka.index(np.array([[1, 0, 1, 1, 0, 0, 0]])))
    carried = kuka.maps[geometry[0], 2].reshape(32, 32)
    assert not changed[carried == 0].any() and changed[carried > 100].all()


def test_objects_are_in_the_picture_and_grow(kuka: Kuka) -> None:
    area = (kuka.maps[:, 2] > 0).sum(-1).reshape(4, 2, 3, STEPS, STEPS)
    assert area.min() >= 15
    assert (area[:, 1] > 1.4 * area[:, 0]).all()


def test_joints_move_the_object_one_way(kuka: Kuka) -> None:
    """Right with the base, down with the shoulder."""
    maps = kuka.maps[:, 2].reshape(4, 2, 3, STEPS, STEPS, 32, 32).astype(float)
    weight = maps.sum((-2, -1))
    column = (maps.sum(-2) * np.arange(32)).sum(-1) / weight
    row = (maps.sum(-1) * np.arange(32)).sum(-1) / weight
    assert (np.diff(column, axis=3) > 6).all()
    assert (np.diff(row, axis=4) > 5).all()


def test_maps_share_each_pixel_without_overflow(kuka: Kuka) -> None:
    total = kuka.maps.astype(int).sum(axis=1)
    brightest = max(map(max, [*OBJECT_COLOURS.values(), *BACKGROUND_COLOURS.values(), ARM_COLOUR]))
    assert total.max() * brightest + 0.5 < 256
    assert total.min() > 40  # no black holes


def test_both_resolutions_come_of_one_render(
    kuka: Kuka, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kuka_render, "render_maps", pytest.fail)
    large = Kuka(64, cache, steps=STEPS)
    blocks = large.batch(np.arange(200)).reshape(200, 3, 32, 2, 32, 2).mean((3, 5))
    assert np.abs(blocks - kuka.batch(np.arange(200))).max() < 2
    assert Kuka(32, cache, steps=STEPS).fingerprint == kuka.fingerprint != large.fingerprint


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_cache_is_made_again(kuka: Kuka, cache: Path, tmp_path: Path, damage: str) -> None:
    """Of the small maps: from the large ones."""
    for good in cache.iterdir():
        content = good.read_bytes()
        small = good.name.startswith("kuka-32")
        (tmp_path / good.name).write_bytes(damaged(content, damage) if small else content)
    assert Kuka(32, tmp_path, steps=STEPS).fingerprint == kuka.fingerprint
    assert all((tmp_path / good.name).read_bytes() == good.read_bytes() for good in cache.iterdir())


def test_rendering_is_deterministic(kuka: Kuka, tmp_path: Path) -> None:
    assert Kuka(32, tmp_path, steps=STEPS).fingerprint == kuka.fingerprint


def test_an_interrupted_render_leaves_nothing(
    kuka: Kuka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kuka_render.ArmScene, "picture", stop)
    with pytest.raises(KeyboardInterrupt):
        Kuka(32, tmp_path, steps=STEPS)
    assert not list(tmp_path.iterdir())


def test_unwritable_cache_warns_and_still_works(kuka: Kuka, tmp_path: Path) -> None:
    check_blocked_cache(lambda folder: Kuka(32, folder, steps=STEPS), kuka, tmp_path)


@pytest.mark.parametrize("resolution", [0, 16, 128, "64", None])
def test_wrong_resolution(resolution: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of 32, 64"):
        Kuka(resolution, tmp_path)  # type: ignore[arg-type]


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path))
    text = without("pybullet", 'open_data("kuka", 32)')
    assert "pip install 'cldis[kuka]'" in text and text.count("\n") == 1
