"""Reconstruction of held-out photos by a trained run: inverted and random x_T.

cldis train ../shared/data/hands --resolution 64 --out runs/hands --images 64000
python benchmarks/photos.py runs/hands results/hands64.json
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import cldis
from cldis.editing.photos import heldout_photos
from cldis.io import write_json
from cldis.metrics.image import psnr, ssim
from cldis.model import STEPS
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run")
    options.add_argument("out", type=Path)
    options.add_argument("--photos", type=int, default=64)
    chosen = options.parse_args()
    run, model = RunFolder.open(chosen.run), cldis.load(chosen.run)
    photos = heldout_photos(run, chosen.photos).images
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
            "health": [line for line in lines if line["kind"] == "health"][-1],
            "last": [line for line in lines if line["kind"] == "train"][-1],
            "about": {key: run.about[key] for key in ("git", "versions", "seed")},
            "data": {
                "name": Path(run.about["data"]["source"]).name,
                **{key: run.about["data"][key] for key in ("images", "resolution", "fingerprint")},
            },
            "machine": f"{platform.machine()}, CPU, one thread",
            "config": run.config.to_dict(),
        },
    )
    print(scores)


if __name__ == "__main__":
    main()
