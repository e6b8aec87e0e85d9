"""`rooms`: exact factors, exact colours, cache behaviour and the renderer's geometry."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cldis.data.catalogue import CATALOGUE
from cldis.data.rendered import rooms_render
from cldis.data.rendered.rooms import LIGHT_COLOUR, Rooms
from support.grids import check_blocked_cache, check_grid, damaged, image

SIZES = (10, 10, 10, 8, 4, 15)
FACTOR_ROWS = st.tuples(*(st.integers(0, size - 1) for size in SIZES))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rooms")


@pytest.fixture(scope="module")
def rooms(cache: Path) -> Rooms:
    return Rooms(32, cache)


def geometry_maps(rooms: Rooms, factors: tuple[int, ...]) -> np.ndarray:
    scale, shape, turn = factors[3:]
    side = rooms.resolution
    return rooms.maps[(scale * 4 + shape) * 15 + turn].reshape(4, side, side)


def test_the_grid(rooms: Rooms) -> None:
    check_grid(rooms, SIZES)
    assert len(rooms) == CATALOGUE["rooms"].images and rooms.factor_names[3:] == (
        "scale",
        "shape",
        "orientation",
    )


@given(factors=FACTOR_ROWS)
def test_factors_are_mixed_radix(rooms: Rooms, factors: tuple[int, ...]) -> None:
    expected = 0
    for value, size in zip(factors, SIZES, strict=True):
        expected = expected * size + value
    assert rooms.index(np.array([factors])).tolist() == [expected]
    found = rooms.factors(np.array([expected]))
    assert found.tolist() == [list(factors)] and found.dtype == np.int64


@given(factors=FACTOR_ROWS)
def test_image_is_the_colour_mix_of_its_maps(rooms: Rooms, factors: tuple[int, ...]) -> None:
    colours = [colorsys.hsv_to_rgb(hue / 10, 1, 1) for hue in factors[:3]] + [LIGHT_COLOUR]
    share = geometry_maps(rooms, factors) / 65535.0
    exact = 255 * sum(np.multiply.outer(c, m) for c, m in zip(colours, share, strict=True))
    assert np.abs(image(rooms, factors) - exact).max() <= 0.5 + 1e-3


@given(factors=FACTOR_ROWS, which=st.integers(0, 2), step=st.integers(1, 9))
def test_a_hue_changes_its_own_surface_only(
    rooms: Rooms, factors: tuple[int, ...], which: int, step: int
) -> None:
    other = list(factors)
    other[which] = (other[which] + step) % 10
    changed = (image(rooms, factors) != image(rooms, tuple(other))).any(axis=0)
    coefficient = geometry_maps(rooms, factors)[which]
    assert not changed[coefficient == 0].any()
    assert changed[coefficient > 0.3 * 65535].all()
    assert changed.sum() >= 20


@given(indices=st.lists(st.integers(0, 479_999), min_size=2, max_size=9))
def test_an_image_does_not_depend_on_its_batch(rooms: Rooms, indices: list[int]) -> None:
    together = rooms.batch(np.array(indices))
    alone = np.concatenate([rooms.batch(np.array([index])) for index in indices])
    assert (together == alone).all()


def test_all_geometries_differ_visibly(rooms: Rooms) -> None:
    images = rooms.batch(np.arange(480) + rooms.index(np.array([[1, 6, 9, 0, 0, 0]]))[0])
    flat = images.reshape(480, -1).astype(np.float32)
    square = (flat**2).sum(1)
    distance = square[:, None] + square[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    assert np.sqrt(distance.min() / flat.shape[1]) > 1.0  # levels of 255, RMS over the image


def test_maps_share_each_pixel_without_overflow(rooms: Rooms) -> None:
    total = rooms.maps.astype(np.int64).sum(axis=1)
    assert total.max() <= 65535 + 2  # rounding of four maps
    assert total.min() > 0.05 * 65535  # no black holes


def test_objects_grow_with_scale_and_stay_inside(rooms: Rooms) -> None:
    area = (rooms.maps[:, 2] > 0).sum(-1).reshape(8, 4, 15)
    assert (np.diff(area, axis=0) >= 0).all()
    assert (area[-1] > 2 * area[0]).all()
    assert area.min() >= 40
    objects = rooms.maps[:, 2].reshape(480, 32, 32)
    border = np.concatenate(
        [objects[:, 0], objects[:, -1], objects[:, :, 0], objects[:, :, -1]], axis=1
    )
    assert (border == 0).all()


def test_the_corner_moves_one_way_with_orientation() -> None:
    """The darkest column of the wall's upper part is the corner; it crosses the picture."""
    row = rooms_render.Scene(96, 0.0).wall.shape[0] // 6
    corners = []
    for yaw in rooms_render.YAWS:
        scene = rooms_render.Scene(96, np.deg2rad(yaw))
        corners.append(int(np.argmin(np.where(scene.is_wall, scene.wall, np.inf)[row])))
    assert (np.diff(corners) < 0).all()
    assert corners[0] - corners[-1] > 0.5 * 96 * rooms_render.SAMPLES


@given(
    shape=st.sampled_from(rooms_render.SHAPES),
    scale=st.sampled_from(rooms_render.SCALES),
    yaw=st.floats(-0.6, 0.6),
)
def test_hits_lie_on_the_object_and_face_the_camera(shape: str, scale: float, yaw: float) -> None:
    origin, rays = rooms_render.camera_rays(40, yaw)
    depth, normal = rooms_render.intersect(shape, scale, origin, rays)
    hit = np.isfinite(depth)
    assert hit.any()
    assert not hit.all()
    point = np.stack([o + depth[hit] * d[hit] for o, d in zip(origin, rays, strict=True)])
    outward = np.stack([part[hit] for part in normal])
    towards = np.stack([part[hit] for part in rays])
    assert np.allclose(np.linalg.norm(outward, axis=0), 1.0)
    assert ((outward * towards).sum(0) <= 1e-9).all()
    assert np.allclose(distance_to_surface(shape, scale, point), 0.0, atol=1e-9)
    assert (distance_to_surface(shape, scale, point + 1e-3 * outward) > 0).all()


def distance_to_surface(shape: str, scale: float, point: np.ndarray) -> np.ndarray:
    """Signed distance (a bound outside edges) of points [3, n], written apart from the tracer."""
    solid = rooms_render.SOLIDS[shape]
    radius, height = solid.radius * scale, solid.height * scale
    x, y, z = point
    if shape == "cube":
        turned = np.stack([(x + y) / np.sqrt(2), (y - x) / np.sqrt(2), z - radius])
        return np.abs(turned).max(axis=0) - radius
    if shape == "cylinder":
        return np.maximum(np.hypot(x, y) - radius, np.abs(z - height / 2) - height / 2)
    middle = np.clip(z, radius, height - radius)
    return np.sqrt(x**2 + y**2 + (z - middle) ** 2) - radius


def test_rays_that_start_in_shadow_hit_and_others_do_not() -> None:
    away = rooms_render.LIGHT[:2] / np.hypot(*rooms_render.LIGHT[:2])
    scene = rooms_render.Scene(8, 0.0)
    for shape in rooms_render.SHAPES:
        behind, before = -1.4 * away, 1.6 * away
        x, y = np.array([behind[0], before[0]]), np.array([behind[1], before[1]])
        assert scene._light_share(shape, 1.0, x, y).tolist() == [0.0, 1.0]


def test_rendering_and_fingerprint_are_deterministic(rooms: Rooms, tmp_path: Path) -> None:
    again = Rooms(32, tmp_path)
    assert (again.maps == rooms.maps).all()
    assert again.fingerprint == rooms.fingerprint
    assert len(rooms.fingerprint) == 64


def test_cache_is_reused(rooms: Rooms, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    monkeypatch.setenv("CLDIS_CACHE", str(cache))
    monkeypatch.setattr(rooms_render, "render_maps", pytest.fail)
    assert Rooms(32).fingerprint == rooms.fingerprint
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_cache_is_rendered_again(
    rooms: Rooms, cache: Path, tmp_path: Path, damage: str
) -> None:
    (good,) = cache.iterdir()
    bad = tmp_path / good.name
    bad.write_bytes(damaged(good.read_bytes(), damage))
    assert Rooms(32, tmp_path).fingerprint == rooms.fingerprint
    assert bad.read_bytes() == good.read_bytes()
    assert list(tmp_path.iterdir()) == [bad]


def test_unwritable_cache_warns_and_still_works(rooms: Rooms, tmp_path: Path) -> None:
    check_blocked_cache(lambda folder: Rooms(32, folder), rooms, tmp_path)


@pytest.mark.parametrize("resolution", [0, 31, 256, "64", None])
def test_wrong_resolution(resolution: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of 32, 64, 128"):
        Rooms(resolution, tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_wrong_factors(rooms: Rooms) -> None:
    with pytest.raises(ValueError, match="shape has no value 4; choose 0 to 3"):
        rooms.index(np.array([[0, 0, 0, 0, 4, 0]]))
    with pytest.raises(ValueError, match=r"shape \[n, 6\]"):
        rooms.index(np.array([[0, 0, 0, 0, 0]]))
