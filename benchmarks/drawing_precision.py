"""Drawing and encoding by the packaged starter in bf16 and in float32: time, and what it changes.

    OMP_NUM_THREADS=1 python benchmarks/drawing_precision.py

Processor seconds in turns, medians of ROUNDS pairs after one that does not count, on rooms;
decoding takes 6 steps of DPM-Solver++, as previews do. `psnr`: the worst picture against its like
in float32, dB. `off`: of codes, the largest difference in standard deviations of a unit. Times of
the official networks are in results/throughput.json. Writes results/drawing_precision.json.
"""

from __future__ import annotations

import numpy as np
import torch
from shared import RESULTS, provenance
from throughput import half, medians

from cldis.data.rendered.rooms import Rooms
from cldis.images import to_model
from cldis.io import write_json
from cldis.metrics.image import psnr
from cldis.model import Model
from cldis.training.device import keep_memory
from cldis.training.recipes import recipe_config
from cldis.training.starter import FOLDER
from cldis.training.weights import open_networks

ROUNDS, STEPS, COUNTS = 7, 6, (1, 8, 16)


def main() -> None:
    keep_memory()
    path, config = FOLDER / "rooms64", recipe_config("demo")
    units = config.model.units
    networks = open_networks(config, path / "ema.safetensors", path)
    model = Model(networks, torch.zeros(units), torch.ones(units))
    found = {}
    for n in COUNTS:
        images = to_model(Rooms(64).batch(np.arange(n) * 29_989))
        z, x_T = model.encode(images).z, model.random_start(n)

        def decoded(exact: bool, z=z, x_T=x_T):  # type: ignore[no-untyped-def]
            return model.decode(z, x_T, STEPS, fast=True, exact=exact)

        def encoded(images=images):  # type: ignore[no-untyped-def]
            return model.encode(images).z

        in_half = half(encoded)
        draw = {"float32": lambda: decoded(True), "bf16": lambda: decoded(False)}
        read = {"float32": encoded, "bf16": in_half}
        spread = z.std(dim=0) if n > 1 else torch.ones(units)
        found[str(n)] = {
            "decode": {
                **medians(draw, ROUNDS),
                "psnr": round(float(psnr(decoded(False), decoded(True)).min()), 1),
            },
            "encode": {
                **medians(read, ROUNDS),
                "off": round(float(((in_half() - z).abs() / spread).max()), 4),
            },
        }
    write_json(RESULTS / "drawing_precision.json", {"images": found, **provenance()})


if __name__ == "__main__":
    main()
