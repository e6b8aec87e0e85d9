"""Real photo in, edited photo out."""

from __future__ import annotations

from pathlib import Path

import torch

from cldis.editing.edits import Moves
from cldis.editing.photos import Photos
from cldis.images import captioned, enlarged, grid, save_png
from cldis.io import write_json
from cldis.model import STEPS, Model

SHOWN_SIDE = 96  # pixels at least, of a picture in before_after.png


def edit_photos(
    model: Model,
    photos: Photos,
    moves: Moves,
    out: Path,
    steps: int = STEPS,
    exact: bool = False,
) -> list[Path]:
    """Write `NAME_edited.png` per photo, `before_after.png` over all, and `edits.json`.

    Amounts are in standard deviations; `exact` is that of `Model.move`. Everything is computed
    before anything is written.
    """
    edited = model.move(photos.images, moves.change, steps, exact)
    written = []
    for name, image in zip(photos.names, edited, strict=True):
        written.append(out / f"{name}_edited.png")
        save_png(grid(image[None, None], gap=0), written[-1])
    both = enlarged(torch.stack([photos.images, edited], dim=1), SHOWN_SIDE)  # room for captions
    save_png(captioned(grid(both), ["before", f"after {moves.words()}"]), out / "before_after.png")
    write_json(
        out / "edits.json",
        {
            **moves.record(),
            "unit": "standard deviations over the training images",
            "steps": steps,
            "exact": exact,
            "photos": photos.names,
        },
    )
    photos.list_skipped(out)
    return written
