"""Rate of training, memory and the time of one edit, written to results/speed.json.

    OMP_NUM_THREADS=1 python benchmarks/speed.py

Trains recipe loop64 on rooms at 64 px for a few thousand images, once with the diffusion branch
alone (arm diffae) and once closed, each in a process of its own; then times `cldis edit` of one
photo at the default number of steps, start included, with all cores.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from cldis.data import open_data
from cldis.images import grid, save_png, to_model
from cldis.io import write_json
from cldis.training.log import read_metrics
from cldis.training.run_folder import git_revision, versions

IMAGES = 9600
RESULT = Path(__file__).parent.parent / "results" / "speed.json"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        found: dict[str, Any] = {arm: train(arm, runs / arm) for arm in ("diffae", "closed")}
        found["edit_seconds"] = edit(runs / "closed", runs)
    found |= {
        "git": git_revision(),
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU only",
        "load_average_at_end": os.getloadavg()[0],
    }
    write_json(RESULT, found)
    print(found)


def train(arm: str, out: Path) -> dict[str, Any]:
    """Median rate over log windows after the first, and the peak resident memory."""
    command = [sys.executable, "-m", "cldis", "train", "rooms", "--out", str(out)]
    command += ["--images", str(IMAGES), "--set", f"method={arm}"]
    command += [
        "--set",
        "training.log_every=640",
        "--set",
        "loop.vae_alone=0",
    ]  # both branches work
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
    lines = [line for line in read_metrics(out / "metrics.jsonl") if line["kind"] == "train"]
    rates = [line["images_per_second"] for line in lines[1:]]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "threads": 1,
        "images": IMAGES,
        "images_per_second_median": statistics.median(rates),
        "images_per_second_best": max(rates),
        "peak_gib_so_far": peak,
    }


def edit(run: Path, folder: Path) -> list[float]:
    """Wall seconds of three edits of one 64 px photo."""
    photo = folder / "photo.png"
    picture = to_model(open_data("rooms", 64).batch(np.array([123_456])))
    save_png(grid(picture[None], gap=0), photo)
    command = [sys.executable, "-m", "cldis", "edit", str(run), str(photo), "--shift", "3=+2.0"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*command, "--out", str(folder / "edited")], check=True, env=environment)
        seconds.append(round(time.perf_counter() - start, 2))
    return seconds


if __name__ == "__main__":
    main()
