"""One photo, whatever its format, as a square of 8-bit RGB."""

from __future__ import annotations

import io
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from cldis.data.source import check_resolution

VERSION = 1  # raise it whenever the same file decodes to other pixels
MAX_PIXELS = 178_956_970  # beyond this an image counts as a decompression bomb (as in Pillow)
LARGE_PIXELS = 16_000_000  # images from here on are decoded one at a time, to bound the memory
BAND_PIXELS = 1_000_000
DRAFT = 2  # a JPEG may be decoded at a fraction of its size, but at no less than 2x the target

_large_image = threading.Lock()

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

    Every format Pillow reads. The picture is turned upright (EXIF), cropped to the centre square
    and resized with an antialiasing filter; transparency becomes white, deep greyscale becomes
    8 bit, of an animation the first frame counts. Colour profiles are not applied.

    Raises:
        ValueError: missing, broken, truncated, empty, no image, too large, or a resolution that
            is no multiple of 8 in 8..1024.
    """
    check_resolution(resolution)
    with quiet():
        try:
            return to_photo(Path(path), resolution)
        except ValueError as error:
            raise ValueError(
                f"{path}: {error}; give a photo that Pillow reads, such as a .jpg or .png"
            ) from None


def to_photo(source: bytes | BinaryIO | Path, resolution: int) -> NDArray[np.uint8]:
    """As `load_photo`, from the bytes of a file, an open binary file or a path.

    Raises:
        ValueError: the reason alone, in words, without a file name.
    """
    try:
        if isinstance(source, Path):
            _check_file(source)
        elif isinstance(source, bytes):
            if not source:
                raise ValueError("the file is empty")
            source = io.BytesIO(source)
        with Image.open(source) as image:
            _check_size(image)
            image.draft("", (DRAFT * resolution, DRAFT * resolution))
            return decode_image(image, resolution)
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
            small = _resize(_plain(_centre_square(image), image.format), resolution)
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
    """Judge the size that the header claims, before a pixel is decoded."""
    pixels = image.width * image.height
    if pixels < 1:
        raise ValueError(f"the image has no pixels ({image.width} x {image.height})")
    if pixels > MAX_PIXELS:
        raise Image.DecompressionBombError


def _reason(error: Exception) -> str:
    """Why a file cannot be used, in one line of words."""
    text = " ".join(str(error).split()) or type(error).__name__
    match error:
        case UnidentifiedImageError():
            return "not an image, or of a format that Pillow does not read"
        case Image.DecompressionBombError():
            return f"too large: more than {MAX_PIXELS / 1e6:.0f} megapixels"
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


def _plain(image: Image.Image, file_format: str | None) -> Image.Image:
    """The image in one of the modes L, RGB and RGBa (colour times alpha), all 8 bit."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _to_8_bit(image, file_format)
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


def _to_8_bit(image: Image.Image, file_format: str | None) -> Image.Image:
    """Deep greyscale as L.

    16-bit images are divided by 257, so that 65535 becomes 255. The modes I and F do not say
    what their white is, so the values do: up to 1 (F only), up to 255, up to 65535; anything else,
    negative values included, is stretched from its least to its greatest value.
    """
    low, high = np.inf, -np.inf
    for band in _bands(image):
        finite = band[np.isfinite(band)]
        low, high = min(low, finite.min(initial=low)), max(high, finite.max(initial=high))
    if low > high:
        raise ValueError("the image has no finite pixel value")
    sixteen_bit = image.mode.startswith("I;16") or (
        image.mode == "I" and file_format in ("PNG", "PPM")
    )
    black, white = 0.0, 255.0
    if sixteen_bit or (low >= 0 and 255 < high <= 65535):
        white = 65535.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        white = 1.0
    elif low < 0 or high > 255:
        black, white = low, high
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
