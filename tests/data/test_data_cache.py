"""The cache: the same images, at once, never half of them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cldis.data.cache import Item, decoded_once, default_cache_dir
from cldis.data.folder import Folder
from support.photos import write_photos

SIDE = 8


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    write_photos(root, 40, SIDE)
    (root / "broken.png").write_bytes(b"\x89PNG")
    return root


def save(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def content(source: Folder) -> np.ndarray:
    return source.batch(np.arange(len(source)))


def stamp(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}


def test_kept_and_used_again(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    first = Folder(photos, SIDE, cache)
    monkeypatch.setattr("cldis.data.cache._try_decode", pytest.fail)
    before = stamp(cache)
    assert sorted(Path(name).suffix for name in before) == [".json", ".npy"]
    second = Folder(photos, SIDE, cache)
    assert stamp(cache) == before
    assert np.array_equal(content(first), content(second))
    assert first.fingerprint == second.fingerprint and first.skipped == second.skipped
    assert len(first.fingerprint) == 64 and len(first.skipped) == 1
    array = np.load(next(cache.glob("*.npy")), allow_pickle=False)
    assert array.dtype == np.uint8 and array.shape == (40, 3, SIDE, SIDE)
    index = json.loads(next(cache.glob("*.json")).read_text(encoding="utf-8"))
    assert len(index["labels"]) == 40 and index["settings"]["resolution"] == SIDE


def test_fingerprint_follows_the_content(photos: Path, tmp_path: Path) -> None:
    """Not the place, not the time; the pixels and the settings."""
    first = Folder(photos, SIDE, tmp_path / "one")
    moved = photos.rename(tmp_path / "moved")
    os.utime(moved / "photo_000.png")
    assert Folder(moved, SIDE, tmp_path / "two").fingerprint == first.fingerprint
    assert Folder(moved, 2 * SIDE, tmp_path / "two").fingerprint != first.fingerprint
    save(moved / "photo_000.png", 1000)
    assert Folder(moved, SIDE, tmp_path / "two").fingerprint != first.fingerprint


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "mend"])
def test_every_change_is_noticed(photos: Path, tmp_path: Path, change: str) -> None:
    before = content(Folder(photos, SIDE, tmp_path / "cache"))
    if change == "edit":
        save(photos / "photo_007.png", 1000)
    elif change == "add":
        save(photos / "99.png", 1000)
    elif change == "remove":
        (photos / "photo_007.png").unlink()
    elif change == "rename":
        (photos / "photo_007.png").rename(photos / "99.png")
    else:
        save(photos / "broken.png", 1000)
    after = content(Folder(photos, SIDE, tmp_path / "cache"))
    assert not np.array_equal(before, after)
    assert np.array_equal(after, content(Folder(photos, SIDE, tmp_path / "fresh")))


@pytest.mark.parametrize("how", ["written over", "moved there"])
def test_replaced_in_place_with_its_old_date(tmp_path: Path, how: str) -> None:
    """Equal name, size and date, as `cp -p` and `rsync -t` leave them."""
    root = tmp_path / "photos"
    root.mkdir()
    file = root / "a.bmp"
    Image.new("RGB", (SIDE, SIDE), (1, 1, 1)).save(file)
    assert content(Folder(root, SIDE, tmp_path / "cache")).max() == 1
    before = file.stat()
    target = file if how == "written over" else tmp_path / "new.bmp"
    Image.new("RGB", (SIDE, SIDE), (2, 2, 2)).save(target)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    target.replace(file)
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert content(Folder(root, SIDE, tmp_path / "cache")).max() == 2


def test_the_fingerprint_of_the_first_version(tmp_path: Path) -> None:
    """A run of an earlier version finds its data again: equal pixels, equal fingerprint."""
    root = tmp_path / "photos"
    root.mkdir()
    Image.new("RGB", (SIDE, SIDE), (1, 2, 3)).save(root / "a.bmp")
    pixels = np.broadcast_to(np.array([1, 2, 3], np.uint8)[:, None, None], (3, SIDE, SIDE))
    expected = hashlib.sha256(b'{"decode": 1, "resolution": 8}' + pixels.tobytes()).hexdigest()
    assert Folder(root, SIDE, tmp_path / "cache").fingerprint == expected


@pytest.mark.parametrize("umask", [0o077, 0o002, 0o027])
def test_modes_follow_the_umask(photos: Path, tmp_path: Path, umask: int) -> None:
    cache = tmp_path / "cache"
    old = os.umask(umask)
    try:
        Folder(photos, SIDE, cache)
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in cache.iterdir()} == {0o666 & ~umask}


def test_two_folders_never_share(tmp_path: Path) -> None:
    """Equal names, sizes and times, as reproducible archives unpack them."""
    for seed in (0, 1):
        root = tmp_path / str(seed)
        root.mkdir()
        pixels = np.full((SIDE, SIDE, 3), seed, np.uint8)
        Image.fromarray(pixels).save(root / "a.bmp")
        os.utime(root / "a.bmp", ns=(0, 0))
    sources = [Folder(tmp_path / str(seed), SIDE, tmp_path / "cache") for seed in (0, 1)]
    assert [content(source).max() for source in sources] == [0, 1]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), suffix=st.sampled_from([".npy", ".json"]))
def test_damage_is_mended(photos: Path, tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    """Cut, grown, overwritten anywhere, or gone: the images come out right."""
    cache = tmp_path / "cache"
    expected = Folder(photos, SIDE, cache)
    pixels = content(expected)
    path = next(cache.glob(f"*{suffix}"))
    raw = path.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "grow", "flip", "gone", "garbage"]))
    if kind == "cut":
        damaged = raw[: data.draw(st.integers(0, len(raw) - 1))]
    elif kind == "grow":
        damaged = raw + data.draw(st.binary(min_size=1, max_size=9))
    elif kind == "flip":
        # in the index only its structure is checked: a letter of a label may well change
        last = len(raw) - 1 if suffix == ".npy" else raw.index(b'"labels"')
        position = data.draw(st.integers(0, last))
        damaged = raw[:position] + bytes([raw[position] ^ 0x15]) + raw[position + 1 :]
    else:
        damaged = data.draw(st.sampled_from([b"", b"PK\x03\x04", b"\x80\x04.", b"null", b"{}"]))
    temporary = path.with_suffix(".damaged")
    if kind == "gone":
        path.unlink()
    else:
        temporary.write_bytes(damaged)
        os.replace(temporary, path)
    again = Folder(photos, SIDE, cache)
    assert np.array_equal(content(again), pixels)
    assert again.skipped == expected.skipped
    path.unlink(missing_ok=True)


BUILD = """
import sys
from pathlib import Path
from cldis.data.folder import Folder
limit = int(sys.argv[3])
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    print(Folder(sys.argv[1], 8, Path(sys.argv[2])).fingerprint)
except OSError as error:
    print(error)
    sys.exit(2)
"""


def build(photos: Path, cache: Path, limit: int = 0) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", BUILD, str(photos), str(cache), str(limit)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_processes_building_at_once(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    builders = [build(photos, cache) for _ in range(4)]
    prints = {builder.communicate()[0].strip() for builder in builders}
    assert [builder.returncode for builder in builders] == [0] * 4
    assert prints == {Folder(photos, SIDE, cache).fingerprint}
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]


@pytest.mark.parametrize("limit", [64, 1000, 40 * 3 * SIDE * SIDE + 128])
def test_full_disk(photos: Path, tmp_path: Path, limit: int) -> None:
    """A file that cannot grow (in the header, in the pixels, in the index): nothing stays."""
    if limit > 1000:
        for index in range(400):  # an index longer than the array
            (photos / f"a_long_name_of_a_broken_file_{index:030d}.png").touch()
    cache = tmp_path / "cache"
    builder = build(photos, cache, limit)
    message = builder.communicate()[0].strip()
    assert builder.returncode == 2, message
    assert "cannot write the image cache" in message and "CLDIS_CACHE" in message
    assert "\n" not in message
    assert list(cache.iterdir()) == []


def test_cache_where_no_folder_can_be(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write the image cache"):
        Folder(photos, SIDE, tmp_path / "file" / "cache")


def test_killed_runs_are_swept_up(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    old, new = cache / ".old.tmp", cache / ".new.tmp"
    old.touch()
    new.touch()
    long_ago = time.time() - 2 * 86_400
    os.utime(old, (long_ago, long_ago))
    Folder(photos, SIDE, cache)
    assert not old.exists() and new.exists()


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "here"))
    assert default_cache_dir() == tmp_path / "here"
    monkeypatch.setenv("CLDIS_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache_dir() == tmp_path / ".cache" / "cldis"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # as the standard says: not valid
    assert default_cache_dir() == tmp_path / ".cache" / "cldis"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "xdg" / "cldis"
    monkeypatch.setenv("CLDIS_CACHE", "~/here")
    assert default_cache_dir() == tmp_path / "here"


def test_progress(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Folder(photos, SIDE, tmp_path / "quiet")
    assert capsys.readouterr().err == ""
    Folder(photos, SIDE, tmp_path / "loud", progress=True)
    captured = capsys.readouterr()
    assert captured.err.startswith("decoding: 41 of 41 images") and captured.out == ""


def test_what_does_not_fit_is_refused_before_it_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def items() -> Iterator[Item]:
        raise AssertionError("begun")
        yield

    with pytest.raises(OSError, match=r"are free of 12,288,000\.0 GB"):
        decoded_once(["huge"], items(), 10**12, 64, tmp_path, True, "; or so")
    said = capsys.readouterr().err
    assert f"the cache of decoded images takes 12,288,000.0 GB in {tmp_path}; or so" in said
    assert list(tmp_path.iterdir()) == []
