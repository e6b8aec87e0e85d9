"""Files that were made to keep a decoder busy, to fill the memory or to start another program."""

from __future__ import annotations

import io
import shutil
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from cldis.data import load_photo
from cldis.data.decode import to_photo
from cldis.data.first_picture import MAX_PARTS
from cldis.data.folder import Folder
from cldis.data.formats import FORMATS, kind_of
from support.command import refused

SIDE = 16
SECONDS = (
    3.0  # on a busy machine; each takes under half of that, or minutes where it is not stopped
)


def picture(kind: str, side: int = 48, **options: object) -> bytes:
    rows, columns = np.mgrid[0:side, 0:side]
    planes = np.stack([columns, rows, columns + rows], -1) * 255 // (2 * side)
    buffer = io.BytesIO()
    Image.fromarray(planes.astype(np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


def plain(kind: str) -> np.ndarray:
    return to_photo(picture(kind), SIDE)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def many_scans(side: int, scans: int) -> bytes:
    """A grey progressive JPEG: the mean of every block, then `scans` times nothing for the rest."""
    blocks = (side // 8) ** 2
    one_code = bytes([1] + [0] * 15)  # a Huffman table of one code, "0"
    runs = "0" + "1" * 14  # nothing in the next 32,767 blocks
    rest = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + packed(runs * (blocks // 32_767 + 1))
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\x00" + b"\x10" * 64)
        + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\x00")
        + segment(0xC4, b"\x00" + one_code + b"\x00")
        + segment(0xC4, b"\x10" + one_code + b"\xe0")
        + segment(0xDA, bytes([1, 1, 0, 0, 0, 0]))
        + packed("0" * blocks)
        + rest * scans
        + b"\xff\xd9"
    )


def packed(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")


def in_time(content: bytes) -> np.ndarray | str:
    """The photo or the reason, in `SECONDS` of this process."""
    start = time.process_time()
    try:
        return to_photo(content, SIDE)
    except ValueError as error:
        return str(error)
    finally:
        assert time.process_time() - start < SECONDS


def test_scans_are_bounded_by_the_size_of_the_picture(tmp_path: Path) -> None:
    bomb = many_scans(8000, 2400)
    assert len(bomb) < 400_000
    reason = in_time(bomb)
    assert isinstance(reason, str) and "64 megapixels in 2401 scans" in reason
    assert isinstance(in_time(many_scans(8000, 30)), np.ndarray)
    assert isinstance(in_time(many_scans(256, 2400)), np.ndarray)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bomb.jpg").write_bytes(bomb)
    (tmp_path / "photos" / "good.jpg").write_bytes(picture("JPEG"))
    source = Folder(tmp_path / "photos", SIDE, tmp_path / "cache")
    assert len(source) == 1 and "scans" in dict(source.skipped)["bomb.jpg"]


@pytest.mark.parametrize("hidden", [b"\xff\xff", b"junk", b"\xff\x01"])
def test_scans_cannot_hide_from_the_count(hidden: bytes) -> None:
    """Filling, junk and markers without content between the scans, as libjpeg skips them."""
    bomb = many_scans(8000, 2400)
    reason = in_time(bomb.replace(b"\xff\xda", hidden + b"\xff\xda"))
    assert isinstance(reason, str) and "2401 scans" in reason


def test_progressive_photos_pass() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", progressive=True, quality=95, restart_marker_blocks=2)
    ours = to_photo(buffer.getvalue(), SIDE)
    with Image.open(buffer) as image:
        image.draft("", (2 * SIDE, 2 * SIDE))
        expected = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    assert np.array_equal(ours, expected.transpose(2, 0, 1))


def exif_of_copies(entries: int, length: int) -> bytes:
    """A TIFF directory whose entries all claim the same `length` bytes."""
    rows = [struct.pack("<HHII", 1 + index, 7, length, 8) for index in range(entries)]
    return struct.pack("<2sHIH", b"II", 42, 8, entries) + b"".join(rows) + bytes(length)


def large_tile(side: int) -> bytes:
    """A TIFF of 16 x 16 pixels, in one tile of `side` x `side`, compressed a thousand times."""
    packer, row = zlib.compressobj(1), bytes(side * 100)
    data = b"".join(packer.compress(row) for _ in range(0, side, 100)) + packer.flush()
    entries = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), (322, side)]
    entries += [(323, side), (324, 256), (325, len(data))]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return (struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table).ljust(256, b"\0") + data


def avif_of_copies() -> bytes:
    """An AVIF whose EXIF block is one of `exif_of_copies`."""
    exif = Image.Exif()
    exif[0x0110] = "x" * 3_010_000
    content = picture("AVIF", exif=exif)
    text = content.index(b"x" * 1000)
    start = max(content.rfind(order, 0, text) for order in (b"II*\0", b"MM\0*"))
    block = exif_of_copies(300, 3_000_000)
    return content[:start] + block + content[start + len(block) :]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def inside(kind: str, addition: bytes) -> bytes:
    """The picture with something added before its pixels."""
    content = picture(kind)
    at = {"JPEG": 2, "PNG": 33, "GIF": 13 + 3 * 256}[kind]
    return content[:at] + addition + content[at:]


GOOD: dict[str, Callable[[], tuple[bytes, str]]] = {
    "gif comment": lambda: (
        inside("GIF", b"\x21\xfe" + (b"\xff" + b"a" * 255) * 20_000 + b"\x00"),
        "GIF",
    ),
    "gif junk": lambda: (inside("GIF", b"\x01" * 5_000_000), "GIF"),
    "avif exif": lambda: (avif_of_copies(), "AVIF"),
    "png exif": lambda: (inside("PNG", chunk(b"eXIf", exif_of_copies(300, 3_000_000))), "PNG"),
    "png pieces": lambda: (
        picture("PNG")[:33] + chunk(b"IDAT", b"") * 50_000 + picture("PNG")[33:],
        "PNG",
    ),
    "jpeg exif": lambda: (
        inside(
            "JPEG",
            b"".join(
                segment(0xE1, b"Exif\x00\x00" + part)
                for whole in [exif_of_copies(300, 3_000_000)]
                for part in (whole[at : at + 65_000] for at in range(0, len(whole), 65_000))
            ),
        ),
        "JPEG",
    ),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "jpeg parts": (lambda: inside("JPEG", b"\xff\xfe\x00\x02" * (MAX_PARTS + 1)), "parts"),
    "png parts": (lambda: inside("PNG", chunk(b"IDAT", b"") * (MAX_PARTS + 1)), "parts"),
    "gif parts": (lambda: inside("GIF", b"\x21\xfe\x01a\x00" * (MAX_PARTS + 1)), "parts"),
    "tiff entries": (lambda: exif_of_copies(300, 3_000_000), "claim more bytes"),
    "tiff tile": (lambda: large_tile(14_000), "too large"),
    "ppm values": (lambda: b"P5 3000 3000 4095\n" + bytes(18_000_000), "binary values"),
    "ppm text": (lambda: b"P2 # of grey\n3000 3000 255\n" + b"9 " * 9_000_000, "binary values"),
    "ppm 15 MB": (lambda: b"P2\n2700 2700 255\n" + b"9 " * 2700**2, "more than 4 MB"),
    "ppm deep": (lambda: b"P6 1500 1500 100\n" + bytes(3 * 1500**2), "more than 4 MB"),
    "bmp rows": (
        lambda: (
            b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 8000, 8000, 1, 8, 1) + bytes(20_000)
        ),
        "run lengths",
    ),
    "arithmetic": (
        lambda: b"\xff\xd8" + segment(0xC9, struct.pack(">BHHB", 8, 8000, 8000, 1) + b"\x01\x11\0"),
        "arithmetic",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_the_picture_comes_out_of_the_rest(name: str) -> None:
    if name.startswith("avif") and "avif" not in features.get_supported():
        pytest.skip("this Pillow is built without AVIF")
    content, kind = GOOD[name]()
    tracemalloc.start()
    try:
        found = in_time(content)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10 * len(content)
    assert isinstance(found, np.ndarray), found
    assert np.array_equal(found, plain(kind))


@pytest.mark.parametrize("name", REFUSED)
def test_more_work_than_a_photo_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    reason = in_time(make())
    assert isinstance(reason, str) and words in reason and "\n" not in reason


@pytest.mark.parametrize(
    "kind", ["EPS", "PDF", "TGA", "PCX", "ICO", "IM", "SGI", "DDS", "JPEG2000", "XBM", "MSP"]
)
def test_other_formats_are_refused_under_every_name(tmp_path: Path, kind: str) -> None:
    image = Image.new({"XBM": "1", "MSP": "1"}.get(kind, "RGB"), (SIDE, SIDE))
    image.save(tmp_path / "made", kind)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("holiday.jpg", "holiday", "a.png", "a.tif", "a.ppm"):
        shutil.copy(tmp_path / "made", photos / name)
        refused(partial(load_photo, photos / name, SIDE), "not an image of a format that is read")
    refused(lambda: Folder(photos, SIDE, tmp_path / "cache"), "no usable image among 5 files")


def test_an_eps_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `gs` that would leave a trace, first on the PATH."""
    trace = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # looked for once a process
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "holiday.jpg", "EPS")
    with Image.open(tmp_path / "holiday.jpg") as image, pytest.raises(OSError):
        image.load()
    assert trace.exists()  # so Pillow alone would start it
    trace.unlink()
    refused(lambda: load_photo(tmp_path / "holiday.jpg", SIDE), "not an image")
    assert not trace.exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_are_told_by_content(kind: str) -> None:
    if kind == "AVIF" and "avif" not in features.get_supported():
        pytest.skip("this Pillow is built without AVIF")
    content = picture(kind)
    assert kind_of(content) == kind
    for other in set(FORMATS) - {kind}:
        refused(partial(to_photo, content, SIDE, (other,)), "not an image")
