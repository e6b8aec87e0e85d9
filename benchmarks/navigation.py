"""Navigation against its controls on one run: who recognises which direction.

    python benchmarks/navigation.py RUN --images 6400 --out results/navigation.json

Rows: A learned from I, from a random rotation and from PCA; the same three with A fixed; and a
model with the same networks that was never trained. `agreement` says how well the found columns
match single units of the code: mean over columns of the largest squared entry, 1 for raw units.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cldis.io import read_json, write_json
from cldis.methods.build import build
from cldis.model import Model, load
from cldis.navigation.navigate import config_for, scene_of
from cldis.navigation.train import INITS, NavigationConfig, Navigator
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder
from cldis.training.unit_stats import unit_statistics


def untrained(run: RunFolder) -> Model:
    """The networks of a run as they were before any training, with their own unit statistics."""
    torch.manual_seed(run.config.training.seed)
    loop = build(run.config)
    units = unit_statistics(loop.eval(), open_run_data(run))
    return Model(loop, torch.tensor(units["mean"]), torch.tensor(units["std"]))


def row(run: RunFolder, model: Model, config: NavigationConfig) -> dict[str, Any]:
    """Navigate once; recognition per direction and on the whole."""
    with tempfile.TemporaryDirectory() as folder:
        scene = scene_of(run, model, open_run_data(run), config.steps)
        navigator = Navigator(scene, config, Path(folder))
        navigator.fit()
        found = navigator.recognise()
    matrix = navigator.matrix.weight.detach()
    return {
        "config": asdict(config),
        "chance": found.chance,
        "accuracy": found.accuracy,
        "sign": found.sign,
        "change": found.change,
        "still": found.no_shift_rate,
        "mean_accuracy": float(np.mean(found.accuracy)),
        "recognised": len(found.recognised()),
        "agreement": float(matrix.square().amax(dim=0).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--images", type=int, required=True, metavar="N", help="pairs per row")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    options = parser.parse_args()
    run, model = RunFolder.open(options.run), load(options.run)
    wanted = {
        f"{'learned' if learn else 'fixed'} {init}": (model, init, learn)
        for learn in (True, False)
        for init in INITS
    }
    wanted["untrained identity"] = (untrained(run), "identity", False)
    rows = read_json(options.out)["rows"] if options.out.exists() else {}
    for name, (which, init, learn) in wanted.items():
        if name not in rows:
            config = replace(config_for(which, None, init, options.images), learn=learn)
            rows[name] = row(run, which, config)
            write_json(options.out, {"run": run.path.name, "rows": rows})
        found = rows[name]
        print(
            f"{name:20} accuracy {found['mean_accuracy']:.2f} (chance {found['chance']:.2f})  "
            f"recognised {found['recognised']} of {len(found['accuracy'])}  "
            f"agreement with units {found['agreement']:.2f}"
        )


if __name__ == "__main__":
    main()
