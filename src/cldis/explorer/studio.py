"""What all visitors of one explorer share: the model, its directions in order, sample photos."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.diffusion.kept import Start
from cldis.editing.photos import Photos, heldout_photos
from cldis.explorer.collection import Collection
from cldis.explorer.regions import region
from cldis.images import reduced
from cldis.metrics.tracking.score import SHARE
from cldis.model import STEPS, Model, load
from cldis.navigation.store import directions_or_units, save_directions
from cldis.tracking.maps import tracked
from cldis.tracking.pictures import ranked
from cldis.training.lock import run_lock
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

PREVIEW_STEPS = 6
REACH = 3.0  # standard deviations to either side
MOST = 32  # sliders
SAMPLES, MADE_UP = 12, 4  # photos; pictures where there is no photo
GREY = 2 / 255  # a grey level of pictures in [-1, 1]
MEASURED, SHIFT = 3, 2.0  # samples on which every direction is shown, and how far it is moved
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Begin:
    """A photo as the model holds it; all pictures are [3, H, W] in [-1, 1]."""

    name: str
    image: Tensor
    start: Start  # of this one photo
    quick: Tensor  # its code drawn in few steps: what a preview is compared with
    alone: Tensor  # its code drawn from a random x_T: what the code knows of it

    @property
    def z(self) -> Tensor:
        """Its code, [d]."""
        return self.start.z[0]


@dataclass(frozen=True)
class Row:
    """One slider: a direction, where it changes pictures, and how well it does."""

    number: int
    heat: Array  # [h, w] in [0, 1]
    score: float | None  # of content tracking; None where the run was not tracked, or inactive
    active: bool  # whether it changes pictures

    @property
    def region(self) -> str:
        """Where it changes pictures, in a word."""
        return region(self.heat)


class Studio:
    """A run, opened for looking at. Methods may be called from several threads.

    Codes move along `rows`, in their order: an edit is a list of amounts, one per row, in standard
    deviations.
    """

    def __init__(self, run: RunFolder, model: Model, data: str | None = None) -> None:
        self.run, self.model, self.data = run, model, data
        self.steps = min(STEPS, run.config.diffusion.steps)
        self.quick_steps = min(PREVIEW_STEPS, self.steps)
        self.directions = directions_or_units(run, model.units)
        self.lock = threading.Lock()
        self._collection: Collection | None = None
        self._begins: dict[int, Begin] = {}
        self._strips: dict[int, Tensor] = {}
        self._measured: tuple[Start, Tensor] | None = None
        self.data_missing = ""
        self.samples = self._samples()
        self.rows = self._rows()

    @classmethod
    def open(cls, path: str | Path, data: str | None = None) -> Studio:
        """A run, with its images at `data`; None looks where the run says that they are.

        Raises:
            ValueError: no run there, no checkpoint yet, damaged directions, or `data` is not what
                the run was trained on.
        """
        run = RunFolder.open(path)
        if data is not None:
            open_run_data(run, data)
        return cls(run, load(path), data)

    @property
    def resolution(self) -> int:
        return self.model.resolution

    @property
    def kind(self) -> str:
        """What a row is called."""
        return self.directions.kind

    def name(self, row: int) -> str:
        """The name of a row, else nothing."""
        return self.directions.names.get(self.rows[row].number, "")

    def label(self, row: int) -> str:
        """The name of a row, else its kind and number."""
        return self.name(row) or f"{self.kind} {self.rows[row].number}"

    def rename(self, row: int, name: str) -> str:
        """Name a row, on disk too; the raw units of a run without navigation as well.

        Raises:
            ValueError: a name that is empty, too long, a number, or taken.
            OSError: the run folder cannot be written.
        """
        with self.lock:
            named = self.directions.named(self.rows[row].number, name)
            with run_lock(self.run.path):
                save_directions(self.run, named)
            self.directions = named
        return self.label(row)

    def refresh(self) -> None:
        """Take over names that were given elsewhere, as long as the directions are the same."""
        try:
            stored = directions_or_units(self.run, self.model.units)
        except ValueError:
            return
        with self.lock:
            if torch.equal(stored.matrix, self.directions.matrix):
                self.directions = stored

    def begin(self, image: Tensor, name: str) -> Begin:
        """Encode and invert a photo [3, H, W], and draw it again."""
        return self._begin(image, name, self.model.start(image[None], self.steps))

    def sample(self, index: int) -> Begin:
        """One of the sample photos; computed once."""
        with self.lock:
            begin = self._begins.get(index)
        if begin is None:
            image, name = self.samples.images[index], self.samples.names[index]
            if self._measured and index < MEASURED:
                start = self._measured[0].rows(slice(index, index + 1))
                begin = self._begin(image, name, start)
            else:
                begin = self.begin(image, name)
            with self.lock:
                self._begins[index] = begin
        return begin

    def change(self, amounts: Sequence[float]) -> Tensor:
        """The change of z, [d]."""
        moves = {row.number: amount for row, amount in zip(self.rows, amounts, strict=True)}
        return self.directions.shift(self.model.unit_std, moves)

    def preview(self, begin: Begin, amounts: Sequence[float]) -> Tensor:
        """An edit at once, [3, H, W], by the change that a few steps show."""
        if not any(amounts):
            return begin.image
        z = begin.z + self.change(amounts)
        return self._previews(begin.start, begin.quick[None], z[None])[0]

    def edited(self, begin: Begin, amounts: Sequence[float]) -> Tensor:
        """An edit, [3, H, W]."""
        if not any(amounts):
            return begin.image
        return self.full(begin, begin.z + self.change(amounts))

    def full(self, begin: Begin, z: Tensor) -> Tensor:
        """The photo with a code [d] in place of its own, [3, H, W]."""
        return self.many(begin, z[None])[0]

    def many(self, begin: Begin, z: Tensor) -> Tensor:
        """The photo with each of the codes [n, d] in place of its own, [n, 3, H, W]."""
        return self.model.edited(begin.start.repeated(len(z)), z)

    def traversal(
        self, begin: Begin, amounts: Sequence[float], row: int, places: Sequence[float]
    ) -> Tensor:
        """The edit with one row set to each of `places`, [n, 3, H, W]."""
        changes = []
        for place in places:
            moved = list(amounts)
            moved[row] = place
            changes.append(self.change(moved))
        return self.many(begin, begin.z + torch.stack(changes))

    def strip(self, row: int) -> Tensor:
        """The first samples, each moved down, as it is, and moved up: [n, 3, 3, h, w], `reduced`.

        Drawn as a preview is; computed once.
        """
        return self._strip(self.rows[row].number)

    def mixed(self, begin: Begin, other: Begin, chosen: Sequence[int]) -> Tensor:
        """`begin` with its place along the chosen rows taken from `other`, [3, H, W].

        In z / unit_std, along orthonormal directions a_k: z + sum_k a_k a_k'(z_other - z).
        """
        std = self.model.unit_std
        axes = self.directions.matrix[:, [self.rows[row].number for row in chosen]]  # [d, n]
        apart = (other.z - begin.z) / std.clamp(min=1e-6)
        return self.full(begin, begin.z + std * (axes @ (axes.T @ apart)))

    def collection(self) -> Collection:
        """Codes of the data of the run; computed once, by the first who asks.

        Raises:
            ValueError: the data is not there any more.
        """
        if self.data_missing:
            raise ValueError(self.data_missing)
        with self.lock:
            if self._collection is None:
                source = open_run_data(self.run, self.data)
                self._collection = Collection.of(self.model, self.directions, source)
            return self._collection

    def _begin(self, image: Tensor, name: str, start: Start) -> Begin:
        alone = self.model.decode(start.z, None, self.steps)[0]
        return Begin(name, image, start, self._quick(start, start.z)[0], alone)

    def _quick(self, start: Start, z: Tensor) -> Tensor:
        return self.model.decode(z, start.noise, self.quick_steps, fast=True, exact=start.exact)

    def _previews(self, start: Start, quick: Tensor, z: Tensor) -> Tensor:
        """Photos with codes [n, d] in place of theirs, by the change that a few steps show."""
        return start.edited(start.again + self._quick(start, z) - quick)

    def _strip(self, number: int) -> Tensor:
        """`strip` of a direction."""
        with self.lock:
            measured, strip = self._measured, self._strips.get(number)
        if strip is not None:
            return strip
        if measured is None:
            start = self.model.start(self.samples.images[:MEASURED], self.steps)
            measured = start, self._quick(start, start.z)
        start, quick = measured
        step = self.directions.shift(self.model.unit_std, {number: SHIFT})
        z = torch.stack([start.z - step, start.z + step], dim=1).flatten(0, 1)
        both = self._previews(start.repeated(2), quick.repeat_interleave(2, dim=0), z)
        low, high = both.unflatten(0, (len(start), 2)).unbind(1)
        strip = reduced(torch.stack([low, start.unmoved, high], dim=1))
        with self.lock:
            self._measured, self._strips[number] = measured, strip
        return strip

    def _samples(self) -> Photos:
        """Held-out photos, else pictures that the model makes up."""
        try:
            return heldout_photos(self.run, SAMPLES, self.data)
        except (ValueError, OSError, ImportError) as error:
            self.data_missing = f"The images of this run cannot be shown: {error}"
        pictures = self.model.decode(self.model.random_codes(MADE_UP), None, self.steps)
        return Photos(pictures, [f"made_up_{i}" for i in range(len(pictures))], [])

    def _rows(self) -> list[Row]:
        """Best score first; without scores, the strongest change first. Inactive ones last."""
        measured = tracked(self.run, self.directions)
        if measured.scores:
            numbers = [row["number"] for row in ranked(measured.scores)][:MOST]
        elif self.kind == "unit":
            order = torch.argsort(self.model.unit_std, descending=True, stable=True)
            numbers = order[:MOST].tolist()
        else:
            numbers = list(range(self.directions.count))[:MOST]
        if measured.maps is None:
            heats = self._heats(numbers)
        else:
            heats = np.stack([measured.maps.change(number) for number in numbers])
        if measured.scores:
            scores = {row["number"]: row for row in measured.scores["directions"]}
            return [
                Row(number, heat, scores[number].get("score"), scores[number]["active"])
                for number, heat in zip(numbers, heats, strict=True)
            ]
        strength = heats.mean(axis=(1, 2))
        least = max(SHARE * float(strength.max()), 1e-6)
        return [
            Row(numbers[i], heats[i], None, bool(strength[i] >= least))
            for i in np.argsort(-strength, kind="stable")
        ]

    def _heats(self, numbers: list[int]) -> Array:
        """Where each direction changes the sample photos, [K, h, w] in [0, 1]."""
        strips = [self._strip(number) for number in numbers]
        heats = torch.stack([(s[:, 2] - s[:, 0]).abs().mean(dim=(0, 1)) for s in strips])
        # Where nothing changes by a grey level, noise is not to look like a place.
        return (heats / heats.max().clamp(min=GREY)).numpy()
