"""A folder of anything becomes a list of images, and what cannot be used is told in words."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cldis.data import load_photo, open_data
from cldis.data.folder import Folder, may_hold
from support.command import refused

SIDE = 16


def save(path: Path, colour: tuple[int, int, int] = (10, 20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 24), colour).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three good images, two broken ones, and things that are none."""
    root = tmp_path / "photos"
    save(root / "b.png", (2, 2, 2))
    save(root / "a" / "z.bmp", (1, 1, 1))
    save(root / "c" / "UPPER.PNG", (3, 3, 3))
    (root / "c" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (root / "empty.png").write_bytes(b"")
    (root / "phone.heic").write_bytes(b"0000ftypheic")
    (root / "notes.txt").write_text("not an image")
    (root / "labels.csv").write_text("a,b")
    save(root / ".hidden.png")
    save(root / ".thumbnails" / "a.png")
    return root


def test_order_and_content(photos: Path, tmp_path: Path) -> None:
    source = Folder(photos, SIDE, tmp_path / "cache")
    assert len(source) == 3
    assert source.name == "photos" and source.resolution == SIDE
    labels = [source.label(index) for index in range(3)]
    assert labels == ["a/z.bmp", "b.png", "c/UPPER.PNG"]
    images = source.batch(np.array([2, 0, 1, 0]))
    assert images.shape == (4, 3, SIDE, SIDE) and images.dtype == np.uint8
    assert images[:, 0, 0, 0].tolist() == [3, 1, 2, 1]
    for index, label in enumerate(labels):
        assert np.array_equal(source.batch(np.array([index]))[0], load_photo(photos / label, SIDE))


def test_skipped_in_words(photos: Path, tmp_path: Path) -> None:
    for source in (open_data(str(photos), SIDE, tmp_path / "cache") for _ in range(2)):
        reasons = dict(source.skipped)
        assert list(reasons) == ["c/cut.jpg", "empty.png", "phone.heic"]
        assert "empty" in reasons["empty.png"]
        assert "convert it to .jpg" in reasons["phone.heic"]


def test_unlabelled(photos: Path, tmp_path: Path) -> None:
    source = Folder(photos, SIDE, tmp_path / "cache")
    assert source.factor_names == () and source.factor_sizes == ()
    factors = source.factors(np.arange(2))
    assert factors.shape == (2, 0) and factors.dtype == np.int64


def test_indices(photos: Path, tmp_path: Path) -> None:
    source = Folder(photos, SIDE, tmp_path / "cache")
    assert source.batch(np.array([])).shape == (0, 3, SIDE, SIDE)
    assert source.factors(np.zeros(0, np.int64)).shape == (0, 0)
    for wrong in ([3], [-1], [0.5], [[0]], [True]):
        with pytest.raises(ValueError):
            source.batch(np.array(wrong))
        with pytest.raises(ValueError):
            source.factors(np.array(wrong))
    with pytest.raises(ValueError, match=r"outside 0\.\.2"):
        source.label(3)


def test_batch_is_a_copy(photos: Path, tmp_path: Path) -> None:
    source = Folder(photos, SIDE, tmp_path / "cache")
    images = source.batch(np.arange(3))
    images[:] = 255
    assert source.batch(np.arange(3)).max() == 3
    assert type(images) is np.ndarray


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    save(root / "a" / "x.png")
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    (root / "self").symlink_to(root / "self")
    (root / "gone.png").symlink_to(tmp_path / "missing.png")
    save(tmp_path / "elsewhere" / "y.png")
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    os.mkfifo(root / "pipe.png")
    source = Folder(root, SIDE, tmp_path / "cache")
    assert [source.label(index) for index in range(len(source))] == ["a/x.png", "linked/y.png"]
    reasons = dict(source.skipped)
    assert reasons["self"] == "a link that leads nowhere"
    assert reasons["gone.png"] == "a link that leads nowhere"
    assert reasons["pipe.png"] == "not a regular file"


def test_odd_names(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    save(root / "with space é 漢字.png")
    save(root / "no_extension.png")
    (root / "no_extension.png").rename(root / "no_extension")
    raw = os.fsencode(root) + b"/latin\xe9.png"
    try:
        shutil.copy(os.fsencode(root / "no_extension"), raw)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for _ in range(2):
        source = Folder(root, SIDE, tmp_path / "cache")
        labels = [source.label(index) for index in range(len(source))]
        assert labels == ["latin\ufffd.png", "no_extension", "with space é 漢字.png"]


def test_counting_is_no_decoding(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`may_hold` looks at names alone, and stops when there are too many."""
    monkeypatch.setattr("cldis.data.folder.decoded_once", None)
    assert may_hold(photos, 3, 2) and may_hold(photos, 5, 0)
    assert not may_hold(photos, 6, 9) and not may_hold(photos, 2, 2)
    assert not may_hold(photos / "missing", 1, 0)
    monkeypatch.setattr("cldis.data.folder.LOOKED_AT", 0)
    assert not may_hold(photos, 3, 2)


def test_nothing_usable(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    with pytest.raises(ValueError, match="no usable image among 0 files"):
        Folder(root, SIDE, tmp_path / "cache")
    (root / "readme.txt").write_text("hello")
    (root / "readme.md").write_text("hello")
    with pytest.raises(ValueError, match=r"among 2 files \(no image extension: 1 \.\w+, 1"):
        Folder(root, SIDE, tmp_path / "cache")
    for index in range(5):
        (root / f"{index}.jpg").write_text("not really")
    words = ("among 7 files", "0.jpg: not an image", "2 more like these")
    refused(lambda: Folder(root, SIDE, tmp_path / "cache"), *words)
    assert not list((tmp_path / "cache").iterdir())


def test_real_photos(tmp_path: Path, shared_data: Path) -> None:
    root = tmp_path / "hands"
    for kind in sorted((shared_data / "hands").iterdir())[:3]:
        (root / kind.name).mkdir(parents=True)
        for photo in sorted(kind.iterdir())[:10]:
            shutil.copy(photo, root / kind.name)
    source = open_data(str(root), 64, tmp_path / "cache")
    assert len(source) == 30 and not source.skipped
    images = source.batch(np.arange(30))
    assert images.reshape(30, -1).std(axis=1).min() > 10
    assert len(np.unique(images.reshape(30, -1), axis=0)) == 30
