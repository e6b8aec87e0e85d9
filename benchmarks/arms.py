"""The first comparison of the four arms on rooms at 32 px.

    python benchmarks/arms.py --runs runs/arms --seeds 0 1 [--images 64000] [--arms diffae ...]

Trains every (arm, seed) that has no JSON in results/arms32/ yet, one after another in this
process, scores both codes with a simple probe, and writes one JSON per run. Interrupt and start
again as you like. `--table` writes results/arms32.md and results/arms32.png from the JSONs.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from cldis.data import open_data
from cldis.images import to_model
from cldis.io import read_json, write_json, write_text
from cldis.metrics.probe import factor_probe
from cldis.model import load
from cldis.training import trainer as engine
from cldis.training.log import read_metrics
from cldis.training.recipes import recipe_config
from cldis.training.run_folder import RunFolder

ARMS = ("vae", "diffae", "open", "closed")
RESULTS = Path(__file__).parent.parent / "results"
SCORED = 6000  # images the probe sees, half of them to train on
SETTINGS: dict[str, list[str]] = {
    "vae": ["method=vae"],
    "diffae": ["method=diffusion"],
    "open": ["method=open"],
    # Feedback may move C as fast as its signal moves: the bound on the rate is wide.
    "closed": ["method=closed", "feedback.kind=reverse_kl", "feedback.rate=0.3"],
    "closed_information": ["method=closed", "feedback.kind=information", "feedback.rate=0.3"],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=Path, default=Path("runs/arms"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options.add_argument("--arms", nargs="+", choices=SETTINGS, default=ARMS)
    options.add_argument("--images", type=int, default=64_000)
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    if chosen.table:
        table()
        return
    for seed in chosen.seeds:
        for arm in chosen.arms:
            path = RESULTS / "arms32" / f"{arm}-{seed}.json"
            if not path.exists():
                write_json(path, one(arm, seed, chosen.images, chosen.runs))
                print(path, flush=True)


def one(arm: str, seed: int, images: int, runs: Path) -> dict[str, Any]:
    """Train one cell and score it."""
    settings = [*SETTINGS[arm], f"training.seed={seed}", f"training.images={images}"]
    config = recipe_config("arms32").with_overrides(settings)
    source = open_data("rooms", config.model.resolution)
    out = runs / f"{arm}-{seed}"
    exists = (out / "run.json").exists()
    run = RunFolder.open(out) if exists else RunFolder.create(out, config, source, "rooms")
    start = time.perf_counter()
    if not engine.train(run, source, resume=exists, quiet=True):
        raise KeyboardInterrupt
    seconds = time.perf_counter() - start
    lines = read_metrics(run.metrics)
    train = [line for line in lines if line["kind"] == "train"]
    return {
        "arm": arm,
        "seed": seed,
        "images": images,
        "resolution": config.model.resolution,
        "data": "rooms",
        "git": run.about["git"],
        "versions": run.about["versions"],
        "machine": f"{platform.machine()}, one thread",
        "seconds_this_session": round(seconds, 1),
        "config": config.to_dict(),
        "last": train[-1],
        "health": [line for line in lines if line["kind"] == "health"][-1],
        "capacity_curve": [[line["images"], line["capacity"]] for line in train[::5]],
        "probe": probe(out, source),
    }


def probe(out: Path, source: Any) -> dict[str, Any]:
    """Factor recovery from each code."""
    indices = np.sort(np.random.default_rng(1).choice(len(source), SCORED, replace=False))
    codes = load(out).encode(to_model(source.batch(indices)))
    factors, names = source.factors(indices), source.factor_names
    found = {}
    for name, q in (("z_sem", codes.sem), ("z_disen", codes.disen)):
        if q is not None:
            found[name] = factor_probe(q.mean.numpy(), factors, names)
    return found


def table() -> None:
    """results/arms32.md: mean over seeds with the range."""
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    seen = {}
    for path in sorted((RESULTS / "arms32").glob("*.json")):
        cell = read_json(path)
        seen[cell["arm"]] = cell["images"]
        for code, scores in cell["probe"].items():
            cells.setdefault((cell["arm"], code), []).append({**scores, "seed": cell["seed"]})
    factors = list(next(iter(cells.values()))[0]["accuracy"])
    head = ["arm", "code", "seeds", "images", "DCI-D", "DCI-C", "mean accuracy", *factors]
    rows = [head, ["---"] * len(head)]
    for arm in SETTINGS:
        for code in ("z_sem", "z_disen"):
            found = cells.get((arm, code), [])
            if not found:
                continue
            accuracies = [[score["accuracy"][factor] for score in found] for factor in factors]
            means = [sum(score["accuracy"].values()) / len(factors) for score in found]
            rows.append(
                [
                    arm,
                    code,
                    str(len(found)),
                    f"{seen[arm]:,}",
                    _spread([score["dci_disentanglement"] for score in found]),
                    _spread([score["dci_completeness"] for score in found]),
                    _spread(means),
                    *(f"{sum(values) / len(values):.2f}" for values in accuracies),
                ]
            )
    chance = next(iter(cells.values()))[0]["chance"]
    estimator = next(iter(cells.values()))[0]["estimator"]
    text = [
        "# Four arms on rooms at 32 px",
        "",
        "Written by `python benchmarks/arms.py --table` from `results/arms32/*.json`; recipe "
        "`arms32`, one CPU thread per run. "
        f"Probe: {estimator}, {SCORED // 2} codes to train and {SCORED // 2} to test. Scores under "
        "other estimators are not comparable. Mean over seeds, ± half the range.",
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        "Chance: " + ", ".join(f"{name} {value:.2f}" for name, value in chance.items()) + ".",
    ]
    write_text(RESULTS / "arms32.md", "\n".join(text) + "\n")


def _spread(values: list[float]) -> str:
    mean = sum(values) / len(values)
    half = (max(values) - min(values)) / 2
    return f"{mean:.3f} ± {half:.3f}" if math.isfinite(half) and len(values) > 1 else f"{mean:.3f}"


if __name__ == "__main__":
    main()
