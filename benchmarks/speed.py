"""Rate of training, memory, and the time of edits and of directions.

    python benchmarks/speed.py                  # results/speed.json
    python benchmarks/speed.py runs/hands64     # results/direction_speed.json

Without a run: trains recipe loop64 on rooms at 64 px for a few thousand images on one thread, once
with the diffusion branch alone (arm diffae) and once closed, then times `cldis edit` of one photo.
With a run: `cldis navigate` and `cldis track` on it; the directions stay in the run. Commands have
their defaults, all cores, and start included; the machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from shared import RESULTS, provenance, seconds

from cldis.data import open_data
from cldis.images import grid, save_png, to_model
from cldis.io import read_json, write_json
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder

IMAGES = 9600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="?")
    run, load = parser.parse_args().run, os.getloadavg()[0]
    if run is None:
        name = "speed"
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder)
            found: dict[str, Any] = {arm: train(arm, runs / arm) for arm in ("diffae", "closed")}
            found["edit_seconds"] = edit(runs / "closed", runs)
    else:
        name, found = "direction_speed", directions(run)
    found |= {"load_average_before": load, **provenance()}
    write_json(RESULTS / f"{name}.json", found)
    print(found)


def train(arm: str, out: Path) -> dict[str, Any]:
    """Median rate over log windows after the first, and the peak resident memory."""
    command = ["train", "rooms", "--recipe", "loop64", "--out", str(out), "--images", str(IMAGES)]
    # Both branches from the start.
    for setting in (f"method={arm}", "loop.vae_alone=0", "training.log_every=640"):
        command += ["--set", setting]
    seconds(*command, all_cores=False)
    lines = [line for line in read_metrics(out / "metrics.jsonl") if line["kind"] == "train"]
    rates = [line["images_per_second"] for line in lines[1:]]
    return {
        "threads": 1,
        "images": IMAGES,
        "images_per_second_median": statistics.median(rates),
        "images_per_second_best": max(rates),
        "peak_gib_so_far": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
    }


def edit(run: Path, folder: Path) -> list[float]:
    """Wall seconds of three edits of one 64 px photo."""
    photo = folder / "photo.png"
    picture = to_model(open_data("rooms", 64).batch(np.array([123_456])))
    save_png(grid(picture[None], gap=0), photo)
    command = ["edit", str(run), str(photo), "--shift", "3=+2.0", "--out", str(folder / "edited")]
    return [seconds(*command) for _ in range(3)]


def directions(path: Path) -> dict[str, Any]:
    """Wall seconds of learning and of scoring directions, and what they are."""
    run = RunFolder.open(path)
    latest = run.latest()
    assert latest is not None
    navigate, track = seconds("navigate", str(path)), seconds("track", str(path))
    about = read_json(path / "navigation" / "directions.json")
    scores = read_json(path / "tracking" / "scores.json")
    return {
        "data": run.about["data"]["name"],
        "resolution": run.config.model.resolution,
        "images_seen": int(latest.name),
        "recipe": run.config.recipe,
        "navigate_seconds": navigate,
        "pairs": about["about"]["pairs"],
        "kept": about["directions"],
        "track_seconds": track,
        "images": scores["images"],
        "score": scores["score"],
        "directions": [
            {key: row.get(key) for key in ("number", "active", "score")}
            for row in scores["directions"]
        ],
    }


if __name__ == "__main__":
    main()
