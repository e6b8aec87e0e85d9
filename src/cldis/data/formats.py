"""Which image files are opened, by their content, and how much work one of them may be.

Pillow reads some forty formats. A few of them call other programs (EPS starts Ghostscript), many
are used by nearly nobody. So there is a list, and every file that is not ours is opened here:
photos, folders, Hub images and uploads.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from cldis.data import first_picture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
# fmt: off
EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
})
# fmt: on
MAX_PIXELS = 178_956_970  # held in memory while decoding; the limit of Pillow
MAX_JPEG_PIXELS = 512_000_000  # of a JPEG that is decoded row by row at a fraction of its size
MAX_SCANNED = 8_000_000_000  # pixels of a JPEG times its scans: about a second at the least
MAX_BYTES = 512 * 2**20  # of files that are taken into memory first
MAX_IN_PYTHON = 4_000_000  # bytes or pixels of what Pillow decodes value by value: some seconds
MAX_CLAIMED = 4  # how often the entries of a TIFF may claim the bytes of the file
_STARTS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (first_picture.PNG_START,),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    "PPM": tuple(b"P%d%c" % (kind, space) for kind in range(1, 7) for space in b" \t\r\n#"),
}
_PPM_HEADER = re.compile(  # kind, width, height and greatest value, comments between them
    rb"P([1-6])(?:(?:\s|#[^\n]*\n)+(?:\d+)){2}(?:(?:\s|#[^\n]*\n)+(\d{1,9}))?"
)
DRAFT = 2  # a JPEG may be decoded at a fraction of its size, but at no less than 2x the target
SNIFFED = 64  # bytes that tell the format


@dataclass(frozen=True)
class Opened:
    """An image that is ready to be decoded, and how many pixels that holds in memory."""

    image: Image.Image
    held: int


def kind_of(start: bytes) -> str | None:
    """The format of a file that begins with `start`: one of `FORMATS`, or None."""
    for name, signatures in _STARTS.items():
        if start.startswith(signatures):
            return name
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "AVIF"
    return None


@contextmanager
def open_image(
    source: bytes | BinaryIO | Path,
    side: int,
    formats: tuple[str, ...] = FORMATS,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Opened]:
    """Open an image that is to become `side` pixels wide; nothing is decoded yet.

    Args:
        source: the bytes of a file, an open binary file, or a path.
        side: a JPEG may come out at a fraction of its size, at least twice this.
        formats: a part of `FORMATS`.
        max_pixels: that may be held in memory.

    Raises:
        ValueError: not one of `formats`, too many pixels, or more work than a photo is.
        Exception: nearly anything, by Pillow's readers, on a broken file.
    """
    if isinstance(source, Path):
        with source.open("rb") as opened, open_image(opened, side, formats, max_pixels) as result:
            yield result
        return
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    kind = kind_of(file.read(SNIFFED))
    if kind not in formats:
        raise ValueError(f"not an image of a format that is read ({', '.join(formats)})")
    file.seek(0)
    jpeg = None
    if kind == "JPEG":
        jpeg = first_picture.jpeg(_all(file))
        if jpeg.pixels * jpeg.scans > MAX_SCANNED:
            raise ValueError(
                f"a JPEG of {jpeg.pixels / 1e6:.0f} megapixels in {jpeg.scans} scans is more work "
                "than any photo; save it again with an image program"
            )
        file = io.BytesIO(jpeg.content)
    elif kind in _STRIPPED:
        file = io.BytesIO(_STRIPPED[kind](_all(file)))
    elif kind == "TIFF":
        _check_tiff(file)
    elif kind == "BMP":
        _check_bmp(file)
    elif kind == "PPM":
        _check_ppm(file)
    file.seek(0)
    with _reader(kind)(file, "") as image:
        pixels = image.width * image.height
        if pixels < 1:
            raise ValueError(f"the image has no pixels ({image.width} x {image.height})")
        image.draft("", (DRAFT * side, DRAFT * side))
        held = pixels
        if jpeg is not None and jpeg.by_rows:
            held = image.width * image.height
            if pixels > MAX_JPEG_PIXELS:
                raise ValueError(too_large(MAX_JPEG_PIXELS))
        if held > max_pixels:
            raise ValueError(too_large(max_pixels))
        yield Opened(image, held)


def too_large(max_pixels: int = MAX_PIXELS) -> str:
    """The reason that an image of too many pixels is refused."""
    return f"too large: more than {max_pixels / 1e6:.0f} megapixels"


_STRIPPED: dict[str, Callable[[bytes], bytes]] = {
    "PNG": first_picture.png,
    "GIF": first_picture.gif,
    "WEBP": first_picture.webp,
    "AVIF": first_picture.avif,
}


def _reader(kind: str) -> Callable[[BinaryIO, str], Image.Image]:
    """Pillow's reader itself: `Image.open` has its own limit of pixels, before any draft."""
    Image.preinit()
    if kind not in Image.OPEN:
        Image.init()
    if kind not in Image.OPEN:
        raise ValueError(f"this Pillow is built without {kind}; convert it to .jpg or .png")
    return Image.OPEN[kind][0]


def _all(file: BinaryIO) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"too large: more than {MAX_BYTES // 2**20} MB")
    return content


def _check_bmp(file: BinaryIO) -> None:
    """Refuse large run-length pictures: two bytes may stand for a row."""
    header = file.read(34)
    if len(header) < 34:
        return  # too short for any; Pillow says so
    width, height, _, _, compression = struct.unpack_from("<iiHHI", header, 18)
    work = abs(width * height) + file.seek(0, os.SEEK_END)
    if compression in (1, 2) and work > MAX_IN_PYTHON:
        raise ValueError("a BMP with run lengths of that size is not read; save it as a PNG")


def _check_ppm(file: BinaryIO) -> None:
    """Refuse a large file of text, or one whose greatest value is not that of 8 or 16 bits."""
    found = _PPM_HEADER.match(file.read(2**12))
    fast = found and (
        found[1] == b"4" or (found[1] in b"56" and int(found[2] or 0) in (255, 65535))
    )
    if not fast and file.seek(0, os.SEEK_END) > MAX_IN_PYTHON:
        raise ValueError(
            f"a PPM of more than {MAX_IN_PYTHON // 10**6} MB is read only with binary values and a "
            "greatest value of 255 or 65535; save it as a PNG"
        )


def _check_tiff(file: BinaryIO) -> None:
    """Refuse entries that all claim the same bytes, as Pillow copies each, and oversized tiles."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(16)
    order, big = ("<" if start[:2] == b"II" else ">"), start[2:4] in (b"+\x00", b"\x00+")
    offset, number, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    try:
        file.seek(struct.unpack_from(order + offset, start, 8 if big else 4)[0])
        size = struct.calcsize(order + number)
        entries = struct.unpack(order + number, file.read(size))[0]
        claimed, size, tile = 0, struct.calcsize(order + entry), 1
        for _ in range(min(entries, length // size)):
            tag, kind, count, value = struct.unpack(order + entry, file.read(size))
            claimed += min(count * _TIFF_BYTES.get(kind, 1), length)
            if claimed > MAX_CLAIMED * length + 2**16:
                raise ValueError("a TIFF whose entries claim more bytes than it has is not read")
            if tag in (0x142, 0x143):  # width and height of a tile, at the start of the value
                number_bytes = value[: _TIFF_BYTES.get(kind, 1)]
                tile *= int.from_bytes(number_bytes, "little" if order == "<" else "big")
                if tile > MAX_PIXELS:
                    raise ValueError(too_large())
    except (struct.error, OSError, OverflowError):
        return  # no directory there: Pillow says so


# bytes of a value, by the type of a TIFF entry
_TIFF_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
