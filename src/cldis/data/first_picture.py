"""The first picture of an image file, without the rest of it.

A photo's file holds more than a photo: profiles, previews, films, whole workflows. Decoders stumble
over some of it (large text in a PNG) or can be kept busy with it for minutes (comments of a GIF,
EXIF entries that all point to the same bytes). So the decoder gets a file with nothing but the
first picture and, as a new EXIF block, the way up. The work of all functions here grows with the
length of the file alone.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PARTS = 200_000  # segments, chunks or blocks of one file
MAX_TEXT = 2**20  # bytes of a compressed EXIF block in a PNG
ORIENTATION = 0x0112  # the EXIF entry that says which way is up: 1 (as it is) to 8

JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # no stuffed zero, no filling, no RST0..7
JPEG_FRAMES = (0xC0, 0xC1, 0xC2)  # Huffman-coded: baseline, extended, progressive
JPEG_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
JPEG_KEPT = (*JPEG_FRAMES, 0xC4, 0xDB, 0xDD, 0xEE)  # tables, restart interval, Adobe's colours
SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
XMP = b"http://ns.adobe.com/xap/1.0/\x00"
XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")
PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Jpeg:
    """A JPEG without its metadata.

    Attributes:
        content: the file, from SOI to EOI (or to where it is cut off).
        pixels: width times height.
        scans: how often the decoder goes over the picture.
        by_rows: one scan of all colours, so the decoder holds some rows and not all coefficients.
    """

    content: bytes
    pixels: int
    scans: int
    by_rows: bool


def jpeg(content: bytes) -> Jpeg:
    """Walk over the markers, as libjpeg does, and count the scans.

    Raises:
        ValueError: a kind of JPEG that is not read, or too many segments.
    """
    kept = [b"\xff\xd8"]
    up = pixels = scans = colours = in_scan = 0
    progressive = False
    at = 2
    for _ in range(MAX_PARTS):
        found = JPEG_MARKER.search(content, at)
        if found is None or found[1][0] == EOI:
            kept.append(b"\xff\xd9" if found else b"")
            break
        marker, at = found[1][0], found.end()
        if marker < 0xC0 or marker == SOI:  # these hold nothing
            continue
        length = max(2, int.from_bytes(content[at : at + 2], "big"))
        body = content[at + 2 : at + length]
        segment = b"\xff" + found[1] + content[at : at + length]
        at += length
        if marker in JPEG_OTHER_FRAMES:
            raise ValueError(
                "a JPEG with lossless or arithmetic coding is not read; save it as an ordinary one"
            )
        if marker in JPEG_FRAMES and len(body) >= 6 and not pixels:
            height, width, colours = struct.unpack_from(">HHB", body, 1)
            pixels, progressive = height * width, marker == 0xC2
        if marker in JPEG_KEPT:
            kept.append(segment)
        elif marker == SOS:
            scans, in_scan = scans + 1, body[0] if body else 0
            following = JPEG_MARKER.search(content, at)
            end = following.start() if following else len(content)
            kept += [segment, content[at:end]]
            at = end
        elif marker == APP1 and body.startswith(b"Exif\x00\x00"):
            up = up or exif_orientation(body)
        elif marker == APP1 and body.startswith(XMP):
            up = up or _xmp_orientation(body)
    else:
        raise ValueError(_parts())
    if up > 1:
        block = b"Exif\x00\x00" + exif_block(up)
        kept.insert(1, b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block)
    by_rows = scans == 1 and not progressive and in_scan == colours
    return Jpeg(b"".join(kept), pixels, scans, by_rows)


def png(content: bytes) -> bytes:
    """Header, palette, transparency, pixels (as one chunk) and the way up.

    Raises:
        ValueError: too many chunks.
    """
    first: list[bytes] = []
    pixels: list[bytes] = []
    up, whole = 0, False
    for at, kind, length in _chunks(content, len(PNG_START), ">", 4):
        body = content[at : at + length]
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            first.append(content[at - 8 : at + length + 4])
        elif kind == b"eXIf":
            up = exif_orientation(body) or up
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            up = up or _text_orientation(kind, body)
        elif kind == b"IEND":
            whole = True
            break
    if up > 1:
        first.insert(1, _png_chunk(b"eXIf", exif_block(up)))
    if pixels:
        data = b"".join(pixels)
        # a cut file still ends within its pixels: the decoder is to notice
        first.append(_png_chunk(b"IDAT", data) if whole else _png_chunk(b"IDAT", data)[:-4])
    return PNG_START + b"".join(first) + (_png_chunk(b"IEND", b"") if whole else b"")


def gif(content: bytes) -> bytes:
    """Header, palette, and the first frame with the transparency that belongs to it.

    Raises:
        ValueError: too many blocks.
    """
    flags = content[10] if len(content) > 10 else 0
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    kept, control = content[:at], b""
    block = re.compile(rb"[\x21\x2c\x3b]")  # an extension, a frame, the end
    for _ in range(MAX_PARTS):
        found = block.search(content, at)
        if found is None or found[0] == b"\x3b":
            return kept
        start = found.start()
        if found[0] == b"\x2c":
            return kept + control + content[start:]
        at = start + 2
        for _ in range(MAX_PARTS):
            size = content[at] if at < len(content) else 0
            at += 1 + size
            if size == 0:
                break
        else:
            break
        if content[start + 1 : start + 2] == b"\xf9":
            control = content[start:at]
    raise ValueError(_parts())


def webp(content: bytes) -> bytes:
    """The same file with profile and XMP hidden, and only the way up left of EXIF.

    Raises:
        ValueError: too many chunks.
    """
    made = bytearray(content)
    for at, kind, length in _chunks(content, 12, "<", 0):
        if kind in (b"EXIF", b"XMP ", b"ICCP"):
            block = exif_block(exif_orientation(content[at : at + length]) or 1)
            fits = kind == b"EXIF" and len(block) <= length <= len(content) - at
            if fits:
                made[at : at + length] = block.ljust(length, b"\x00")
            else:
                made[at - 8 : at - 4] = b"none"
    return bytes(made)


def avif(content: bytes) -> bytes:
    """The same file with EXIF hidden: in an AVIF another property says which way is up.

    Raises:
        ValueError: too many boxes.
    """
    at = 0
    for _ in range(MAX_PARTS):
        size = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"meta":
            end = at + size if size else len(content)
            return content[:at] + content[at:end].replace(b"Exif", b"none") + content[end:]
        if size < 8 or at + size >= len(content):
            return content
        at += size
    raise ValueError(_parts())


def exif_orientation(block: bytes) -> int:
    """Which way is up, 1..8, by the first directory of an EXIF block; 0 where it does not say."""
    block = block.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block[:4])
    if order is None or len(block) < 10:
        return 0
    start = struct.unpack_from(order + "I", block, 4)[0]
    if start + 2 > len(block):
        return 0
    count = struct.unpack_from(order + "H", block, start)[0]
    end = min(start + 2 + 12 * count, len(block) - 11)
    for at in range(start + 2, end, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", block, at)
        if tag == ORIENTATION and length == 1 and kind in (3, 4):  # a short or a long integer
            value = int(struct.unpack_from(order + {3: "H", 4: "I"}[kind], block, at + 8)[0])
            return value if 1 <= value <= 8 else 0
    return 0


def exif_block(orientation: int) -> bytes:
    """An EXIF block that says nothing but which way is up."""
    return struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, ORIENTATION, 3, 1, orientation, 0)


def _xmp_orientation(text: bytes) -> int:
    found = XMP_ORIENTATION.search(text)
    return int(found[1]) if found else 0


def _text_orientation(kind: bytes, body: bytes) -> int:
    """Of a text chunk: XMP, or EXIF as ImageMagick writes it (hexadecimal, after two lines)."""
    name, _, text = body.partition(b"\x00")
    if kind == b"iTXt" and name == b"XML:com.adobe.xmp":
        return _xmp_orientation(text)
    if kind == b"iTXt" or name not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return 0
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], MAX_TEXT)
        lines = text[:MAX_TEXT].decode("ascii").split("\n")
        return exif_orientation(bytes.fromhex("".join(lines[3:])))
    except (ValueError, zlib.error):
        return 0


def _chunks(content: bytes, at: int, order: str, after: int) -> Iterator[tuple[int, bytes, int]]:
    """(start of the body, type, length) of the chunks of a PNG (`>`) or of a RIFF file (`<`)."""
    for _ in range(MAX_PARTS):
        if at + 8 > len(content):
            return
        if order == ">":
            length, kind = struct.unpack_from(">I4s", content, at)
        else:
            kind, length = struct.unpack_from("<4sI", content, at)
        yield at + 8, kind, length
        at += 8 + length + (after or length % 2)  # a checksum, or a byte that makes it even
    raise ValueError(_parts())


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", checksum)


def _parts() -> str:
    return f"made of more than {MAX_PARTS} parts; save it again with an image program"
