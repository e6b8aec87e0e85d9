"""Let a cell of the bench begin with the start of another run, where both train alike.

    python benchmarks/take_over.py RUN SUITE CELL --images N --runs RUNS

Training is a function of seed and settings, and a resumed run continues bit for bit; so what RUN
trained up to N images need not be trained again for a cell that has the same settings until then
(`lead` and `led` share the VAE that leads). Refuses settings that differ in more than `LATER`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from cldis.bench.record import differences, settings
from cldis.bench.suites import find_suite
from cldis.io import write_json, write_text
from cldis.training.checkpoint import checkpoints
from cldis.training.run_folder import RunFolder

LATER = ("distillation.end",)  # may differ where N images are no more than the lead


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("suite")
    parser.add_argument("cell")
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    suite = find_suite(options.suite)
    (cell,) = [cell for cell in suite.cells() if cell.name == options.cell]
    config = suite.config(cell)
    run = RunFolder.open(options.run)
    later = LATER if options.images <= config.loop.vae_alone else ()
    one, other = settings(run.config), settings(config)
    same = [{key: v for key, v in part.items() if key not in later} for part in (one, other)]
    found = differences(*same)
    if found or run.config.training.seed != cell.seed or run.about["data"]["name"] != cell.data:
        raise SystemExit(
            f"{options.run} trains otherwise than {cell.name}: {found or 'seed, data'}"
        )
    checkpoint = f"{options.images:012d}"
    if not (run.checkpoints / checkpoint).is_dir():
        raise SystemExit(f"{options.run} has no checkpoint at {options.images} images")
    out = options.runs / options.suite / cell.name
    out.mkdir(parents=True)
    kept = [
        line
        for line in run.metrics.read_text().splitlines()
        if json.loads(line)["images"] <= options.images
    ]
    write_text(out / "metrics.jsonl", "".join(f"{line}\n" for line in kept))
    write_json(
        out / "config.json",
        config.with_overrides([f"training.precision={run.config.training.precision}"]).to_dict(),
    )
    about = {**run.about, "begun": {"run": options.run.name, "images": options.images}}
    write_json(out / "run.json", about)
    for folder in checkpoints(run.checkpoints):
        if folder.name <= checkpoint:
            shutil.copytree(folder, out / "checkpoints" / folder.name)


if __name__ == "__main__":
    main()
