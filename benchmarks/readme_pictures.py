"""The pictures of the README.

    python benchmarks/readme_pictures.py rooms runs/demo docs/images/rooms_traversal.png
    python benchmarks/readme_pictures.py photos runs/hands docs/images/hands_traversal.png

`rooms`: per factor the unit that tells it best by the probe (labels only choose and name the row).
`photos`: the units that change the picture most. Held-out images, each from its inverted x_T.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from arms import probe
from PIL import Image

import cldis
from cldis.apps.photos import heldout_photos
from cldis.data import open_data
from cldis.images import captioned, grid, save_png
from cldis.training.run import RunFolder

AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
STEPS = 25


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=("rooms", "photos"))
    options.add_argument("run")
    options.add_argument("out", type=Path)
    options.add_argument("--image", type=int, default=0, help="which held-out image")
    options.add_argument("--rows", type=int, default=5)
    options.add_argument("--zoom", type=int, default=3)
    chosen = options.parse_args()

    run, model = RunFolder.open(chosen.run), cldis.load(chosen.run)
    photos = heldout_photos(run, 16)
    start = photos.images[chosen.image][None]
    z = model.encode(start).z
    x_T = model.invert(start, z, STEPS)
    if chosen.kind == "rooms":
        scores = probe(run.path, open_data("rooms", model.resolution))["z_sem"]
        matrix = np.array(scores["importance"])  # [d, k]
        order = np.argsort(-matrix.max(axis=0))[: chosen.rows]
        names = list(scores["accuracy"])
        picked = [(int(matrix[:, k].argmax()), names[k].replace("_", " ")) for k in order]
    else:
        changes = []
        for unit in range(model.units):
            ends = model.traverse_from(z, x_T, unit, (-2.0, 2.0), STEPS)
            changes.append(float((ends[:, 0] - ends[:, 1]).abs().mean()))
        ranked = sorted(range(model.units), key=lambda unit: -changes[unit])
        picked = [(unit, f"unit {unit}") for unit in ranked[: chosen.rows]]
    rows = [model.traverse_from(z, x_T, unit, AMOUNTS, STEPS)[0] for unit, _ in picked]
    page = grid(torch.stack(rows))
    page = page.resize((page.width * chosen.zoom, page.height * chosen.zoom), Image.Resampling.BOX)
    captions = [f"{amount:+g}" for amount in AMOUNTS]
    save_png(captioned(page, captions, [name for _, name in picked]), chosen.out)
    print(chosen.out, picked)


if __name__ == "__main__":
    main()
