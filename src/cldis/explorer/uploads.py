"""What a stranger may send: a picture of a common format, of bounded size, by its content."""

from __future__ import annotations

import html
import re
from pathlib import Path

from torch import Tensor

from cldis.data.decode import to_photo
from cldis.data.formats import SNIFFED, kind_of
from cldis.images import to_model

# Judged by content, never by name; a part of `cldis.data.formats.FORMATS`.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_BYTES = 20 * 2**20
MAX_PIXELS = 64_000_000  # held while decoding
MAX_PHOTOS = 48  # at a time


def read_upload(path: str | Path, resolution: int) -> Tensor:
    """Decode an uploaded file: [3, resolution, resolution] in [-1, 1].

    Raises:
        ValueError: too large, empty, no picture of `FORMATS`, too many pixels, or broken.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError:
        raise ValueError(
            "The file was gone before it could be read; please send it again."
        ) from None
    if size > MAX_BYTES:
        raise ValueError(
            f"The file has {size / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB are taken."
        )
    if size == 0:
        raise ValueError("The file is empty; send a picture.")
    with path.open("rb") as file:
        kind = kind_of(file.read(SNIFFED))
    if kind not in FORMATS:
        raise ValueError(
            "The file is not a picture that can be read; send a JPEG, PNG, WebP, GIF or BMP."
        )
    try:
        photo = to_photo(path, resolution, FORMATS, MAX_PIXELS)
    except ValueError as error:
        raise ValueError(f"The picture cannot be used: {error}. Send another one.") from None
    return to_model(photo[None])[0]


def shown_name(path: str | Path) -> str:
    """A file name that is safe in a page and as the name of a download."""
    stem = Path(str(path).replace("\\", "/")).stem
    return html.escape(re.sub(r"[^\w.-]+", "_", stem).strip("._")[:60]) or "photo"
