"""One photo, whatever its format, as a square of 8-bit RGB."""

from __future__ import annotations

import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from cldis.data.formats import FORMATS, MAX_PIXELS, open_image, too_large
from cldis.data.source import check_resolution

VERSION = 2  # raise it whenever the same file decodes to other pixels
LARGE_PIXELS = 16_000_000  # images from here on are decoded one at a time, to bound the memory
BAND_PIXELS = 1_000_000
WHITES = (255, 4095, 65535)  # of integers: 8, 12 or 16 bits, by the greatest value

_large_image = threading.RLock()

# EXIF orientation -> what makes the picture upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_photo(path: str | Path, resolution: int) -> NDArray[np.uint8]:
    """Read a photo from disk: uint8 [3, resolution, resolution], RGB in 0..255.

    The formats of `cldis.data.formats`, by content and not by name. The picture is turned upright
    (EXIF), cropped to the centre square and resized with an antialiasing filter; transparency
    becomes white, deep greyscale becomes 8 bit, of an animation the first frame counts. Colour
    profiles are not applied.

    Raises:
        ValueError: missing, broken, truncated, empty, no image, too large, or a resolution that
            is no multiple of 8 in 8..1024.
    """
    check_resolution(resolution)
    with quiet():
        try:
            return to_photo(Path(path), resolution)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; give a photo such as a .jpg or .png") from None


def to_photo(
    source: bytes | BinaryIO | Path,
    resolution: int,
    formats: tuple[str, ...] = FORMATS,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """As `load_photo`, from the bytes of a file, an open binary file or a path.

    `formats` and `max_pixels` (held in memory) are for those who take less than every photo.

    Raises:
        ValueError: the reason alone, in words, without a file name.
    """
    try:
        if isinstance(source, Path):
            _check_file(source)
        elif isinstance(source, bytes) and not source:
            raise ValueError("the file is empty")
        with open_image(source, resolution, formats, max_pixels) as opened:
            large = opened.held >= LARGE_PIXELS
            with _large_image if large else nullcontext():
                return decode_image(opened.image, resolution)
    except Exception as error:  # Pillow's readers raise nearly everything on broken files
        raise ValueError(_reason(error)) from None


def decode_image(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """As `load_photo`, from an opened Pillow image: uint8 [3, resolution, resolution].

    Raises:
        ValueError: the reason alone, in words.
    """
    check_resolution(resolution)
    try:
        _check_size(image)
        large = image.width * image.height >= LARGE_PIXELS
        with _large_image if large else nullcontext():
            image.load()
            upright = _UPRIGHT.get(_orientation(image))  # after load(): some readers turn by then
            small = _resize(_plain(_centre_square(image)), resolution)
    except Exception as error:
        raise ValueError(_reason(error)) from None
    if upright is not None:
        small = small.transpose(upright)
    pixels = np.asarray(small)
    if small.mode == "RGBa":  # colour already times alpha: only the white behind is missing
        deep = pixels[..., :3].astype(np.uint16) + (255 - pixels[..., 3:].astype(np.uint16))
        pixels = np.minimum(deep, 255).astype(np.uint8)
    elif small.mode == "L":
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    assert pixels.shape == (resolution, resolution, 3) and pixels.dtype == np.uint8
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings on odd files. For one thread at a time: enter it around a pool."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_file(path: Path) -> None:
    """Refuse what would not end well when opened: folders, pipes, nothing at all."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("this is a folder, not a photo")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size == 0:
        raise ValueError("the file is empty")


def _check_size(image: Image.Image) -> None:
    """Judge the size of an image before a pixel of it is decoded."""
    pixels = image.width * image.height
    if pixels < 1:
        raise ValueError(f"the image has no pixels ({image.width} x {image.height})")
    if pixels > MAX_PIXELS:
        raise ValueError(too_large())


def _reason(error: Exception) -> str:
    """Why a file cannot be used, in one line of words."""
    text = " ".join(str(error).split()) or type(error).__name__
    match error:
        case FileNotFoundError():
            return "no such file"
        case PermissionError():
            return "no permission to read it"
        case MemoryError():
            return "needs more memory than there is"
        case ValueError():
            return text
        case _:
            return f"cannot be decoded ({text})"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 (upright) where there is none or it is garbled."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a garbled EXIF block spoils no pixel
        return 1
    return value if isinstance(value, int) else 1


def _centre_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.size == (side, side):
        return image
    return image.crop((left, top, left + side, top + side))


def _plain(image: Image.Image) -> Image.Image:
    """The image in one of the modes L, RGB and RGBa (colour times alpha), all 8 bit."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _to_8_bit(image)
    if image.has_transparency_data:
        if image.mode not in ("RGBA", "RGBa"):
            image = image.convert("RGBA")
        return image.convert("RGBa") if image.mode == "RGBA" else image
    if image.mode in ("L", "1"):
        return image.convert("L")
    return image.convert("RGB")


def _resize(square: Image.Image, resolution: int) -> Image.Image:
    """Antialiased: means over blocks down to about 3x the target, a Lanczos filter from there."""
    while square.width >= 16 * 3 * resolution:
        square = square.reduce(16)  # in steps: Pillow's mean over very large blocks comes out dark
    size = (resolution, resolution)
    return square.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Deep greyscale as L.

    A file of 16 bits does not say how many of them its camera used, so the values do: white is 1
    (floats only), 255, 4095 (12 bits) or 65535, the least that no value exceeds. Anything else,
    negative values included, is stretched from its least to its greatest value.
    """
    low, high = np.inf, -np.inf
    for band in _bands(image):
        finite = band[np.isfinite(band)]
        low, high = min(low, finite.min(initial=low)), max(high, finite.max(initial=high))
    if low > high:
        raise ValueError("the image has no finite pixel value")
    whites = (1, *WHITES) if image.mode == "F" else WHITES
    black, white = low, high
    if low >= 0 and high <= whites[-1]:
        black, white = 0.0, float(next(step for step in whites if high <= step))
    grey = np.empty((image.height, image.width), np.uint8)
    span = (white - black) or 1.0
    top = 0
    for band in _bands(image):
        band = np.nan_to_num(band, nan=low, posinf=high, neginf=low)
        scaled = (band - black) * (255 / span)
        grey[top : top + len(band)] = np.clip(np.rint(scaled), 0, 255)
        top += len(band)
    return Image.fromarray(grey)


def _bands(image: Image.Image) -> Iterator[NDArray[np.float64]]:
    """The values of a one-channel image, [rows, width], a few rows at a time (for the memory)."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield np.asarray(image.crop(box)).astype(np.float64)
