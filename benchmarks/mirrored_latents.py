"""Are the latents of a mirrored photo the mirrored latents of the photo?

    OMP_NUM_THREADS=1 python benchmarks/mirrored_latents.py TAESD ../shared/data

TAESD is a folder with the two files of `madebyollin/taesd`; the other one holds the photos, `hands`
and `clothing`. 32 photos of each, spread over the collection, at 128 px. Writes
results/mirrored_latents.json, PSNR in dB:

`photo`: of the photo drawn from its latents. `encoded`: the same of the mirrored photo.
`mirrored`: of the mirrored photo drawn from the mirrored latents of the photo.
`cropped` and `cropped_latents`: likewise of a window of 112 px at (8, 0), encoded or cut from the
latents of the photo.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from shared import RESULTS, provenance
from torch import Tensor

from cldis.arrays import spread
from cldis.data import open_data
from cldis.images import to_model
from cldis.io import write_json
from cldis.metrics.image import psnr
from cldis.networks.space import decoded, encoded
from cldis.training.autoencoder import hash_of, open_autoencoder
from cldis.training.recipes import recipe_config

IMAGES = 32


@torch.no_grad()
def measure(network: torch.nn.Module, x: Tensor) -> dict[str, float]:
    def drawn(latents: Tensor, like: Tensor) -> float:
        return round(float(psnr(decoded(network, latents).clamp(-1, 1), like).mean()), 2)

    z, other, window = encoded(network, x), x.flip(-1), x[..., 8:120, :112]
    return {
        "photo": drawn(z, x),
        "encoded": drawn(encoded(network, other), other),
        "mirrored": drawn(z.flip(-1), other),
        "cropped": drawn(encoded(network, window), window),
        "cropped_latents": drawn(z[..., 1:15, :14], window),
    }


def main() -> None:
    folder, photos = (Path(word) for word in sys.argv[1:])
    model = recipe_config("photos128").model
    network, found = open_autoencoder(folder, model), {}
    for name in ("hands", "clothing"):
        source = open_data(photos / name, model.resolution)
        found[name] = measure(network, to_model(source.batch(spread(len(source), IMAGES))))
        print(name, found[name])
    result = {
        "command": "python benchmarks/mirrored_latents.py TAESD ../shared/data",
        "sha256": hash_of(folder),
        "images": IMAGES,
        "resolution": model.resolution,
        **provenance(),
        "psnr": found,
    }
    write_json(RESULTS / "mirrored_latents.json", result)


if __name__ == "__main__":
    main()
