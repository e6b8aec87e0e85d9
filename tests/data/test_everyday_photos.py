"""Photos as people have them: large, with metadata of all programs, of odd depth and name."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin, features

from cldis.data import first_picture, load_photo
from cldis.data.decode import to_photo
from cldis.data.folder import Folder
from cldis.explorer.uploads import read_upload
from data.test_hostile_files import chunk, packed, picture, segment

SIDE = 16


@pytest.mark.parametrize("compressed", [True, False])
def test_png_with_a_workflow(compressed: bool) -> None:
    """Text of several megabytes, as image generators write it; Pillow alone refuses it."""
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", '{"node": 0.12345}' * 300_000, zip=compressed)
    text.add_itxt("prompt", "a picture " * 300_000, zip=compressed)
    content = picture("PNG", pnginfo=text)
    if compressed:
        with pytest.raises(ValueError, match="too large"):
            Image.open(io.BytesIO(content)).load()
    assert np.array_equal(to_photo(content, SIDE), to_photo(picture("PNG"), SIDE))


def test_png_with_a_large_profile() -> None:
    profile = bytes(3_000_000)
    content = picture("PNG")
    added = content[:33] + chunk(b"iCCP", b"icc\x00\x00" + zlib.compress(profile)) + content[33:]
    assert np.array_equal(to_photo(added, SIDE), to_photo(content, SIDE))


def large_jpeg(width: int, height: int, sof: int = 0xC0) -> bytes:
    """A grey JPEG of one scan, black above and white below."""
    wide, half = width // 8, height // 16
    same, change = "0", "10"  # codes of the mean of a block, against that of the block before
    end = "0"  # of the block
    black = change + f"{2**11 - 1 - 1024:011b}" + end + (same + end) * (wide * half - 1)
    white = change + f"{2040:011b}" + end + (same + end) * (wide * (height // 8 - half) - 1)
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\x00" + b"\x01" * 64)
        + segment(sof, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
        + segment(0xC4, b"\x00" + bytes([1, 1] + [0] * 14) + b"\x00\x0b")
        + segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\x00")
        + segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))
        + packed(black + white)
        + b"\xff\xd9"
    )


@pytest.mark.parametrize("size", [(12_000, 9_008), (16_320, 12_240)])
def test_photos_of_108_and_200_megapixels(size: tuple[int, int]) -> None:
    """In a process of its own: the most memory that it ever held shows what was decoded."""
    program = (
        "import resource, sys; from cldis.data.decode import to_photo;"
        "start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "found = to_photo(sys.stdin.buffer.read(), 16);"
        "print(found[:, 0].max(), found[:, -1].min(),"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)"
    )
    content = large_jpeg(*size)
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True)
    black, white, kilobytes = (int(word) for word in done.stdout.split())
    assert (black, white) == (0, 255)
    assert kilobytes * 1024 < size[0] * size[1] / 3  # bytes; whole, it has one a pixel


def test_what_cannot_be_reduced_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="too large: more than 179 megapixels"):
        to_photo(large_jpeg(16_320, 12_240, 0xC2), SIDE)  # progressive: held as a whole
    with pytest.raises(ValueError, match="too large: more than 512 megapixels"):
        to_photo(large_jpeg(60_000, 9_600), SIDE)
    with pytest.raises(ValueError, match="too large: more than 64 megapixels"):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))
        to_photo(picture("PNG")[:8] + header + picture("PNG")[33:], SIDE, max_pixels=64_000_000)


def test_uploads_take_phone_photos_too(tmp_path: Path) -> None:
    path = tmp_path / "sent" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(large_jpeg(12_000, 9_008))
    assert read_upload(path, SIDE).shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("most", [255, 4095, 65_535])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_bits_that_are_used(most: int, kind: str) -> None:
    """8, 12 or 16 bits in a file of 16: the greatest value tells the white."""
    ramp = np.linspace(0, most, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, kind)
    found = to_photo(buffer.getvalue(), SIDE)[0]
    assert np.abs(found - ramp * (255.0 / most)).max() <= 0.51


def test_a_tiff_of_packed_12_bits(tmp_path: Path) -> None:
    values = np.arange(0, 4096, 16).reshape(SIDE, SIDE)
    bits = "".join(f"{value:012b}" for value in values.ravel())
    pixels = int(bits, 2).to_bytes(len(bits) // 8, "big")
    entries = [(256, SIDE), (257, SIDE), (258, 12), (259, 1), (262, 1), (273, 128), (277, 1)]
    entries += [(278, SIDE), (279, len(pixels))]
    table = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table
    (tmp_path / "a.tif").write_bytes(head.ljust(128, b"\x00") + pixels)
    found = load_photo(tmp_path / "a.tif", SIDE)[0]
    assert np.abs(found - values * (255 / 4095)).max() <= 0.51


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("how", ["JPEG xmp", "PNG xmp", "PNG text", "PNG after", "WEBP", "AVIF"])
def test_the_way_up_is_kept(orientation: int, how: str) -> None:
    """Wherever a program writes it: the file that is decoded is a new one."""
    kind = how.split()[0]
    if kind.lower() not in ("jpeg", "png") and kind.lower() not in features.get_supported():
        pytest.skip(f"this Pillow is built without {kind}")
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "a camera of some name", orientation
    xmp = b'<x:xmpmeta><rdf tiff:Orientation="%d"/></x:xmpmeta>' % orientation
    text = PngImagePlugin.PngInfo()
    if how == "PNG xmp":
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif how == "PNG text":
        raw = exif.tobytes()
        text.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
    upright = to_photo(picture(kind, quality=95), SIDE)
    if how == "JPEG xmp":
        content = picture(kind, quality=95)
        content = content[:2] + segment(0xE1, first_picture.XMP + xmp) + content[2:]
    elif how == "PNG after":  # as some programs write it, behind the pixels
        content = picture(kind)[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + picture(kind)[-12:]
    elif kind == "PNG":
        content = picture(kind, pnginfo=text)
    else:
        content = picture(kind, quality=95, exif=exif)
    expected = Image.fromarray(upright.transpose(1, 2, 0))
    expected.getexif()[0x0112] = orientation
    turned = np.asarray(ImageOps.exif_transpose(expected)).transpose(2, 0, 1)
    found = to_photo(content, SIDE)
    assert np.abs(found.astype(int) - turned).max() <= 12  # AVIF is coded anew
    assert orientation == 1 or np.abs(found.astype(int) - upright).max() > 40


def test_a_film_behind_the_photo() -> None:
    """Motion photos and previews: what follows the picture is not looked at."""
    content = picture("JPEG")
    film = np.random.default_rng(0).bytes(2_000_000) + b"\xff\xda" * 100_000
    assert np.array_equal(to_photo(content + film, SIDE), to_photo(content, SIDE))


def test_names_that_begin_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-photos").mkdir()
    for name in ("-x.png", "--out", "-"):
        (tmp_path / "-photos" / name).write_bytes(picture("PNG"))
    monkeypatch.chdir(tmp_path)
    source = Folder("-photos", SIDE, tmp_path / "cache")
    assert [source.label(index) for index in range(3)] == ["-", "--out", "-x.png"]
