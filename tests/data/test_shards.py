"""Tar shards: any image at any time with nothing kept but an index, whatever is wrong with them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from cldis.data import load_photo, open_data
from cldis.data.shard_index import shard_files
from cldis.data.shards import BLOCK, Shards
from cldis.data.source import ImageSource
from cldis.data.split import split
from support.shards import EACH, SIDE, png, shard, shards


def everything(source: ImageSource) -> np.ndarray:
    return source.batch(np.arange(len(source)))


def expected(numbers: list[int], folder: Path) -> np.ndarray:
    images = []
    for number in numbers:
        (folder / "one.png").write_bytes(png(number))
        images.append(load_photo(folder / "one.png", SIDE))
    return np.stack(images)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_streamed_and_cached_images_are_those_of_the_files(tmp_path: Path, cache: Path) -> None:
    folder = shards(tmp_path / "many", 3)
    streamed, cached = (open_data(f"{start}{folder}", SIDE) for start in ("stream:", ""))
    pixels = expected(list(range(3 * EACH)), tmp_path)
    for source in (streamed, cached):
        assert len(source) == 3 * EACH and source.name == "many" and source.skipped == []
        assert np.array_equal(everything(source), pixels)
        assert [source.label(k) for k in (0, EACH, 35)] == [
            "000.tar/000000.png",
            "001.tar/000012.png",
            "002.tar/000035.png",
        ]
        assert source.factors(np.arange(3)).shape == (3, 0)
        with pytest.raises(ValueError, match=r"outside 0\.\.35"):
            source.batch(np.array([36]))
    assert len(list(cache.glob("*.npy"))) == 1  # of the one that is cached
    assert np.array_equal(streamed.batch(np.array([30, 1, 30])), pixels[[30, 1, 30]])
    assert streamed.batch(np.empty(0, int)).shape == (0, 3, SIDE, SIDE)


def test_the_index_outlives_damage_and_notices_other_images(tmp_path: Path, cache: Path) -> None:
    folder = shards(tmp_path / "many", 2)
    first = Shards(folder, SIDE)
    kept = sorted((cache / "shards").iterdir())
    assert len(kept) == 2  # one table, one description
    for path in kept:
        path.write_bytes(path.read_bytes()[:-9])
        assert Shards(folder, SIDE).fingerprint == first.fingerprint
    moved = folder.rename(tmp_path / "moved")
    assert Shards(moved, SIDE).fingerprint == first.fingerprint
    assert Shards(moved, 24).fingerprint != first.fingerprint
    content = (moved / "001.tar").read_bytes()  # the same sizes, one byte of one image differs
    changed = bytearray(content)
    changed[512 + 60] ^= 1
    (moved / "001.tar").write_bytes(changed)
    assert Shards(moved, SIDE).fingerprint != first.fingerprint


@pytest.mark.parametrize("words", ["{000..002}.tar", "{000,001,002}.tar", "*.tar", "00[0-2].tar"])
def test_patterns(tmp_path: Path, cache: Path, words: str) -> None:
    folder = shards(tmp_path / "many", 3)
    assert shard_files(str(folder / words)) == sorted(folder.iterdir())
    assert len(open_data(f"stream:{folder / words}", SIDE)) == 3 * EACH
    assert len(open_data(str(folder / words), SIDE)) == 3 * EACH


def test_names_of_no_shard_are_refused_in_a_line(tmp_path: Path, cache: Path) -> None:
    folder = shards(tmp_path / "many", 3)
    for words, why in [
        (f"stream:{tmp_path}/none", "names no .tar file"),
        ("stream:", "names no .tar file"),
        (f"stream:{folder}/x*.tar", "names no .tar file"),
        (f"stream:{folder}/{{000..003}}.tar", r"there is no .*003\.tar; name only"),
        (f"stream:{folder}/{{3..1}}.tar", "stands for -1 shards"),
        (f"stream:{folder}/{{0..99999999999}}.tar", "shards; 1 to 100,000 can be"),
        (f"stream:{shard(tmp_path / 'a' / 'x.tar', {'a.cls': b'1'}).parent}", "no image in it"),
    ]:
        with pytest.raises(ValueError, match=why):
            open_data(words, SIDE)


def test_bad_images_are_skipped_counted_and_listed(tmp_path: Path, cache: Path) -> None:
    """Another one stands in, always the same, and no held-out image for one of training."""
    bad = frozenset({0, 1, 17, 35})
    folder = shards(tmp_path / "many", 3, bad)
    source = open_data(f"stream:{folder}", SIDE)
    got, again = everything(source), open_data(f"stream:{folder}", SIDE)
    assert sorted(path for path, _ in source.skipped) == [
        f"{k // EACH:03d}.tar/{k:06d}.png" for k in sorted(bad)
    ]
    assert all("image" in reason for _, reason in source.skipped)
    held_out = set(split(36)[1].tolist())
    pixels = expected(list(range(36)), tmp_path)
    for k in range(36):
        assert np.array_equal(again.batch(np.array([k]))[0], got[k])
        matches = [j for j in range(36) if np.array_equal(pixels[j], got[k])]
        assert len(matches) == 1 and (matches[0] in held_out) == (k in held_out)
        assert k in bad or matches == [k]
    cached = open_data(str(folder), SIDE)
    assert len(cached) == 32 and sorted(cached.skipped) == sorted(source.skipped)


def test_no_image_at_all_can_be_decoded(tmp_path: Path, cache: Path) -> None:
    folder = shards(tmp_path / "many", 1, frozenset(range(EACH)))
    with pytest.raises(ValueError, match=r"no usable image in 1 shards \(000.tar/0000"):
        open_data(f"stream:{folder}", SIDE).batch(np.array([3]))
    with pytest.raises(ValueError, match=r"no usable image in 1 shards"):
        open_data(str(folder), SIDE)


def test_shards_that_are_not_whole(tmp_path: Path, cache: Path) -> None:
    """What can be read is used, and what is missing is listed."""
    folder = shards(tmp_path / "many", 8)
    whole = (folder / "000.tar").read_bytes()
    with tarfile.open(folder / "000.tar") as tar:
        members = tar.getmembers()
    cut = {
        "000.tar": whole[: members[10].offset_data + 20],  # inside image 5
        "001.tar": whole[: members[10].offset],  # between two members
        "002.tar": b"",
        "003.tar": whole[: members[10].offset] + b"x" * 1024,
        "004.tar": b"no tar at all" * 100,
        "005.tar": bytes(10240),  # what `tar` writes of no file
        "006.tar": whole[: members[10].offset + 100],  # inside a header
    }
    for name, content in cut.items():
        (folder / name).write_bytes(content)
    source = open_data(f"stream:{folder}", SIDE)
    assert len(source) == 4 * 5 + EACH
    names = [source.label(k) for k in range(len(source))]
    for name in ("000.tar", "001.tar", "003.tar", "006.tar"):
        assert [each for each in names if each.startswith(name)] == [
            f"{name}/{k:06d}.png" for k in range(5)
        ]
    reasons: dict[str, str] = {}
    for path, reason in source.skipped:
        reasons[path] = f"{reasons.get(path, '')}{reason}|"
    assert reasons["000.tar/000005.png"] == "the shard breaks off inside it|"
    assert "it was cut off; what lies before is used" in reasons["001.tar"]
    assert "broken at byte" in reasons["003.tar"]
    assert reasons["005.tar"] == "no image in it|"
    for name in ("002.tar", "004.tar", "006.tar"):
        assert name in reasons
    pixels = expected([*[*range(5)] * 4, *range(7 * EACH, 8 * EACH)], tmp_path)
    assert np.array_equal(everything(source), pixels)


def test_a_shard_that_vanishes_or_changes_while_it_is_in_use(tmp_path: Path, cache: Path) -> None:
    folder = shards(tmp_path / "many", 3)
    source = open_data(f"stream:{folder}", SIDE)
    before = everything(source)
    gone = (folder / "001.tar").rename(tmp_path / "001.tar")
    assert np.array_equal(source.batch(np.arange(12)), before[:12])
    with pytest.raises(OSError, match=r"001\.tar cannot be read any more .*put it back"):
        source.batch(np.array([14]))
    gone.rename(folder / "001.tar")  # renaming moves its last change, as copying it back would
    with pytest.raises(OSError, match=r"001\.tar was changed while it was in use"):
        source.batch(np.array([14]))
    again = open_data(f"stream:{folder}", SIDE)
    assert again.fingerprint == source.fingerprint
    assert np.array_equal(everything(again), before)


def test_a_thousand_small_shards(tmp_path: Path, cache: Path) -> None:
    content = png(0)
    for k in range(1000):
        shard(tmp_path / "many" / f"{k:04d}.tar", {"a.png": content, "a.json": b"{}"})
    source = open_data(f"stream:{tmp_path / 'many'}", SIDE)
    assert len(source) == 1000 and source.label(999) == "0999.tar/a.png"
    assert len(np.unique(source.batch(np.arange(0, 1000, 90)), axis=0)) == 1


def test_blocks_do_not_cross_shards(tmp_path: Path, cache: Path) -> None:
    members = {f"{k:04d}.png": b"?" for k in range(BLOCK + 3)}
    for name in "ab":
        shard(tmp_path / "many" / f"{name}.tar", members)
    source = Shards(tmp_path / "many", SIDE)
    blocks = source.blocks(np.arange(len(source)))
    assert np.array_equal(blocks, np.repeat([0, 1, 2, 3], [BLOCK, 3, BLOCK, 3]))


def test_a_folder_with_photos_is_a_folder_of_photos(tmp_path: Path, cache: Path) -> None:
    folder = shards(tmp_path / "many", 1)
    (folder / "photo.png").write_bytes(png(5))
    assert len(open_data(str(folder), SIDE)) == 1
    assert len(open_data(f"stream:{folder}", SIDE)) == EACH
