"""Small helpers for pictures of tensors."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from cldis.io import write_bytes


def to_uint8(images: Tensor) -> Tensor:
    """[-1, 1] to 0..255, uint8, clipped."""
    return ((images.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def grid(cells: Tensor, gap: int = 2) -> Image.Image:
    """cells [rows, columns, 3, H, W] in [-1, 1] -> one picture with white gaps."""
    rows, columns, _, height, width = cells.shape
    page = torch.full((3, rows * (height + gap) + gap, columns * (width + gap) + gap), 255)
    page = page.to(torch.uint8)
    for r, row in enumerate(to_uint8(cells)):
        for c, cell in enumerate(row):
            top, left = gap + r * (height + gap), gap + c * (width + gap)
            page[:, top : top + height, left : left + width] = cell
    return Image.fromarray(page.permute(1, 2, 0).numpy())


def png_bytes(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(picture: Image.Image, path: str | Path) -> None:
    """Write a PNG atomically."""
    write_bytes(path, png_bytes(picture))
