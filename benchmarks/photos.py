"""Reconstruction of held-out photos by a trained run: inverted and random x_T.

cldis train ../shared/data/hands --resolution 64 --out runs/hands --images 64000
python benchmarks/photos.py runs/hands results/hands64.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shared import last_line, provenance

import cldis
from cldis.editing.photos import heldout_photos
from cldis.io import write_json
from cldis.metrics.image import psnr, ssim
from cldis.model import STEPS
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder

PHOTOS = 64


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run")
    options.add_argument("out", type=Path)
    chosen = options.parse_args()
    run, model = RunFolder.open(chosen.run), cldis.load(chosen.run)
    photos = heldout_photos(run, PHOTOS).images
    scores = {}
    for name, images in model.reconstruct(photos).items():
        found = {"ssim": ssim(images, photos), "psnr": psnr(images, photos)}
        scores[name] = {
            key: {"mean": float(value.mean()), "min": float(value.min())}
            for key, value in found.items()
        }
    lines = read_metrics(run.metrics)
    write_json(
        chosen.out,
        {
            "command": " ".join(run.about["command"]),
            "photos": len(photos),
            "steps": STEPS,
            "reconstruction": scores,
            "health": last_line(lines, "health"),
            "last": last_line(lines, "train"),
            "about": {key: run.about[key] for key in ("git", "versions", "seed")},
            "data": {
                "name": Path(run.about["data"]["source"]).name,
                **{key: run.about["data"][key] for key in ("images", "resolution", "fingerprint")},
            },
            "machine": provenance()["machine"],
            "config": run.config.to_dict(),
        },
    )
    print(scores)


if __name__ == "__main__":
    main()
