"""Real photo in, edited photo out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from cldis.apps.photos import Photos
from cldis.images import captioned, grid, save_png
from cldis.io import write_json
from cldis.model import STEPS, Model


def edit_photos(
    model: Model, photos: Photos, shifts: Mapping[int, float], out: Path, steps: int = STEPS
) -> list[Path]:
    """Write `NAME_edited.png` per photo, and `before_after.png` over all.

    Shifts are in standard deviations of a unit. Everything is computed before anything is written.
    """
    edited = model.edit(photos.images, shifts, steps)
    written = []
    for name, image in zip(photos.names, edited, strict=True):
        written.append(out / f"{name}_edited.png")
        save_png(grid(image[None, None], gap=0), written[-1])
    both = torch.stack([photos.images, edited], dim=1)
    change = ", ".join(f"{unit}={amount:+g}" for unit, amount in shifts.items())
    save_png(captioned(grid(both), ["before", f"after {change}"]), out / "before_after.png")
    write_json(
        out / "edits.json",
        {
            "shifts": {str(unit): amount for unit, amount in shifts.items()},
            "unit": "standard deviations over the training images",
            "steps": steps,
            "photos": photos.names,
        },
    )
    photos.list_skipped(out)
    return written
