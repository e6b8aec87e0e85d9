"""`robots`: exact factors, the stacking of the layers, and the cache."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cldis.data.catalogue import CATALOGUE
from cldis.data.rendered import robots as module
from cldis.data.rendered.robots import COLOURS, LAYERS, Robots
from support.grids import check_grid, image

FACTOR_ROWS = st.tuples(*(st.integers(0, 9) for _ in range(6)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("robots")


@pytest.fixture(scope="module")
def robots(cache: Path) -> Robots:
    pytest.importorskip("robohash")
    return Robots(32, cache)


def test_the_grid(robots: Robots) -> None:
    check_grid(robots, (10,) * 6)
    assert len(robots) == CATALOGUE["robots"].images
    assert robots.factor_names == ("colour", *LAYERS)


@given(factors=FACTOR_ROWS)
def test_layers_are_stacked_as_pillow_does(robots: Robots, factors: tuple[int, ...]) -> None:
    """Pillow's own compositing of the full drawings, then made small."""
    found = importlib.util.find_spec("robohash")
    assert found is not None and found.origin is not None
    root = Path(found.origin).parent / "sets" / "set1" / COLOURS[factors[0]]
    whole = Image.new("RGBA", (300, 300), "white")
    for folder, variant in zip(LAYERS.values(), factors[1:], strict=True):
        (file,) = (root / folder).glob(f"*-{variant + 1:02d}.png")
        whole.alpha_composite(Image.open(file).convert("RGBA"))
    small = whole.convert("RGB").resize((32, 32), Image.Resampling.BOX)
    exact = np.asarray(small).transpose(2, 0, 1).astype(int)
    apart = np.abs(exact - image(robots, factors))
    # Edges of two layers within one pixel mix otherwise when each layer is made small first.
    assert apart.mean() < 1.5 and np.median(apart) <= 1


@given(factors=FACTOR_ROWS, which=st.integers(0, 5), step=st.integers(1, 9))
def test_every_factor_is_seen(
    robots: Robots, factors: tuple[int, ...], which: int, step: int
) -> None:
    other = list(factors)
    other[which] = (other[which] + step) % 10
    apart = image(robots, factors).astype(int) - image(robots, tuple(other))
    assert (np.abs(apart).max(axis=0) >= 15).sum() >= 3


def test_cache_is_used_again_without_robohash(
    robots: Robots, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = cache.iterdir()
    (tmp_path / file.name).write_bytes(file.read_bytes()[:-1])
    assert Robots(32, tmp_path).fingerprint == robots.fingerprint  # a damaged file is made again
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    assert Robots(32, cache).fingerprint == robots.fingerprint
    with pytest.raises(ValueError, match=r"pip install 'cldis\[robots\]'"):
        Robots(32, tmp_path / "empty")


def test_wrong_resolution(cache: Path) -> None:
    with pytest.raises(ValueError, match="choose one of 32, 64, 128"):
        Robots(48, cache)
