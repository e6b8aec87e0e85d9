"""Scores that need no labels beside DCI and FactorVAE, over the finished runs of a bench suite.

    python benchmarks/tracking_validation.py --runs RUNS/ablation [--checkpoints]

Scores every finished run below --runs that has a result in results/SUITE (with --checkpoints at
all points of its curve) and writes results/tracking_validation/NAME.json; tracking_page.py makes
the page. Each score is kept with the settings it was taken with, and only what is missing, or was
taken with other settings, is taken again.

The code is the one that conditions the decoder, or z_disen of a run without diffusion. Directions
are its raw units. Two negative controls have the same content in worse directions: `rotated`
(a random rotation of the informative units, each divided by its spread) and `mixed` (informative
units in pairs, each pair turned by 45 degrees). Choices in how a score is taken were made on rooms
alone; kuka confirms them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared import RESULTS
from tracking_runs import CENTRE, IMAGES, ROWS, SHIFTS, TRAVERSALS, VARIANTS, Run

from cldis.bench.record import read_record
from cldis.io import read_json, write_json
from cldis.metrics import (
    dci,
    gaussian_total_correlation,
    pairwise_mutual_information,
    self_mig,
    udr,
    variation_predictability,
)
from cldis.metrics.suite import SETTINGS
from cldis.metrics.tracking.changes import image_changes
from cldis.metrics.tracking.floor import Floor
from cldis.metrics.tracking.score import score
from cldis.metrics.tracking.sums import TrackingSums

SCORED = RESULTS / "tracking_validation"
DEFINITION = "4b7dcef640f5"  # name another when content tracking gives other numbers
# Scores kept of content tracking as it was before: consistency, separation, monotonicity.
FORMER = {"tracking": {**TRAVERSALS, "definition": "c9a9d967bec1"}}
Parts = dict[str, float]  # "score" and what it is made of


# ---------------------------------------------------------------------------------- the scores


def of_codes(metric: Callable[[np.ndarray], dict[str, Any]]) -> Callable[..., Parts]:
    return lambda run, variant, settings: {"score": metric(run.turned(variant))["score"]}


def fast_dci(run: Run, variant: str, settings: dict[str, Any]) -> Parts:
    """No label-free score: what the controls cost in truth."""
    fast = SETTINGS["fast"]
    factors = run.source.factors(run.indices)
    varying = np.array(run.source.factor_sizes) > 1
    found = dci(
        run.turned(variant), factors[:, varying], fast.estimator, fast.dci_train, fast.dci_test
    )
    parts = ("disentanglement", "completeness", "informativeness")
    return {"score": found["disentanglement"], **{part: found[part] for part in parts}}


def predictability(run: Run, variant: str, settings: dict[str, Any]) -> Parts:
    """Pairs of shift 0 and each of the larger shifts, split by image."""
    frames = run.traversals(variant)
    n, k = frames.shape[:2]
    moved = [j for j, shift in enumerate(SHIFTS) if abs(shift) >= settings["least"]]
    second = frames[:, :, moved].reshape(-1, *frames.shape[3:]).transpose(0, 3, 1, 2)
    first = np.repeat(frames[:, :, [CENTRE]], len(moved), axis=2)
    first = first.reshape(-1, *frames.shape[3:]).transpose(0, 3, 1, 2)
    which = np.tile(np.repeat(np.arange(k), len(moved)), n)
    groups = np.repeat(np.arange(n), k * len(moved))
    found = variation_predictability(first, second, which, groups)
    return {"score": found["score"], "accuracy": found["accuracy"]}


def content_tracking(run: Run, variant: str, settings: dict[str, Any]) -> Parts:
    """As `cldis.tracking.track`, on the same pictures as `predictability`."""
    frames, same = run.traversals(variant), run.same_code().astype(np.float32)
    floor = Floor()
    for pictures in same:
        floor.add(pictures)
    sums = TrackingSums(floor.level())
    real = run.source.batch(run.indices[:IMAGES]).transpose(0, 2, 3, 1).astype(np.float32)
    for traversal, image, drawn in zip(frames, real, same, strict=True):
        sums.add(image_changes(traversal.astype(np.float32), SHIFTS), image, drawn[-1])
    found = score(sums, run.turned(variant))
    rows = found.pop("directions")
    parts = {name: float(part) for name, part in found.items()}
    return {**parts, "activity": float(np.mean([row["activity"] for row in rows]))}


@dataclass(frozen=True)
class Score:
    take: Callable[[Run, str, dict[str, Any]], Parts]
    settings: dict[str, Any]


SCORES = {
    "dci_fast": Score(fast_dci, {"rows": ROWS}),
    "total_correlation": Score(of_codes(gaussian_total_correlation), {"rows": ROWS}),
    "mutual_information": Score(of_codes(pairwise_mutual_information), {"rows": ROWS}),
    "self_mig": Score(of_codes(self_mig), {"rows": ROWS}),
    "variation_predictability": Score(
        predictability, {**TRAVERSALS, "least": 1.0, "train_share": 0.5}
    ),
    "content_tracking": Score(content_tracking, {**TRAVERSALS, "definition": DEFINITION}),
}


# ------------------------------------------------------------------------------------ the work


def finished(folder: Path, every_checkpoint: bool) -> list[Run]:
    """Checkpoints with scores in a suite's folder of runs, those of the first seed first."""
    found = []
    for path in folder.iterdir():
        result = RESULTS / folder.name / f"{path.name}.json"
        if result.exists() and (path / "run.json").exists():
            record = read_record(result)
            curve = record["curve"] if every_checkpoint else record["curve"][-1:]
            found += [Run(path, record, point) for point in curve]
    there = [run for run in found if (run.checkpoint / "state.json").exists()]
    return sorted(there, key=lambda run: (run.record["seed"], not run.last, run.name))


def measure(run: Run) -> None:
    """Take the scores that one run lacks; every one is written when it is there."""
    path = SCORED / f"{run.name}.json"
    stored = read_json(path) if path.exists() else {"scores": {}, "failed": {}}
    scores, failed = stored["scores"], stored["failed"]
    for name, one in SCORES.items():
        if scores.get(name, {}).get("settings") == one.settings:
            continue
        variants = VARIANTS if run.informative.sum() >= 2 else VARIANTS[:1]  # nothing to mix
        start = time.perf_counter()
        try:
            found = {v: one.take(run, v, one.settings) for v in variants}
        except ValueError as error:  # a collapsed code has no score; the table counts it
            failed[name], found = str(error), {}
        seconds = round(time.perf_counter() - start, 1)
        scores[name] = {"settings": one.settings, "seconds": seconds, **found}
        write_json(path, {**labels(run), "scores": scores, "failed": failed})
        print(f"{run.name}: {name} ({seconds} s)", file=sys.stderr, flush=True)


def labels(run: Run) -> dict[str, Any]:
    """What a run is, and its scores with labels."""
    keys = ("suite", "method", "data", "seed", "resolution", "fingerprint")
    return {
        **{key: run.record[key] for key in keys},
        "images": run.point["images"],
        "last": run.last,
        "code": run.code,
        "units": run.codes.shape[1],
        "informative": int(run.informative.sum()),
        "labels": {
            setting: {
                "dci": found["dci"]["disentanglement"],
                "factor_vae": found["factor_vae"]["score"],
                "mig": found["mig"]["score"],
            }
            for setting, found in run.point["codes"][run.code].items()
        },
    }


def rank_seeds(runs: list[Run]) -> None:
    """UDR of every method with two or more seeds."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    for name, members in groups.items():
        path, seeds = SCORED / "udr" / f"{name}.json", [run.record["seed"] for run in members]
        if len(members) < 2 or (path.exists() and read_json(path)["seeds"] == seeds):
            continue
        scores = {}
        for variant in VARIANTS:
            found = udr([r.turned(variant) for r in members], [r.informative for r in members])
            scores[variant] = dict(zip([r.name for r in members], found["score"], strict=True))
        write_json(path, {"seeds": seeds, "rows": ROWS, "scores": scores})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--runs", type=Path, required=True, help="a suite's folder of runs, e.g. runs/ablation"
    )
    parser.add_argument("--checkpoints", action="store_true", help="intermediate ones too")
    options = parser.parse_args()
    if not options.runs.is_dir():
        parser.error(f"{options.runs} is no folder; give the one that holds a suite's runs")
    runs = finished(options.runs, options.checkpoints)
    for run in runs:
        measure(run)
    rank_seeds(runs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
