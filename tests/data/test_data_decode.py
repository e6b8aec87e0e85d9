"""One photo of every kind becomes a square of 8-bit RGB, or one line that says why not."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, features

from cldis.data.decode import decode_image, load_photo, to_photo
from support.command import refused

SIDE = 16


def photo(width: int = 40, height: int = 24, seed: int = 0) -> Image.Image:
    """A smooth, asymmetric RGB picture."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [columns * 255 / width, rows * 255 / height, (columns + 2 * rows + 40 * seed) % 256]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def reference(image: Image.Image, side: int = SIDE) -> np.ndarray:
    """Centre crop and resize of an RGB image, written the plain way."""
    least = min(image.size)
    left, top = (image.width - least) // 2, (image.height - least) // 2
    square = image.convert("RGB").crop((left, top, left + least, top + least))
    return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


def close(actual: np.ndarray, expected: np.ndarray, tolerance: int = 1) -> None:
    assert actual.dtype == np.uint8 and actual.shape == expected.shape
    assert actual.flags.c_contiguous
    assert np.abs(actual.astype(int) - expected.astype(int)).max() <= tolerance


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"])
def test_opaque_modes(mode: str) -> None:
    image = photo().convert("RGB").convert(mode)
    close(decode_image(image, SIDE), reference(image), tolerance=1)


@pytest.mark.parametrize(
    ("name", "mode", "tolerance"),
    [
        ("a.png", "RGB", 1),
        ("a.png", "L", 1),
        ("a.png", "1", 1),
        ("a.png", "P", 1),
        ("a.bmp", "RGB", 1),
        ("a.tif", "RGB", 1),
        ("a.tif", "CMYK", 1),
        ("a.jpg", "CMYK", 1),
        ("a.jpg", "L", 1),
        ("a.gif", "P", 1),
        ("a.ppm", "RGB", 1),
        ("a.avif", "RGB", 1),
        ("a.webp", "RGB", 1),
    ],
)
def test_formats(tmp_path: Path, name: str, mode: str, tolerance: int) -> None:
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow is built without WebP")
    if name.endswith("avif") and "avif" not in features.get_supported():
        pytest.skip("this Pillow is built without AVIF")
    photo().convert(mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as saved:
        expected = reference(saved)
    close(load_photo(tmp_path / name, SIDE), expected, tolerance)
    close(to_photo((tmp_path / name).read_bytes(), SIDE), expected, tolerance)
    with open(tmp_path / name, "rb") as file:
        close(to_photo(file, SIDE), expected, tolerance)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(tmp_path: Path, mode: str) -> None:
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 40).astype(np.uint8), (24, 1)))
    image = photo().convert(mode)
    image.putalpha(alpha)
    image.save(tmp_path / "a.png")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    close(load_photo(tmp_path / "a.png", SIDE), reference(white), tolerance=2)


def test_hidden_colour_does_not_bleed() -> None:
    """What lies under full transparency must not tint the edge next to it."""
    values = np.zeros((64, 64, 4), np.uint8)
    values[:, :32] = (255, 255, 255, 255)
    values[:, 32:] = (255, 0, 0, 0)
    assert decode_image(Image.fromarray(values), SIDE).min() == 255


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_transparent_palette(tmp_path: Path, name: str) -> None:
    image = Image.new("P", (SIDE, SIDE), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, SIDE, SIDE // 2))
    image.save(tmp_path / name, transparency=0)
    pixels = load_photo(tmp_path / name, SIDE)
    assert pixels[:, 0, 0].tolist() == [200, 100, 50]
    assert pixels[:, -1, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_transparent_colour_of_png(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (SIDE, SIDE), 0)
    image.save(tmp_path / "a.png", transparency=0 if mode == "L" else (0, 0, 0))
    assert load_photo(tmp_path / "a.png", SIDE).min() == 255


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bit(tmp_path: Path, name: str) -> None:
    """65535 is white, also where the picture never gets near it."""
    eight = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) // 2
    Image.fromarray(eight * 257).save(tmp_path / name)
    pixels = load_photo(tmp_path / name, SIDE)
    assert np.array_equal(pixels, np.repeat(eight[None].astype(np.uint8), 3, axis=0))


def test_sixteen_bit_big_endian(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE)
    image = Image.frombytes("I;16B", (SIDE, SIDE), ramp.astype(">u2").tobytes())
    close(decode_image(image, SIDE)[0], np.rint(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_white_of_deep_modes(tmp_path: Path, scale: float, dtype: type) -> None:
    if dtype is np.int32 and scale == 1.0:
        pytest.skip("integers do not run from 0 to 1")
    ramp = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    Image.fromarray((ramp * scale).astype(dtype)).save(tmp_path / "a.tif")
    close(load_photo(tmp_path / "a.tif", SIDE)[0], np.rint(ramp * 255).astype(np.uint8))


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e30, 1e30), st.floats(1e-3, 1e30))
def test_any_float_range_ends_in_8_bits(low: float, width: float) -> None:
    """No range overflows, and more light never becomes less."""
    ramp = np.linspace(low, low + width, SIDE * SIDE).astype(np.float32).reshape(SIDE, SIDE)
    pixels = decode_image(Image.fromarray(ramp), SIDE)[0].astype(int).ravel()
    assert (np.diff(pixels) >= 0).all()
    if low < -1e-3 and np.float32(low + width) > np.float32(low):
        assert pixels[0] == 0 and pixels[-1] == 255


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [-5.0, 1e30, 70_000.0])
def test_flat_image_outside_every_range(value: float) -> None:
    assert decode_image(Image.fromarray(np.full((9, 9), value, np.float32)), SIDE).max() == 0


def test_nan_and_infinity() -> None:
    values = np.full((SIDE, SIDE), 0.5, np.float32)
    values[0, :4] = [np.nan, np.inf, -np.inf, 1.0]
    values[1, 0] = 0.0
    pixels = decode_image(Image.fromarray(values), SIDE)[0]
    assert pixels[0, :4].tolist() == [0, 255, 0, 255] and pixels[5, 5] == 128
    with pytest.raises(ValueError, match="no finite pixel"):
        decode_image(Image.fromarray(np.full((SIDE, SIDE), np.nan, np.float32)), SIDE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_exif_orientation(tmp_path: Path, orientation: int, name: str) -> None:
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow is built without WebP")
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo().save(tmp_path / name, exif=exif)
    with Image.open(tmp_path / name) as saved:
        expected = reference(ImageOps.exif_transpose(saved))
    close(load_photo(tmp_path / name, SIDE), expected, tolerance=1)


def test_garbled_exif_spoils_nothing(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*garbage that is no directory")
    assert load_photo(tmp_path / "a.jpg", SIDE).shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_first_frame_of_animations(tmp_path: Path, name: str) -> None:
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow is built without WebP")
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("#c80000", "#00c800")]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert load_photo(tmp_path / name, SIDE)[:, 8, 8].tolist() == [200, 0, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([8, 16, 40, 64]))
def test_any_size(width: int, height: int, side: int) -> None:
    """Smaller, larger, one pixel wide: always the plain crop and resize."""
    image = photo(width, height)
    close(decode_image(image, side), reference(image, side), tolerance=1)


def test_antialiased() -> None:
    """A checkerboard of single pixels becomes an even grey, not a pattern."""
    board = ((np.indices((512, 512)).sum(axis=0) % 2) * 255).astype(np.uint8)
    pixels = decode_image(Image.fromarray(board), 64).astype(int)
    assert np.abs(pixels - 127).max() <= 2


def test_jpeg_is_not_decoded_at_full_size(tmp_path: Path) -> None:
    """The reduced decoding of big JPEGs stays near the full one."""
    big = photo(900, 700).resize((1800, 1400), Image.Resampling.BICUBIC)
    big.save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as saved:
        expected = reference(saved, 64)
    actual = load_photo(tmp_path / "a.jpg", 64)
    assert np.abs(actual.astype(int) - expected).mean() < 1.5


def test_decode_image_leaves_the_image_alone(tmp_path: Path) -> None:
    photo(400, 300).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        decode_image(image, SIDE)
        assert image.size == (400, 300) and image.mode == "RGB"


def huge_png(width: int, height: int) -> bytes:
    """A PNG of nothing but a header that claims this size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 10) + b"IDAT" + b"\x00" * 14


def saved(name: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    noise.save(buffer, name, **options)
    return buffer.getvalue()


BROKEN = {
    "empty.jpg": (b"", "empty"),
    "text.jpg": (b"this is no picture\n" * 9, "not an image"),
    "cut.jpg": (saved("JPEG")[:3000], "truncated"),
    "cut.png": (saved("PNG")[:3000], "cannot be decoded|truncated"),
    "cut.gif": (saved("GIF")[:3000], "cannot be decoded|truncated"),
    "cut.bmp": (saved("BMP")[:3000], "cannot be decoded|truncated"),
    "cut.tif": (saved("TIFF")[:3000], "cannot be decoded|not an image|truncated"),
    "bomb.png": (huge_png(60_000, 60_000), "too large: more than 179 megapixels"),
    "nearly.png": (huge_png(13_378, 13_378), "too large: more than 179 megapixels"),
    "header.png": (huge_png(64, 64), "cannot be decoded|truncated|not an image"),
    "none.png": (huge_png(0, 64), "no pixels|not an image|cannot be decoded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(tmp_path: Path, name: str) -> None:
    content, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        load_photo(path, SIDE)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=reason):
        to_photo(content, SIDE)


def test_allowed_size_within_pillows_limit(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Between Pillow's warning and the limit: decoded, without a word."""
    Image.new("1", (10_000, 9_000), 1).save(tmp_path / "a.png")
    assert load_photo(tmp_path / "a.png", 8).min() == 255
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8),
    st.integers(1, 2**16),
)
def test_damage_is_an_image_or_a_value_error(
    kind: str, changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(FILES[kind])
    for position, value in changes:
        content[position % len(content)] = value
    damaged = bytes(content[: max(1, length)])
    try:
        pixels = to_photo(damaged, SIDE)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert pixels.shape == (3, SIDE, SIDE) and pixels.dtype == np.uint8


FILES = {
    kind: saved(kind)
    for kind in ["JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM"]
    + (["WEBP"] if features.check("webp") else [])
}
FILES.setdefault("WEBP", FILES["PNG"])


def test_what_is_no_file(tmp_path: Path) -> None:
    refused(lambda: load_photo(tmp_path / "missing.jpg", SIDE), "no such file")
    refused(lambda: load_photo(tmp_path, SIDE), "folder")
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(lambda: load_photo(tmp_path / "pipe.jpg", SIDE), "not a regular file")


@pytest.mark.parametrize("resolution", [0, -8, 4, 7, 65, 1032, 64.0, True, "64"])
def test_resolution(tmp_path: Path, resolution: object) -> None:
    photo().save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="multiple of 8 from 8 to 1024"):
        load_photo(tmp_path / "a.png", resolution)  # type: ignore[arg-type]
