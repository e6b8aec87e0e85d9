"""Package the averaged weights of a run as a starter that recipes can go on from.

    cldis train rooms --out runs/rooms64
    python benchmarks/pack_starter.py runs/rooms64 rooms64

Writes src/cldis/starters/NAME/ (half-precision weights, the state of C, where it came from) and
results/starter_NAME.json (factor recovery of each code by a simple probe, and the information that
the decoder draws from z_sem).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from shared import RESULTS, last_line, provenance

from cldis.config import Config, FeedbackConfig
from cldis.data.source import ImageSource
from cldis.images import to_model
from cldis.io import write_bytes, write_json
from cldis.loop.feedback.information import Information
from cldis.metrics.probe import factor_probe
from cldis.model import load
from cldis.training.checkpoint import load_tensors, read_state
from cldis.training.log import read_metrics
from cldis.training.recipes import recipe_config
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

STARTERS = RESULTS.parent / "src" / "cldis" / "starters"
KEPT = ("checkpoint_every", "log_every", "sample_every", "keep")  # what is written, not learned
SCORED = 6000  # images the probe sees, half of them to train on


def command(config: Config) -> str:
    """What trains this configuration with its recipe of today, differences spelled out."""
    today = recipe_config(config.recipe).flat()
    words = [
        f"--set {key}={json.dumps(value)}"
        for key, value in config.flat().items()
        if key.split(".")[-1] not in KEPT and today[key] != value
    ]
    return " ".join([f"cldis train rooms --recipe {config.recipe}", *words])


def probe(run: Path, source: ImageSource) -> dict[str, Any]:
    """Factor recovery from each code."""
    indices = np.sort(np.random.default_rng(1).choice(len(source), SCORED, replace=False))
    codes = load(run).encode_source(source, indices)
    factors, names = source.factors(indices), source.factor_names
    return {
        name: factor_probe(q.mean.numpy(), factors, names)
        for name, q in (("z_sem", codes.sem), ("z_disen", codes.disen))
        if q is not None
    }


def information(
    run: Path, source: ImageSource, config: FeedbackConfig, images: int = 1024
) -> dict[str, Any]:
    """The I-MMSE estimate of I(x; z_sem) on fresh images, beside the entropy of the factors."""
    loop = load(run).loop
    assert loop.semantic is not None and loop.denoiser is not None
    estimator = Information(config, loop.process)
    generator = torch.Generator().manual_seed(0)
    indices = np.random.default_rng(3).choice(len(source), images, replace=False)
    sums = torch.zeros(2 * config.bins)
    with torch.no_grad():
        for part in np.array_split(indices, images // 64):
            x = to_model(source.batch(part))
            z = loop.semantic(x).mean
            noise = torch.randn(x.shape, generator=generator)
            uniform = torch.rand(len(x), generator=generator)
            sums += estimator.differences(loop.denoiser, x, z, noise, uniform)
    return {
        "estimate_nats": estimator.target(sums, 1),
        "entropy_of_factors_nats": math.log(len(source)),
        "log_snr_range": [estimator.low, estimator.high],
        "images": images,
        "per_bin_nats": [
            0.5 * (estimator.high - estimator.low) / estimator.config.bins * total / count
            for total, count in zip(estimator.totals, estimator.counts, strict=True)
        ],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", type=Path)
    options.add_argument("name")
    chosen = options.parse_args()
    run = RunFolder.open(chosen.run)
    checkpoint = run.latest()
    if checkpoint is None:
        raise SystemExit(f"{run.path} has no checkpoint yet")
    out = STARTERS / chosen.name
    weights = load_tensors(checkpoint / "ema.safetensors")
    half = {name: tensor.to(torch.float16) for name, tensor in weights.items()}
    write_bytes(out / "ema.safetensors", save(half))
    state = read_state(checkpoint)
    origin = {
        "command": command(run.config),
        "images": state["images"],
        "git": run.about["git"],
        "seed": run.about["seed"],
        "versions": run.about["versions"],
        "data": {key: run.about["data"][key] for key in ("name", "resolution", "fingerprint")},
        "machine": provenance()["machine"],
        "config": run.config.to_dict(),
    }
    source = open_run_data(run)
    write_json(out / "state.json", {"feedback": state["feedback"], "origin": origin})
    lines = read_metrics(run.metrics)
    result = {
        **origin,
        "probe": probe(run.path, source),
        "information": information(run.path, source, run.config.feedback),
        "information_up_to_log_snr_1": information(
            run.path, source, FeedbackConfig(log_snr_max=1.0)
        ),
        "last": last_line(lines, "train"),
        "health": last_line(lines, "health"),
    }
    write_json(RESULTS / f"starter_{chosen.name}.json", result)
    for code, scores in result["probe"].items():
        print(code, round(scores["dci_disentanglement"], 3), scores["accuracy"])


if __name__ == "__main__":
    main()
