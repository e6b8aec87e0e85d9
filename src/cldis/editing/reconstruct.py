"""How faithfully photos come back: from inverted x_T, from random x_T, and by the VAE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cldis.editing.photos import Photos
from cldis.images import captioned, grid, save_png
from cldis.io import write_json
from cldis.metrics.image import psnr, ssim
from cldis.model import STEPS, Model


def reconstruct_photos(
    model: Model, photos: Photos, out: Path, steps: int = STEPS
) -> dict[str, Any]:
    """Write `reconstructions.png` and `reconstructions.json` (SSIM, PSNR in dB, per photo)."""
    drawn = model.reconstruct(photos.images, steps)
    scores: dict[str, Any] = {"steps": steps, "photos": photos.names}
    for name, images in drawn.items():
        scores[name] = {
            "ssim": [float(v) for v in ssim(images, photos.images)],
            "psnr": [float(v) for v in psnr(images, photos.images)],
        }
        for metric in ("ssim", "psnr"):
            values = scores[name][metric]
            scores[name][f"mean_{metric}"] = sum(values) / len(values)
    cells = torch.stack([photos.images, *drawn.values()], dim=1)
    page = captioned(grid(cells), ["photo", *drawn])
    save_png(page, out / "reconstructions.png")
    write_json(out / "reconstructions.json", scores)
    photos.list_skipped(out)
    return scores
