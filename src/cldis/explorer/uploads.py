"""What a stranger may send: a picture of a common format, of bounded size, by its content."""

from __future__ import annotations

import html
import re
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from cldis.data.decode import DRAFT, decode_image
from cldis.images import to_model

# Judged by content, never by name. Pillow reads many more, some through other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_BYTES = 20 * 2**20
MAX_PIXELS = 64_000_000
MAX_PHOTOS = 48  # at a time


def read_upload(path: str | Path, resolution: int) -> Tensor:
    """Decode an uploaded file: [3, resolution, resolution] in [-1, 1].

    Raises:
        ValueError: too large, empty, no picture of `FORMATS`, too many pixels, or broken.
    """
    return _decode(Path(path), resolution)


def shown_name(path: str | Path) -> str:
    """A file name that is safe in a page and as the name of a download."""
    stem = Path(str(path).replace("\\", "/")).stem
    return html.escape(re.sub(r"[^\w.-]+", "_", stem).strip("._")[:60]) or "photo"


def _decode(path: Path, resolution: int) -> Tensor:
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
    try:
        with Image.open(path, formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise ValueError(
                    f"The picture has {image.width} x {image.height} pixels; at most "
                    f"{MAX_PIXELS // 10**6} megapixels are taken. Send a smaller one."
                )
            image.draft("", (DRAFT * resolution, DRAFT * resolution))
            try:
                photo = decode_image(image, resolution)
            except ValueError as error:
                raise ValueError(f"The picture is broken: {error}.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        what = "has too many pixels" if isinstance(error, Image.DecompressionBombError) else ""
        raise ValueError(
            f"The file {what or 'is not a picture that can be read'}; send a JPEG, PNG, WebP, "
            f"GIF or BMP."
        ) from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"The picture is broken ({' '.join(str(error).split())}).") from None
    return to_model(photo[None])[0]
