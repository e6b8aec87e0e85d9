"""Scores that need no labels beside DCI and FactorVAE, over the finished runs of a bench suite.

    python benchmarks/tracking_validation.py --runs RUNS/ablation [--minutes 300] [--checkpoints]
    python benchmarks/tracking_validation.py --table

The first form scores every finished run below --runs that has a result in results/SUITE and writes
results/tracking_validation/NAME.json; with --minutes it looks for newly finished runs until the
time is up. Each score is kept with the settings it was taken with, and only what is missing, or
was taken with other settings, is taken again. Several processes may share the work. The second
form writes results/tracking_validation.md.

The code is the one that conditions the decoder, or z_disen of a run without diffusion. Directions
are its raw units. Two negative controls have the same content in worse directions: `rotated`
(a random rotation of the informative units, each divided by its spread) and `mixed` (informative
units in pairs, each pair turned by 45 degrees). Choices in how a score is taken were made on rooms
alone; kuka confirms them.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tracking_runs import CENTRE, IMAGES, ROWS, SCRATCH, SHIFTS, TRAVERSALS, VARIANTS, Run
from tracking_table import write_table

from cldis.bench.record import Damaged, read_record
from cldis.io import read_json, write_json
from cldis.metrics import (
    dci,
    gaussian_total_correlation,
    pairwise_mutual_information,
    self_mig,
    tracking,
    udr,
    variation_predictability,
)
from cldis.metrics.suite import SETTINGS
from cldis.metrics.tracking.changes import image_changes
from cldis.metrics.tracking.floor import Floor
from cldis.metrics.tracking.score import score
from cldis.metrics.tracking.sums import TrackingSums

RESULTS = Path(__file__).parent.parent / "results"
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
    found = score(sums)
    rows = found.pop("directions")
    parts = {name: float(part) for name, part in found.items()}
    return {**parts, "activity": float(np.mean([row["activity"] for row in rows]))}


def definition() -> str:
    """Which content tracking it is: a sum over the code that defines it."""
    sources = sorted(Path(tracking.__path__[0]).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


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
    "tracking": Score(content_tracking, {**TRAVERSALS, "definition": definition()}),
}


# ------------------------------------------------------------------------------------ the work


def finished(runs: Path, results: Path, every_checkpoint: bool) -> Iterator[Run]:
    """Checkpoints with scores, all methods and data sets of the first seed first."""
    found = []
    for folder in runs.iterdir():
        path = results / runs.name / f"{folder.name}.json"
        if not path.exists() or not (folder / "run.json").exists():
            continue
        try:
            record = read_record(path)
        except Damaged as error:
            print(f"{error}: left out", file=sys.stderr)
            continue
        curve = record["curve"] if every_checkpoint else record["curve"][-1:]
        found += [Run(folder, record, point) for point in curve]
    there = [run for run in found if (run.checkpoint / "state.json").exists()]
    yield from sorted(there, key=lambda run: (run.record["seed"], not run.last, run.name))


@contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Hold the lock for a result; False when another process has it."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    lock = SCRATCH / f"{digest}.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def missing(kept: dict[str, Any]) -> list[str]:
    scores = kept.get("scores", {})
    return [
        name for name, one in SCORES.items() if scores.get(name, {}).get("settings") != one.settings
    ]


def work(run: Run, path: Path) -> bool:
    """Take what is missing of one run; False when nothing was, or another process is at it."""
    if not missing(read_json(path) if path.exists() else {}):
        return False
    with taken(path) as mine:
        kept = read_json(path) if path.exists() else {}
        names = missing(kept)
        if not mine or not names:
            return False
        keys = ("suite", "method", "data", "seed", "resolution", "fingerprint")
        labels = run.point["codes"][run.code]
        kept = {
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
                for setting, found in labels.items()
            },
            "scores": kept.get("scores", {}),
            "failed": kept.get("failed", {}),
        }
        variants = VARIANTS if run.informative.sum() >= 2 else VARIANTS[:1]  # nothing to mix
        for name in names:
            one, start = SCORES[name], time.perf_counter()
            try:
                found = {v: one.take(run, v, one.settings) for v in variants}
            except ValueError as error:  # a collapsed code has no score; the table counts it
                kept["failed"][name], found = str(error), {}
            seconds = round(time.perf_counter() - start, 1)
            kept["scores"][name] = {"settings": one.settings, "seconds": seconds, **found}
            write_json(path, kept)
            raw = found.get("raw", {}).get("score")
            print(f"{run.name}: {name} {raw} ({seconds} s)", file=sys.stderr, flush=True)
    return True


def rank_seeds(runs: list[Run], out: Path) -> None:
    """UDR of every method with two or more seeds."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    for name, members in groups.items():
        path, seeds = out / "udr" / f"{name}.json", [run.record["seed"] for run in members]
        if len(members) < 2 or (path.exists() and read_json(path)["seeds"] == seeds):
            continue
        with taken(path) as mine:
            if not mine:
                continue
            scores = {}
            for variant in VARIANTS:
                found = udr([r.turned(variant) for r in members], [r.informative for r in members])
                scores[variant] = dict(zip([r.name for r in members], found["score"], strict=True))
            write_json(path, {"seeds": seeds, "rows": ROWS, "scores": scores})
            print(f"{name}: UDR of {len(seeds)} seeds", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, help="a suite's folder of runs, e.g. runs/ablation")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where SUITE/*.json lie")
    parser.add_argument("--minutes", type=float, default=0, help="look for new runs that long")
    parser.add_argument("--checkpoints", action="store_true", help="intermediate ones too")
    parser.add_argument("--only", default="", help="runs with this in their name")
    parser.add_argument("--table", action="store_true", help="write the table")
    options = parser.parse_args()
    out = options.results / "tracking_validation"
    if options.table:
        print(write_table(out, {name: one.settings for name, one in SCORES.items()}))
    if options.runs is None:
        if not options.table:
            parser.error("give --runs, --table, or both")
        return
    if not options.runs.is_dir():
        parser.error(f"{options.runs} is no folder; give the one that holds a suite's runs")
    deadline = time.monotonic() + 60 * options.minutes
    while True:
        runs = list(finished(options.runs, options.results, options.checkpoints))
        runs = [run for run in runs if options.only in run.name]
        rank_seeds(runs, out)
        # One run at a time, then another look: the first seed of a new method comes first.
        if any(work(run, out / f"{run.name}.json") for run in runs):
            continue
        if time.monotonic() >= deadline:
            return
        time.sleep(30)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
