"""Package the averaged weights of a run as a starter that recipes can go on from.

    cldis train rooms --recipe rooms32 --out runs/rooms32
    python benchmarks/pack_starter.py runs/rooms32 rooms32

Writes src/cldis/starters/NAME/ (half-precision weights, the state of C, where it came from) and
results/starter_NAME.json (factor recovery of both codes by a simple probe).
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch
from arms import probe
from safetensors.torch import save

from cldis.data import open_data
from cldis.io import write_bytes, write_json
from cldis.training.checkpoint import load_tensors, read_state
from cldis.training.log import read_metrics
from cldis.training.run import RunFolder

ROOT = Path(__file__).parent.parent


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", type=Path)
    options.add_argument("name")
    chosen = options.parse_args()
    run = RunFolder.open(chosen.run)
    checkpoint = run.latest()
    if checkpoint is None:
        raise SystemExit(f"{run.path} has no checkpoint yet")
    out = ROOT / "src" / "cldis" / "starters" / chosen.name
    weights = load_tensors(checkpoint / "ema.safetensors")
    half = {name: tensor.to(torch.float16) for name, tensor in weights.items()}
    write_bytes(out / "ema.safetensors", save(half))
    state = read_state(checkpoint)
    origin = {
        "command": f"cldis train rooms --recipe {run.config.recipe}",
        "images": state["images"],
        "git": run.about["git"],
        "seed": run.about["seed"],
        "versions": run.about["versions"],
        "data": {key: run.about["data"][key] for key in ("name", "resolution", "fingerprint")},
        "machine": f"{platform.machine()}, CPU, one thread",
        "config": run.config.to_dict(),
    }
    write_json(out / "state.json", {"feedback": state["feedback"], "origin": origin})
    source = open_data(run.about["data"]["source"], run.config.model.resolution)
    lines = read_metrics(run.metrics)
    result = {
        **origin,
        "probe": probe(run.path, source),
        "last": [line for line in lines if line["kind"] == "train"][-1],
        "health": [line for line in lines if line["kind"] == "health"][-1],
    }
    write_json(ROOT / "results" / f"starter_{chosen.name}.json", result)
    for code, scores in result["probe"].items():
        print(code, round(scores["dci_disentanglement"], 3), scores["accuracy"])


if __name__ == "__main__":
    main()
