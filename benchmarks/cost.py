"""What the recipes cost: operations per image, and hours at a fifth of a GPU's peak.

    python benchmarks/cost.py [RECIPE ...]       (default: all)

Operations are counted (cldis.training.flops); hours are computed from them, not measured. Small
networks reach less of a large GPU. Writes results/cost.json; what it holds of other recipes stays.
"""

from __future__ import annotations

import sys

from shared import RESULTS, provenance

from cldis.io import read_json, write_json
from cldis.training.flops import PEAKS, training_flops
from cldis.training.recipes import RECIPES, recipe_config

SHARE = 0.2  # of the peak: assumed
GPUS = ("L4", "A100", "H100")


def main() -> None:
    path = RESULTS / "cost.json"
    found = read_json(path)["recipes"] if path.is_file() else {}
    for name in sys.argv[1:] or RECIPES:
        config = recipe_config(name)
        flops = training_flops(config)
        found[name] = {
            "images": config.training.images,
            "gflop_per_image": round(flops / config.training.images / 1e9, 3),
            "pflop": round(flops / 1e15, 3),
            "hours": {gpu: round(flops / (SHARE * PEAKS[gpu]) / 3600, 4) for gpu in GPUS},
        }
        print(name, found[name], flush=True)
        write_json(path, {"share": SHARE, "recipes": found, **provenance()})


if __name__ == "__main__":
    main()
