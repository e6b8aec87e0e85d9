"""Small helpers for pictures of tensors."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from cldis.io import write_bytes

SHOWN_SIDE = 96  # pixels; pages show larger pictures reduced to this, so that they stay small


def to_uint8(images: Tensor) -> Tensor:
    """[-1, 1] to 0..255, uint8, clipped."""
    return ((images.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_model(images: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8 [n, 3, H, W] -> float32 in [-1, 1]."""
    return from_uint8(sent(np.array(images), device))


def sent(array: np.ndarray, device: torch.device | str) -> Tensor:
    """An array as a tensor on `device`; a GPU fetches it later, and nobody waits for that."""
    tensor = torch.from_numpy(array)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def from_uint8(images: Tensor) -> Tensor:
    """uint8 of any shape to float32 in [-1, 1], on the same device."""
    return images.float().div_(127.5).sub_(1)


def grid(cells: Tensor, gap: int = 2, clear: bool = False) -> Image.Image:
    """cells [rows, columns, 3, H, W] in [-1, 1] -> one picture with white gaps, or `clear` ones."""
    rows, columns, _, height, width = cells.shape
    shape = (3 + clear, rows * (height + gap) + gap, columns * (width + gap) + gap)
    page = torch.full(shape, 255, dtype=torch.uint8)
    page[3:] = 0
    for r, row in enumerate(to_uint8(cells)):
        for c, cell in enumerate(row):
            top, left = gap + r * (height + gap), gap + c * (width + gap)
            place = page[:, top : top + height, left : left + width]
            place[:3], place[3:] = cell, 255
    return Image.fromarray(page.permute(1, 2, 0).numpy())


def in_rows(images: Tensor, columns: int = 8) -> Tensor:
    """Images [n, 3, H, W] as cells [rows, columns, 3, H, W], the last ones white where n ends."""
    columns = min(columns, len(images))
    white = torch.ones(-len(images) % columns, *images.shape[1:])
    return torch.cat([images, white]).unflatten(0, (-1, columns))


def reduced(cells: Tensor, side: int = SHOWN_SIDE) -> Tensor:
    """Pictures [..., 3, H, W] with sides of at most `side` pixels, by averaging."""
    if cells.shape[-1] <= side:
        return cells
    small = F.interpolate(cells.flatten(0, -4), size=(side, side), mode="area")
    return small.unflatten(0, cells.shape[:-3])


def enlarged(cells: Tensor, side: int) -> Tensor:
    """Pictures [..., 3, H, W] whose pixels are repeated until a side has at least `side`."""
    times = max(1, -(-side // cells.shape[-1]))
    return cells.repeat_interleave(times, dim=-1).repeat_interleave(times, dim=-2)


def png_bytes(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def data_uri(kind: str, data: bytes) -> str:
    """Bytes as an address of their own, so that a page needs no file beside it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def png_uri(picture: Image.Image) -> str:
    return data_uri("image/png", png_bytes(picture))


def save_png(picture: Image.Image, path: str | Path) -> None:
    """Write a PNG atomically."""
    write_bytes(path, png_bytes(picture))


def captioned(
    picture: Image.Image, columns: list[str], rows: list[str] | None = None
) -> Image.Image:
    """Add a caption over each of evenly spaced columns, and before each of evenly spaced rows."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=11)
    top = 16
    left = max((int(font.getlength(text)) + 10 for text in rows or []), default=0)
    page = Image.new("RGB", (picture.width + left, picture.height + top), "white")
    page.paste(picture, (left, top))
    draw = ImageDraw.Draw(page)
    for i, text in enumerate(columns):
        x = left + (i + 0.5) * picture.width / len(columns)
        draw.text((x, top / 2), text, fill="black", font=font, anchor="mm")
    for i, text in enumerate(rows or []):
        y = top + (i + 0.5) * picture.height / len(rows or [])
        draw.text((left / 2, y), text, fill="black", font=font, anchor="mm")
    return page
