"""Content tracking of a trained model: every direction scored on images, without labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.arrays import spread
from cldis.data.open import open_data
from cldis.data.source import ImageSource
from cldis.editing.photos import held_out
from cldis.io import read_json, user_path, write_json
from cldis.metrics.tracking.changes import about_one, colour_fields, image_changes
from cldis.metrics.tracking.field import check_shifts
from cldis.metrics.tracking.floor import Floor
from cldis.metrics.tracking.motion import flow_function
from cldis.metrics.tracking.score import check_images, score_groups
from cldis.metrics.tracking.sums import TrackingSums
from cldis.model import Model, load
from cldis.navigation.directions import Directions
from cldis.navigation.store import directions_or_units
from cldis.progress import each
from cldis.tracking.maps import FOLDER, SCORES, maps_of, save_maps
from cldis.tracking.pictures import write_pictures
from cldis.tracking.result import Tracking
from cldis.training.contents import TRACKING_FORMAT
from cldis.training.lock import run_lock
from cldis.training.run_data import is_run_data, open_run_data, record_place
from cldis.training.run_folder import RunFolder

IMAGES = 64
WHOLE = 16  # of them are moved by all shifts, the others by those about 1 alone
SHIFTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviations
STEPS = 5  # of DPM-Solver++
GROUPS = 8  # of images, for the errors of scores
STARTS = 2  # other x_T per image, for the noise floor
CODES = 1_000  # images whose codes say which directions vary together
SHOWN = 3  # images kept for the gallery
FAR = 1.0  # standard deviations that codes may lie off, root mean square over units


def track(
    run: str | Path | RunFolder | Model,
    source: ImageSource | None = None,
    images: int = IMAGES,
    shifts: Sequence[float] = SHIFTS,
    steps: int = STEPS,
    directions: Directions | None = None,
    estimator: str = "farneback",
    seed: int = 0,
    progress: bool = False,
) -> Tracking:
    """Traverse every direction from every image and score what changes.

    The pictures of one image all start from one random x_T: with the inverted one, what x_T knows
    of the photo would hold against the code. A run without diffusion draws with its VAE.

    Args:
        run: a model needs `source`; its directions are its units unless given.
        source: the images; None opens the data of the run. Of the training data only held-out
            images are taken.
        images: how many, at least 2; fewer when there are fewer.
        shifts: rising standard deviations, 0 among them.
        steps: of the few-step decoder.
        directions: None takes those stored in the run, else each unit.
        estimator: of motion, `farneback` or `dis`.
        seed: of the x_T.

    Returns:
        Scores as `cldis.metrics.tracking.score.score_groups` gives them, plus `settings`, `data`,
        `origin` of the directions, `name` per direction that has one, `noise_floor` in grey levels,
        and `warnings` in words.

    Raises:
        ValueError: no run or checkpoint, too few or equal images, wrong shifts, another
            resolution, directions of another number of units, or no OpenCV.
    """
    flow_function(estimator)
    folder = None
    if isinstance(run, Model):
        model = run
        if source is None:
            raise ValueError("a model does not know its images; give `source`")
        directions = directions or Directions.identity(model.units)
    else:
        folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
        model = load(folder.path)
        directions = directions or directions_or_units(folder, model.units)
        source = source or open_run_data(folder, progress=progress)
    if directions.units != model.units:
        raise ValueError(
            f"the directions are of {directions.units} units, the model has {model.units}"
        )
    if source.resolution != model.resolution:
        raise ValueError(
            f"the images are {source.resolution} px but the model is of {model.resolution} px; "
            f"open them with open_data(name, {model.resolution})"
        )
    trained_on = folder is None or is_run_data(folder, source)
    chosen = choose(source, images, trained_on)
    worker = Worker(model, directions, shifts, steps, estimator, seed)
    tracking = worker.run(source, chosen, progress)
    tracking.scores.update(
        {
            "format": TRACKING_FORMAT,
            "asked": images,
            "origin": directions.origin,
            "data": {
                "name": source.name,
                "fingerprint": source.fingerprint,
                "trained_on": trained_on,
            },
            "settings": {
                "shifts": [float(shift) for shift in shifts],
                "steps": steps,
                "estimator": estimator,
                "seed": seed,
            },
            "warnings": worker.warnings,
        }
    )
    for number, name in directions.names.items():
        tracking.scores["directions"][number]["name"] = name
    return tracking


def choose(source: ImageSource, count: int, trained_on: bool) -> NDArray[np.int64]:
    """Numbers of the images: held-out ones of the training data, of other data any; evenly spread.

    Raises:
        ValueError: fewer than 2 asked for, or there.
    """
    if count < 2:
        check_images(count, math.inf)
    if trained_on:
        chosen = held_out(source, count)
        if len(chosen) < 2:
            raise ValueError(
                f"{source.name} has {len(chosen)} held-out image(s), and content tracking "
                f"compares images; give at least 2 with --data"
            )
        return chosen
    chosen = spread(len(source), count)
    check_images(len(chosen), math.inf)
    return chosen


class Worker:
    """Draws and measures, image by image."""

    def __init__(
        self,
        model: Model,
        directions: Directions,
        shifts: Sequence[float],
        steps: int,
        estimator: str,
        seed: int,
    ) -> None:
        self.model, self.directions, self.estimator = model, directions, estimator
        self.shifts, self.steps, self.seed = list(shifts), steps, seed
        self.centre = check_shifts(shifts)
        self.warnings: list[str] = []
        matrix = model.unit_std[:, None] * directions.matrix  # [d, K]
        moved = torch.tensor([float(shift) for shift in shifts if shift])  # [J - 1]
        self.changes = torch.einsum("dk,j->kjd", matrix, moved)  # [K, J - 1, d]

    def run(self, source: ImageSource, chosen: NDArray[np.int64], progress: bool) -> Tracking:
        codes = self.model.encode_source(source, chosen).z
        self.compare(codes)
        many = spread(len(source), CODES)
        held = self.held(self.model.encode_source(source, many).z)
        floor, again = Floor(), []
        for i, z in enumerate(codes):
            pictures = self.same_code(z, i)
            floor.add(pictures, self.estimator)
            again.append(pictures[-1].astype(np.uint8))
        groups = [TrackingSums(floor.level()) for _ in range(GROUPS)]
        samples: list[NDArray[np.uint8]] = []
        curves, whole = [], set(spread(len(chosen), WHOLE).tolist())
        numbers = each(chosen, len(chosen), "track", "images", not progress)
        for i, number in enumerate(numbers):
            picture = np.array(source.batch(np.array([number])))[0].transpose(1, 2, 0)
            pair = (picture.astype(np.float32), again[i].astype(np.float32))
            if i not in whole:
                low, high = self.two(codes[i], i)
                groups[i % GROUPS].add_field(colour_fields(low, high), *pair)
                continue
            frames = self.traversals(codes[i], i)  # [K, J, H, W, 3]
            seen = image_changes(frames, self.shifts, self.estimator)
            groups[i % GROUPS].add(seen, *pair)
            curves.append(seen.curve.astype(np.float32))
            if len(samples) < SHOWN:
                samples.append(np.round(frames).astype(np.uint8))
        level = floor.level().reshape(2, -1).mean(axis=1)
        scores, sums = score_groups(groups, held)
        if not scores["active"]:
            self.warnings.append(
                f"no direction changes the pictures more than another x_T does (noise floor "
                f"{level.sum():.1f} grey levels): the code holds too little of these images; "
                f"train longer, or see `cldis reconstruct` for what a random x_T gives back"
            )
        scores["noise_floor"] = {"motion": float(level[0]), "appearance": float(level[1])}
        return Tracking(scores, sums, self.directions, np.stack(samples), np.stack(curves))

    def compare(self, codes: Tensor) -> None:
        """Warn of images whose codes are far from those of the training images."""
        spread = self.model.unit_std.clamp(min=1e-6)
        off = (codes.mean(dim=0) - self.model.unit_mean) / spread
        wide = codes.std(dim=0, correction=0) / spread
        distance = float(off.pow(2).mean().sqrt())
        width = float(wide.pow(2).mean().sqrt())
        allowed = FAR + 2 / math.sqrt(len(codes))
        if distance > allowed or width > 1 + allowed:
            self.warnings.append(
                f"the images are unlike the training images: their codes lie {distance:.1f} "
                f"standard deviations off on average and spread {width:.1f} times as wide; scores "
                f"tell little about either set"
            )

    def held(self, codes: Tensor) -> NDArray[np.float64]:
        """What each direction has in each code, [n, K]: its coordinates, in standard deviations."""
        scaled = (codes - self.model.unit_mean) / self.model.unit_std.clamp(min=1e-6)
        return np.asarray((scaled @ self.directions.matrix).double().numpy())

    def same_code(self, z: Tensor, i: int) -> NDArray[np.float32]:
        """One code from its own x_T and from `STARTS` others: [1 + STARTS, H, W, 3].

        An exact decoder has one picture of a code: [1, H, W, 3].
        """
        if not self.model.diffuses:
            return self.draw(z[None], None)
        starts = torch.cat([self.start(i, part) for part in range(1 + STARTS)])
        return self.draw(z.expand(len(starts), -1), starts)

    def traversals(self, z: Tensor, i: int) -> NDArray[np.float32]:
        """Every direction and shift of one image from one x_T: [K, J, H, W, 3] in 0..255."""
        codes = torch.cat([z[None], (z + self.changes).flatten(0, 1)])
        pictures = self.from_start(codes, i)
        moved = pictures[1:].reshape(self.directions.count, -1, *pictures.shape[1:])
        middle = np.broadcast_to(pictures[0], (len(moved), 1, *pictures.shape[1:]))
        return np.concatenate([moved[:, : self.centre], middle, moved[:, self.centre :]], axis=1)

    def two(self, z: Tensor, i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The pictures of `traversals` at the shifts about 1 alone, [K, H, W, 3] each."""
        low, high = about_one(self.shifts)  # `changes` lack shift 0
        codes = torch.cat([z + self.changes[:, low], z + self.changes[:, high - 1]])
        pictures = self.from_start(codes, i)
        return pictures[: self.directions.count], pictures[self.directions.count :]

    def from_start(self, codes: Tensor, i: int) -> NDArray[np.float32]:
        """Pictures of codes from the x_T of image i."""
        start = None
        if self.model.diffuses:
            start = self.start(i, 0).expand(len(codes), -1, -1, -1)
        return self.draw(codes, start)

    def start(self, i: int, part: int) -> Tensor:
        """An x_T of its own for every image and part, [1, 3, H, W]."""
        return self.model.random_start(1, (self.seed * 1_000_003 + i) * (1 + STARTS) + part)

    def draw(self, codes: Tensor, starts: Tensor | None) -> NDArray[np.float32]:
        """Pictures [n, H, W, 3] in grey levels 0..255, by diffusion or by the VAE."""
        drawn = self.model.decode(codes, starts, self.steps, fast=True)
        pictures = drawn.add(1).mul(127.5).clamp(0, 255)
        return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).numpy())


def track_to_folder(
    path: str | Path,
    data: str | None = None,
    images: int = IMAGES,
    out: str | Path | None = None,
    progress: bool = True,
) -> tuple[dict[str, Any], Path]:
    """Track a run; write `scores.json`, pictures and `maps.safetensors` (see `track_maps`).

    Args:
        data: folder or name of the images; None takes those of the run. Where they are those of
            the run, the place is recorded in it.
        out: None writes to `RUN/tracking`.

    Returns:
        Scores and the folder.

    Raises:
        ValueError: see `track`; scores of the run's own images would be replaced by those of other
            images, or another process writes into the run.
    """
    run = RunFolder.open(path)
    source = open_data(data, run.config.model.resolution, progress=progress) if data else None
    folder = user_path(out) if out else run.path / FOLDER
    if source is not None and is_run_data(run, source):
        record_place(run, str(data))
    elif source is not None and not out:
        keep_scores(run, source)
    inside = run.path.resolve() in folder.resolve().parents
    with run_lock(run.path) if inside else nullcontext():
        tracking = track(run, source, images, progress=progress)
        checkpoint = run.used()
        tracking.scores["checkpoint"] = checkpoint.name
        write_pictures(tracking, folder)
        save_maps(maps_of(tracking), folder)
        write_json(folder / SCORES, tracking.scores)
    return tracking.scores, folder


def keep_scores(run: RunFolder, source: ImageSource) -> None:
    """Raises ValueError: scores of other images would replace those of the run's own images."""
    path = run.path / FOLDER / SCORES
    try:
        kept = path.is_file() and read_json(path)["data"]["trained_on"]
    except (ValueError, KeyError, TypeError):  # whoever wrote that, it is no score
        return
    if kept:
        raise ValueError(
            f"{path} holds scores of the images that the run was trained on, and {source.name} is "
            f"other images; keep both: give --out DIR"
        )
