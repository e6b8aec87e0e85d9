"""The information that z_sem carries, as the meter finds it, against ln of the number of images.

    python benchmarks/information.py RUN [RUN ...] [--images 4096]

Each run is one on `rooms`, `kuka` or `robots`, where every image is as likely as any other and the
code of a good model tells them apart: the truth is ln N. Writes results/information.json.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared import RESULTS, provenance

from cldis.data.split import split
from cldis.diffusion.information import InformationMeter
from cldis.images import to_model
from cldis.io import read_json, write_json
from cldis.loop.two_branch import TwoBranch
from cldis.model import load
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

BINS = 24
ROWS = 64


def filled(model: TwoBranch, source: Any, images: int) -> InformationMeter:
    """A meter that has heard `images` held-out images, noise levels spread evenly."""
    assert model.semantic is not None and model.denoiser is not None
    semantic = model.semantic
    meter = InformationMeter(model.process, model.config.model.units, BINS)
    _, heldout = split(len(source))
    chosen = np.random.default_rng(0).permutation(heldout)[:images]
    g = torch.Generator().manual_seed(0)
    n = len(chosen)
    uniform = (torch.randperm(n, generator=g) + torch.rand(n, generator=g)) / n
    for start in range(0, n, ROWS):
        x = to_model(source.batch(chosen[start : start + ROWS]))
        with torch.no_grad():
            z = semantic(x).mean
        noise = torch.randn(x.shape, generator=g)
        heard = uniform[start : start + ROWS]
        meter.add(meter.listen(model.denoiser, lambda x: semantic(x).mean, x, z, noise, heard))
    return meter


def measure(path: Path, images: int) -> dict[str, Any]:
    run = RunFolder.open(path)
    source = open_run_data(run)
    meter = filled(load(path).loop, source, images)
    width = (meter.high - meter.low) / BINS
    curve = [
        {
            "log_snr": round(meter.low + (i + 0.5) * width, 3),
            "nats": round(0.5 * width * total / count, 4),
            "readable": round(meter.readable(error / count), 4),
        }
        for i, (total, error, count) in enumerate(
            zip(meter.totals, meter.errors, meter.counts, strict=True)
        )
    ]
    truth, found = math.log(len(source)), meter.nats()
    print(f"{path.name} on {source.name}: {found:.2f} nats, ln N = {truth:.2f}")
    return {
        "data": source.name,
        "images": images,
        "nats": round(found, 3),
        "ln_n": round(truth, 3),
        "curve": curve,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=4096, help="held-out images")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    out = RESULTS / "information.json"
    found = read_json(out)["runs"] if out.exists() else {}
    found |= {path.name: measure(path, wanted.images) for path in wanted.runs}
    write_json(out, {"runs": found, **provenance()})


if __name__ == "__main__":
    main()
