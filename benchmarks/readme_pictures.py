"""The pictures of the README.

    python benchmarks/readme_pictures.py tracked runs/demo docs/images/rooms_traversal.png
    python benchmarks/readme_pictures.py photos runs/hands docs/images/hands.png --units 4=thumb

`tracked`: the directions with the best content-tracking scores, which need no labels.
`photos`: the units that change the picture most, or those named. Edits of a held-out image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import cldis
from cldis.diffusion.kept import Start
from cldis.editing.photos import heldout_photos
from cldis.images import captioned, grid, save_png
from cldis.model import Model
from cldis.navigation.store import directions_or_units
from cldis.tracking.maps import tracked
from cldis.tracking.pictures import ranked
from cldis.training.run_folder import RunFolder

AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
STEPS = 25


Row = tuple[str, Tensor]  # caption, and the change of z [d] of one standard deviation


def best_tracked(run: RunFolder, model: Model) -> list[Row]:
    """Directions by content-tracking score, the best first."""
    directions = directions_or_units(run, model.units)
    scores = tracked(run, directions).scores
    if scores is None:
        raise SystemExit(
            f"{run.path} has no scores of its directions; run `cldis track {run.path}`"
        )
    return [
        (
            f"{directions.kind} {directions.label(row['number'])}: {row['score']:.2f}",
            directions.shift(model.unit_std, {row["number"]: 1.0}),
        )
        for row in ranked(scores)
        if row["active"]
    ]


def strongest(model: Model, start: Start) -> list[Row]:
    """Units by how much they change this picture."""
    changes = []
    for unit in range(model.units):
        ends = model.traverse_from(start, unit, (-2.0, 2.0))
        changes.append(float((ends[:, 0] - ends[:, 1]).abs().mean()))
    order = sorted(range(model.units), key=lambda unit: -changes[unit])
    return [(f"unit {unit}", model.shift({unit: 1.0})) for unit in order]


def named(model: Model, units: list[str]) -> list[Row]:
    """Units as `NUMBER=WORDS`."""
    pairs = [text.partition("=") for text in units]
    return [(words, model.shift({int(unit): 1.0})) for unit, _, words in pairs]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=("tracked", "photos"))
    options.add_argument("run")
    options.add_argument("out", type=Path)
    options.add_argument("--image", type=int, default=0, help="which held-out image")
    options.add_argument("--rows", type=int, default=5)
    options.add_argument("--zoom", type=int, default=3)
    options.add_argument("--units", nargs="+", help="of `photos`: NUMBER=WORDS each")
    chosen = options.parse_args()

    run, model = RunFolder.open(chosen.run), cldis.load(chosen.run)
    start = model.start(heldout_photos(run, 16).images[chosen.image][None], STEPS)
    if chosen.units:
        picked = named(model, chosen.units)
    else:
        found = best_tracked(run, model) if chosen.kind == "tracked" else strongest(model, start)
        picked = found[: chosen.rows]
    page = grid(torch.cat([model.move_along(start, step, AMOUNTS) for _, step in picked]))
    page = page.resize((page.width * chosen.zoom, page.height * chosen.zoom), Image.Resampling.BOX)
    captions = [f"{amount:+g}" if amount else "0" for amount in AMOUNTS]
    save_png(captioned(page, captions, [caption for caption, _ in picked]), chosen.out)
    print(chosen.out, [caption for caption, _ in picked])


if __name__ == "__main__":
    main()
