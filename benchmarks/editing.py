"""Editing quality with exact factors: what changes when one direction is moved.

    OMP_NUM_THREADS=1 python benchmarks/editing.py --runs RUNS [RUNS ...] --cache CACHE

RUNS are folders of runs as `cldis bench` names them (method-data-images-sSEED); every finished one
on rooms or kuka with a diffusion decoder counts. Each direction moves held-out images from their
inverted x_T, and a reader (`factor_reader.py`) reads all factors of what was decoded. Pictures are
kept in CACHE, so that a second call measures only what is new.
Writes results/editing.json, editing.md and a picture per data set, for runs at 32 px; with
`--resolution 64` results/editing64.* for runs at 64 px.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from editing_page import differences, page, picture, summaries
from factor_reader import KINDS, Reader, open_reader
from factor_reader import VERSION as READER_VERSION
from numpy.typing import NDArray
from shared import RESULTS, cached, provenance
from torch import Tensor

import cldis
from cldis.data import open_data
from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.images import from_uint8, to_model, to_uint8
from cldis.io import write_json, write_text
from cldis.metrics.editing import best_directions, changed, editing_scores, resampled_scores
from cldis.model import Model
from cldis.navigation.directions import Directions
from cldis.navigation.store import has_directions, load_directions, read_about
from cldis.training.run_folder import RunFolder

AMOUNTS = (-2.0, -1.0, 1.0, 2.0)  # standard deviations of the code along the direction
SETS = ("units", "navigated", "pca", "random")
FIRST = ("closed_led_go", "encdiff", "closed_led", "diffae", "closed", "open")  # shown first
IMAGES = 32  # held out, of each data set
STEPS = 10  # of inversion and of decoding
SEEN = 512  # training images whose codes give PCA and the spread along a direction
VERSION = 1  # raise when edits change: it enters what a cache file is checked for


@dataclass(frozen=True)
class Run:
    """A finished run and what its name says."""

    folder: RunFolder
    model: Model
    method: str
    data: str
    seed: int

    @property
    def name(self) -> str:
        return self.folder.path.name

    @property
    def images(self) -> int:
        return self.folder.config.training.images


@dataclass(frozen=True)
class TestSet:
    """What every run on one data set is measured with."""

    source: ImageSource
    images: Tensor  # [n, 3, H, W] held out
    truth: NDArray[np.int64]  # [n, k]
    seen: Tensor  # [SEEN, 3, H, W] training images
    reader: Reader

    def wrong(self, values: NDArray[np.int64]) -> dict[str, float]:
        """Per factor how often readings [n, k] are off by more than the tolerance."""
        wrong = self.changed(self.truth, values).mean(axis=0)
        return dict(zip(self.reader.names, wrong.tolist(), strict=True))

    def changed(self, before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.bool_]:
        reader = self.reader
        return changed(before, after, reader.sizes, reader.kinds, reader.tolerances)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=32, help="only runs of this side")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    options = parser.parse_args()
    side, names = options.resolution, " ".join(folder.name for folder in options.runs)
    stem = "editing" if side == 32 else f"editing{side}"
    result: dict[str, Any] = {
        "command": f"python benchmarks/editing.py --runs {names} --resolution {side}",
        "images": IMAGES,
        "steps": STEPS,
        "amounts": AMOUNTS,
        "reader_version": READER_VERSION,
        **provenance(),
        "data": {},
        "runs": {},
    }
    runs = finished(options.runs, side)
    for data in KINDS:
        own = [run for run in runs if run.data == data]
        if own:
            measure(result, own, prepare(data, side, options.cache), stem, options)
    result["summary"] = {data: summaries(result, data) for data in result["data"]}
    result["differences"] = {data: differences(result, data) for data in result["data"]}
    for run in result["runs"].values():
        for scores in (score for amounts in run["sets"].values() for score in amounts.values()):
            del scores["draws"]
    write_json(RESULTS / f"{stem}.json", result)
    write_text(RESULTS / f"{stem}.md", page(result, stem))


def finished(folders: list[Path], resolution: int) -> list[Run]:
    """Runs that reached their budget and can decode; of two with one name, the first folder's."""
    found: dict[str, Run] = {}
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        parts = re.fullmatch(r"(\w+)-(\w+)-\d+-s(\d+)", path.name)
        if not parts or parts[2] not in KINDS or path.name in found:
            continue
        if not (path / "run.json").is_file():
            continue
        folder = RunFolder.open(path)
        latest, config = folder.latest(), folder.config
        if latest is None or int(latest.name) < config.training.images:
            continue
        if config.model.resolution == resolution:
            model = cldis.load(path)
            if model.loop.denoiser is not None:
                found[path.name] = Run(folder, model, parts[1], parts[2], int(parts[3]))
    place = {method: number for number, method in enumerate(FIRST)}
    return sorted(
        found.values(),
        key=lambda run: (place.get(run.method, 9), run.method, -run.images, run.name),
    )


def numbers(source: ImageSource) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the held-out images that are edited, and of training images."""
    train, held_out = split(len(source))
    chosen = held_out[np.linspace(0, len(held_out) - 1, IMAGES).round().astype(int)]
    return chosen, np.sort(np.random.default_rng(0).permutation(train)[:SEEN])


def prepare(data: str, resolution: int, cache: Path) -> TestSet:
    source = open_data(data, resolution)
    chosen, seen = numbers(source)
    return TestSet(
        source,
        to_model(source.batch(chosen)),
        source.factors(chosen),
        to_model(source.batch(seen)),
        open_reader(source, cache),
    )


def measure(
    result: dict[str, Any], runs: list[Run], test: TestSet, stem: str, options: argparse.Namespace
) -> None:
    """Put the scores of all runs on one data set into the result, and draw its picture."""
    data, reader = test.source.name, test.reader
    result["data"][data] = {
        "resolution": test.source.resolution,
        "fingerprint": test.source.fingerprint,
        "reader": reader.accuracy,
        "originals": test.wrong(reader.read(test.images)),
    }
    blocks: dict[str, Tensor] = {}  # of the first run of a method
    for run in runs:
        found: dict[str, Any] = {}
        for kind in options.sets:
            if kind == "navigated" and not has_directions(run.folder):
                continue
            base, edited = edits(run, kind, test, options.cache)
            before = reader.read(from_uint8(base))
            after = reader.read(from_uint8(edited.flatten(0, 2))).reshape(*edited.shape[:3], -1)
            changes = test.changed(before[None, :, None], after)  # [K, n, a, k]
            found[kind] = {}
            for size in (1.0, 2.0):
                of_size = changes[:, :, np.abs(AMOUNTS) == size]
                draws = resampled_scores(of_size)
                found[kind][f"{size:g}"] = {**editing_scores(of_size), "draws": draws}
            if kind == "units" and run.method not in blocks and len(blocks) < 2:
                blocks[run.method] = best_edits(base, edited, changes)
        result["runs"][run.name] = {
            "method": run.method,
            "data": data,
            "seed": run.seed,
            "images": run.images,
            "trained_from": run.folder.about["git"],
            "floor": test.wrong(before),
            "sets": found,
        }
    if blocks:
        names = [name.replace("_", " ") for name in reader.names]
        picture(blocks, names, AMOUNTS, RESULTS / f"{stem}-{data}.png")


def learned(run: Run) -> Directions:
    """All columns of the learned A, those that nothing recognised too: no rule enters here."""
    recognised, dropped = load_directions(run.folder), read_about(run.folder)["dropped"]
    columns = torch.tensor([entry["column"] for entry in dropped]).reshape(-1, recognised.units)
    return Directions(torch.cat([recognised.matrix, columns.T], dim=1), recognised.origin)


def shifts(run: Run, kind: str, seen: Tensor) -> Tensor:
    """The change of z [K, d] that is one standard deviation of the codes along each direction."""
    spread = run.model.unit_std.clamp_min(1e-6)
    codes, units = run.model.encode(seen).z / spread, run.model.units
    directions = {
        "units": lambda: Directions.identity(units),
        "navigated": lambda: learned(run),
        "pca": lambda: Directions.pca(codes, units),
        "random": lambda: Directions.random(units, units, 0),
    }
    matrix = directions[kind]().matrix  # [d, K]
    along = (codes @ matrix).std(dim=0, correction=0)  # 1 for a unit
    return (spread[:, None] * matrix * along).T


def edits(run: Run, kind: str, test: TestSet, cache: Path) -> tuple[Tensor, Tensor]:
    """Unedited [n, 3, H, W] and edited images [K, n, a, 3, H, W], uint8, of exact edits.

    They are drawn where the cache does not hold them.
    """
    latest = run.folder.latest()
    assert latest is not None
    about = json.dumps(
        {
            "version": VERSION,
            "run": run.folder.about["created"],
            "checkpoint": latest.name,
            "images": IMAGES,
            "steps": STEPS,
            "amounts": AMOUNTS,
            "directions": learned(run).matrix.tolist() if kind == "navigated" else kind,
        }
    )

    def drawn() -> dict[str, Tensor]:
        start = run.model.start(test.images, STEPS, exact=True)
        changes = shifts(run, kind, test.seen)
        edited = [run.model.move_along(start, change, AMOUNTS) for change in changes]
        return {"base": to_uint8(start.again), "edited": to_uint8(torch.stack(edited))}

    found = cached(cache / "edits" / f"{run.name}-{kind}.safetensors", about, drawn)
    return found["base"], found["edited"]


def best_edits(base: Tensor, edited: Tensor, changes: NDArray[np.bool_]) -> Tensor:
    """Two images under the best unit of each factor: [k, 2, a + 1, 3, H, W], unedited in between.

    Units are chosen on the even images; the two that are shown are odd.
    """
    best = torch.from_numpy(best_directions(changes[:, 0::2]))
    odd = [1, len(base) // 4 * 2 + 1]
    shown = from_uint8(edited[best][:, odd])
    plain = from_uint8(base[odd]).expand(len(best), -1, -1, -1, -1)[:, :, None]
    middle = len(AMOUNTS) // 2
    return torch.cat([shown[:, :, :middle], plain, shown[:, :, middle:]], dim=2)


if __name__ == "__main__":
    main()
