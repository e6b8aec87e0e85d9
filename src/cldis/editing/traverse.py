"""What each unit does: a grid per unit, rows images, columns shifts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cldis.editing.photos import Photos
from cldis.images import captioned, grid, save_png
from cldis.io import write_json
from cldis.model import STEPS, Model
from cldis.progress import each

AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def traverse_units(
    model: Model, photos: Photos, out: Path, progress: bool = True, steps: int = STEPS
) -> Path:
    """Write `unit_NN.png` per unit of `Model.shown_units`, `overview.png` (first photo, one row
    per unit), and `traversals.json` with how much each unit changes the picture, in [0, 2] per
    pixel.

    Returns the overview. Shifts are in standard deviations of the unit.
    """
    start = model.start(photos.images, steps)
    rows: dict[int, Tensor] = {}
    changes: dict[int, float] = {}
    captions = [f"{amount:+g}" for amount in AMOUNTS]
    units = sorted(model.shown_units)
    for unit in each(units, len(units), "traverse", "units", not progress):
        cells = model.traverse_from(start, unit, AMOUNTS)
        middle = cells[:, AMOUNTS.index(0.0)]
        changes[unit] = float((cells - middle[:, None]).abs().mean())
        rows[unit] = cells[0]
        save_png(captioned(grid(cells), captions), out / f"unit_{unit:02d}.png")
    order = sorted(units, key=lambda unit: -changes[unit])
    page = grid(torch.stack([rows[unit] for unit in order]))
    save_png(captioned(page, captions, [str(unit) for unit in order]), out / "overview.png")
    write_json(
        out / "traversals.json",
        {"amounts": AMOUNTS, "photos": photos.names, "change": changes},
    )
    photos.list_skipped(out)
    return out / "overview.png"
