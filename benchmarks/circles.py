"""Which units of a VAE are a circle, and what its angle and radius tell.

    python benchmarks/circles.py NAME=RUN:IMAGES [NAME=RUN:IMAGES ...]

Each is a run of method `rate_loop` and one of its checkpoints. Before the hand-over the VAE is
unmixed here as it would be there, on the same images. Pairs of units that share little are left
out. Where factors are known, the information about each is that of 6,000 images, by the plug-in
estimate over 20 bins of equal width. Writes results/circles.json.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from shared import RESULTS, provenance
from torch import Tensor

from cldis.bench.score import pool
from cldis.data.source import ImageSource
from cldis.images import to_model
from cldis.io import write_json
from cldis.loop.circles import circles, mutual_information, polar
from cldis.loop.rate_loop import SILENT, RateLoop
from cldis.loop.unmixing import independent_axes
from cldis.metrics.information import binned_information
from cldis.metrics.labelled import labelled
from cldis.networks.gaussian import kl_to_standard
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import HAND_OVER
from cldis.training.unit_stats import typical_images
from cldis.training.weights import open_networks

SHARED = 0.1  # nats: a pair below is left out
POOL, BATCH = 6_000, 256


def main() -> None:
    torch.set_num_threads(1)
    found = {}
    for text in sys.argv[1:]:
        name, _, place = text.partition("=")
        run, _, images = place.rpartition(":")
        found[name] = {"images": int(images), **told(Path(run), int(images))}
        print(name, flush=True)
    write_json(RESULTS / "circles.json", {"vaes": found, **provenance()})


@torch.no_grad()
def told(folder: Path, images: int) -> dict[str, Any]:
    """The pairs, the circles, and what every unit tells."""
    run = RunFolder.open(folder)
    checkpoint = run.checkpoints / f"{images:012d}"
    loop = open_networks(run.config, checkpoint / "ema.safetensors", checkpoint)
    assert isinstance(loop, RateLoop) and loop.vae is not None and loop.semantic is not None
    vae, source = loop.vae, open_run_data(run)
    x = to_model(source.batch(typical_images(len(source), HAND_OVER)))
    q = vae.encode(x)
    active = kl_to_standard(q).mean(dim=0) >= SILENT
    handed_over = images > run.config.loop.vae_alone
    axes = None if handed_over else independent_axes(q, active)
    if axes is not None:
        vae.turn(axes.unmixing, axes.center, axes.variance, active)
    u = vae.encode(x).mean
    found = circles(u, active)
    result: dict[str, Any] = {
        "active_units": active.nonzero().flatten().tolist(),
        "pairs": pairs(u, active),
        "circles": [[circle.first, circle.second] for circle in found],
    }
    if source.factor_names:
        result["factors"] = list(source.factor_names)
        result["z_disen"] = about_factors(source, lambda part: vae.encode(part).mean)
        if found:
            result["straight"] = about_factors(source, lambda part: vae.encode(part).mean, found)
        if handed_over:
            result["z_sem"] = about_factors(source, lambda part: loop.semantic(part).mean)
    return result


def pairs(u: Tensor, active: Tensor) -> list[dict[str, Any]]:
    """Nats that two units share, and that their angle and radius share; most first."""
    units, rows = active.nonzero().flatten().tolist(), []
    for i, j in ((i, j) for i in units for j in units if i < j):
        shared = mutual_information(u[:, i], u[:, j])
        if shared >= SHARED:
            angle, radius = torch.atan2(u[:, j], u[:, i]), torch.hypot(u[:, i], u[:, j])
            left = mutual_information(angle, radius)
            rows.append({"units": [i, j], "shared": round(shared, 3), "polar": round(left, 3)})
    return sorted(rows, key=lambda row: -row["shared"])


def about_factors(source: ImageSource, encode: Any, found: Any = ()) -> list[list[float]]:
    """Nats of every factor in every unit, [d, k]; circles by angle and radius."""
    chosen = pool(source, POOL)
    parts = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    codes = torch.cat([encode(to_model(source.batch(part))) for part in parts])
    data = labelled(polar(codes, list(found)).numpy(), source.factors(chosen))
    return [[round(float(nats), 2) for nats in row] for row in binned_information(data)]


if __name__ == "__main__":
    main()
