"""Editing quality with exact factors: what changes when one direction is moved.

    OMP_NUM_THREADS=1 python benchmarks/editing.py --runs RUNS [RUNS ...] --cache CACHE

RUNS are folders of runs as `cldis bench` names them (method-data-images-sSEED); every finished one
on rooms or kuka with a diffusion decoder counts. Each direction moves held-out images from their
inverted x_T, and a reader (`factor_reader.py`) reads all factors of what was decoded. Pictures are
kept in CACHE, so that a second call measures only what is new; `--table` measures nothing.
Writes results/editing.json, editing.md and a picture per data set, for runs at 32 px; with
`--resolution 64` results/editing64.* for runs at 64 px.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from editing_page import page, picture
from factor_reader import KINDS, Reader, open_reader
from factor_reader import VERSION as READER_VERSION
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

import cldis
from cldis.data import open_data
from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.images import from_uint8, to_model, to_uint8
from cldis.io import write_bytes, write_json, write_text
from cldis.methods.build import build
from cldis.metrics.editing import best_directions, changed, editing_scores, resampled_scores
from cldis.model import Model
from cldis.navigation.directions import Directions
from cldis.navigation.store import has_directions, load_directions, read_about
from cldis.training.run_folder import RunFolder, git_revision, versions

RESULTS = Path(__file__).parent.parent / "results"
AMOUNTS = (-2.0, -1.0, 1.0, 2.0)  # standard deviations of the code along the direction
SETS = ("units", "navigated", "pca", "random")
FIRST = ("closed_led_go", "encdiff", "closed_led", "diffae", "closed", "open")  # shown first
SEEN = 512  # training images whose codes give PCA and the spread along a direction
VERSION = 1  # raise when edits change: it enters what a cache file is checked for

Readings = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Run:
    """A finished run and what its name says."""

    folder: RunFolder
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
class Bench:
    """What every run on one data set is measured with."""

    source: ImageSource
    images: Tensor  # [n, 3, H, W] held out
    truth: NDArray[np.int64]  # [n, k]
    seen: Tensor  # [SEEN, 3, H, W] training images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=32, help="only runs of this side")
    parser.add_argument("--images", type=int, default=64, help="held-out images of each data set")
    parser.add_argument("--steps", type=int, default=10, help="of inversion and of decoding")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--methods", nargs="+", help="measure only these")
    parser.add_argument("--table", action="store_true", help="only write what CACHE holds")
    options = parser.parse_args()
    runs = finished(options.runs, options.resolution)
    benches = {data: prepare(data, options) for data in KINDS if any(r.data == data for r in runs)}
    for kind in options.sets if not options.table else ():
        for run in runs:
            if kind == "navigated" and not has_directions(run.folder):
                continue
            if not options.methods or run.method in options.methods:
                decode(run, kind, benches[run.data], options)
    write([run for run in runs if kept_sets(run, options)], benches, options)


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
        if config.model.resolution == resolution and build(config).denoiser is not None:
            found[path.name] = Run(folder, parts[1], parts[2], int(parts[3]))
    place = {method: number for number, method in enumerate(FIRST)}
    return sorted(
        found.values(),
        key=lambda run: (place.get(run.method, 9), run.method, -run.images, run.name),
    )


def prepare(data: str, options: argparse.Namespace) -> Bench:
    source = open_data(data, options.resolution)
    train, held_out = split(len(source))
    chosen = held_out[np.linspace(0, len(held_out) - 1, options.images).round().astype(int)]
    seen = np.sort(np.random.default_rng(0).permutation(train)[:SEEN])
    return Bench(
        source,
        to_model(source.batch(chosen)),
        source.factors(chosen),
        to_model(source.batch(seen)),
    )


def directions_of(run: Run, kind: str, codes: Tensor) -> Directions:
    """Directions of one kind; `codes` [n, d] are divided by the units' spread."""
    units = codes.shape[1]
    if kind == "navigated":
        return learned(run)
    if kind == "pca":
        return Directions.pca(codes, units)
    return Directions.identity(units) if kind == "units" else Directions.random(units, units, 0)


def learned(run: Run) -> Directions:
    """All columns of the learned A, those that nothing recognised too: no rule enters here."""
    kept_ones, dropped = load_directions(run.folder), read_about(run.folder)["dropped"]
    columns = torch.tensor([entry["column"] for entry in dropped]).reshape(-1, kept_ones.units)
    matrix = torch.cat([kept_ones.matrix, columns.T], dim=1)
    return Directions(matrix, kept_ones.origin)


def moves(run: Run, kind: str, model: Model, seen: Tensor) -> Tensor:
    """The change of z [K, d] that is one standard deviation of the codes along each direction."""
    spread = model.unit_std.clamp_min(1e-6)
    codes = model.encode(seen).z / spread
    matrix = directions_of(run, kind, codes).matrix  # [d, K]
    along = (codes @ matrix).std(dim=0, correction=0)  # 1 for a unit
    return (spread[:, None] * matrix * along).T


def decoded(
    model: Model, images: Tensor, changes: Tensor, amounts: tuple[float, ...], steps: int
) -> tuple[Tensor, Tensor]:
    """Unedited [n, 3, H, W] and edited images [K, n, a, 3, H, W], from the inverted x_T."""
    z = model.encode(images).z
    x_T = model.invert(images, z, steps)
    shifts = changes[:, None, None] * torch.tensor(amounts)[:, None]  # [K, 1, a, d]
    moved = z[:, None] + shifts  # [K, n, a, d]
    starts = x_T[:, None].expand(-1, len(amounts), -1, -1, -1).flatten(0, 1)
    edited = [model.decode(codes.flatten(0, 1), starts, steps) for codes in moved]
    return model.decode(z, x_T, steps), torch.stack(edited).unflatten(1, (len(z), len(amounts)))


def kept(run: Run, kind: str, options: argparse.Namespace) -> tuple[Path, str]:
    """The cache file of a run's edits, and what it must say of itself to be the right one."""
    latest = run.folder.latest()
    assert latest is not None
    navigated = kind == "navigated"
    about = {
        "version": VERSION,
        "run": run.folder.about["created"],
        "checkpoint": latest.name,
        "images": options.images,
        "steps": options.steps,
        "amounts": AMOUNTS,
        "directions": learned(run).matrix.tolist() if navigated else kind,
    }
    return options.cache / "edits" / f"{run.name}-{kind}.safetensors", json.dumps(about)


def is_kept(path: Path, about: str) -> bool:
    if not path.is_file():
        return False
    with safe_open(path, framework="pt") as file:
        return bool(file.metadata()["about"] == about)


def decode(run: Run, kind: str, bench: Bench, options: argparse.Namespace) -> None:
    """Put `base` [n, 3, H, W] and `edited` [K, n, a, 3, H, W], uint8, into the cache."""
    path, about = kept(run, kind, options)
    if is_kept(path, about):
        return
    model = cldis.load(run.folder.path)
    changes = moves(run, kind, model, bench.seen)
    base, edited = decoded(model, bench.images, changes, AMOUNTS, options.steps)
    pictures = {"base": to_uint8(base), "edited": to_uint8(edited)}
    write_bytes(path, save(pictures, metadata={"about": about}))
    print(path.stem, flush=True)


def kept_sets(run: Run, options: argparse.Namespace) -> list[str]:
    """The sets of directions whose edits the cache holds."""
    there = [kind for kind in SETS if kind != "navigated" or has_directions(run.folder)]
    return [kind for kind in there if is_kept(*kept(run, kind, options))]


def read_edits(run: Run, kind: str, reader: Reader, options: argparse.Namespace) -> Readings:
    """The readings `base` [n, k] and `edited` [K, n, a, k] of edits in the cache."""
    with safe_open(kept(run, kind, options)[0], framework="pt") as file:
        base, edited = file.get_tensor("base"), file.get_tensor("edited")
    values = reader.read(from_uint8(edited.flatten(0, 2)))
    return {
        "base": reader.read(from_uint8(base)),
        "edited": values.reshape(*edited.shape[:3], -1),
    }


def changes_in(table: Readings, reader: Reader) -> NDArray[np.bool_]:
    """Whether each edit changes the reading of each factor: [K, n, a, k]."""
    before = table["base"][None, :, None]
    return changed(before, table["edited"], reader.sizes, reader.kinds, reader.tolerances)


def wrong_share(
    values: NDArray[np.int64], truth: NDArray[np.int64], reader: Reader
) -> dict[str, float]:
    """Per factor how often readings [n, k] of images are off by more than the tolerance."""
    wrong = changed(truth, values, reader.sizes, reader.kinds, reader.tolerances)
    return dict(zip(reader.names, wrong.mean(axis=0).tolist(), strict=True))


def by_amount() -> Iterator[tuple[str, list[int]]]:
    """("1", columns of -1 and +1), ("2", ...)."""
    for size in sorted({abs(amount) for amount in AMOUNTS}):
        yield f"{size:g}", [i for i, amount in enumerate(AMOUNTS) if abs(amount) == size]


def write(runs: list[Run], benches: dict[str, Bench], options: argparse.Namespace) -> None:
    """All scores of the runs, of which edits are kept, the page and the pictures."""
    stem = "editing" if options.resolution == 32 else f"editing{options.resolution}"
    benches = {data: bench for data, bench in benches.items() if any(r.data == data for r in runs)}
    readers = {data: open_reader(bench.source, options.cache) for data, bench in benches.items()}
    found = {
        run.name: {
            kind: read_edits(run, kind, readers[run.data], options)
            for kind in kept_sets(run, options)
        }
        for run in runs
    }
    result: dict[str, Any] = {
        "command": "python benchmarks/editing.py --runs "
        + " ".join(folder.name for folder in options.runs)
        + ("" if stem == "editing" else f" --resolution {options.resolution}")
        + f" --images {options.images} --steps {options.steps}",
        "images": options.images,
        "steps": options.steps,
        "amounts": AMOUNTS,
        "reader_version": READER_VERSION,
        "git": git_revision(),
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU, one thread",
        "data": {},
        "runs": {},
    }
    for data, bench in benches.items():
        result["data"][data] = {
            "resolution": bench.source.resolution,
            "fingerprint": bench.source.fingerprint,
            "reader": readers[data].accuracy,
            "originals": wrong_share(readers[data].read(bench.images), bench.truth, readers[data]),
        }
    for run in runs:
        reader, tables = readers[run.data], found[run.name]
        sets: dict[str, Any] = {}
        for kind, table in tables.items():
            changes = changes_in(table, reader)
            sets[kind] = {
                amount: {
                    **editing_scores(changes[:, :, columns]),
                    "draws": resampled_scores(changes[:, :, columns]),
                }
                for amount, columns in by_amount()
            }
        result["runs"][run.name] = {
            "method": run.method,
            "data": run.data,
            "seed": run.seed,
            "images": run.images,
            "trained_from": run.folder.about["git"],
            "floor": wrong_share(
                next(iter(tables.values()))["base"], benches[run.data].truth, reader
            ),
            "sets": sets,
        }
    pictures = {}
    for data, reader in readers.items():
        shown = shown_runs([run for run in runs if run.data == data and "units" in found[run.name]])
        blocks = {
            run.method: strip(run, found[run.name]["units"], reader, options) for run in shown
        }
        if blocks:
            pictures[data] = [run.name for run in shown]
            names = [name.replace("_", " ") for name in reader.names]
            picture(blocks, names, AMOUNTS, RESULTS / f"{stem}-{data}.png")
    text = page(result, pictures, stem)  # takes the draws out of the result
    write_json(RESULTS / f"{stem}.json", result)
    write_text(RESULTS / f"{stem}.md", text)


def shown_runs(runs: list[Run]) -> list[Run]:
    """The first seed of the first two methods, in the order of measuring."""
    firsts: dict[str, Run] = {}
    for run in runs:
        firsts.setdefault(run.method, run)
    return list(firsts.values())[:2]


def strip(run: Run, table: Readings, reader: Reader, options: argparse.Namespace) -> Tensor:
    """Two images under the best unit of each factor: [k, 2, a + 1, 3, H, W], unedited in between.

    Units are chosen on the even images; the two that are shown are odd.
    """
    best = torch.from_numpy(best_directions(changes_in(table, reader)[:, 0::2]))
    with safe_open(kept(run, "units", options)[0], framework="pt") as file:
        base, edited = file.get_tensor("base"), file.get_tensor("edited")
    odd = [1, len(base) // 4 * 2 + 1]
    moved = from_uint8(edited[best][:, odd])
    plain = from_uint8(base[odd]).expand(len(best), -1, -1, -1, -1)[:, :, None]
    middle = len(AMOUNTS) // 2
    return torch.cat([moved[:, :, :middle], plain, moved[:, :, middle:]], dim=2)


if __name__ == "__main__":
    main()
