"""How long directions take on a run: `cldis navigate` and `cldis track`, start included.

    cldis train PHOTOS --resolution 64 --images 64000 --out runs/hands64
    python benchmarks/direction_speed.py runs/hands64

Both with their defaults and all cores, on an idle machine. The directions stay in the run.
Writes results/direction_speed.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from cldis.io import read_json, write_json
from cldis.training.run_folder import RunFolder, git_revision, versions

RESULT = Path(__file__).parent.parent / "results" / "direction_speed.json"


def seconds(*words: str) -> float:
    """Wall time of one command."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cldis", *words], check=True, env=environment)
    return round(time.perf_counter() - start, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    path = parser.parse_args().run
    run, load = RunFolder.open(path), os.getloadavg()[0]
    latest = run.latest()
    assert latest is not None
    navigate = seconds("navigate", str(path))
    track = seconds("track", str(path))
    about = read_json(path / "navigation" / "directions.json")
    scores = read_json(path / "tracking" / "scores.json")
    result = {
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
        "load_average_before": load,
        "git": git_revision(),
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU only",
    }
    write_json(RESULT, result)
    print(result)


if __name__ == "__main__":
    main()
