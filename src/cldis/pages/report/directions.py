"""The directions of a run for the report: what is known of each, and pictures of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cldis.editing.drawing import Start
from cldis.images import reduced
from cldis.model import STEPS, Model
from cldis.navigation.directions import Directions
from cldis.navigation.store import directions_or_units, has_directions, read_about
from cldis.pages.figures import Figure, direction_curve
from cldis.text import command
from cldis.tracking.maps import Maps, Tracked, tracked
from cldis.tracking.pictures import heat, ranked
from cldis.training.run_folder import RunFolder

SHIFTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviations
STILL = (0, 2, 4, 6, 8)  # places in `SHIFTS` of the still pictures; all of them move
ROWS = 3  # held-out images
MOST = 16  # directions that get a page: it stays small
PATIENCE = 120.0  # seconds after which no further direction is drawn


@dataclass(frozen=True)
class Sheet:
    """The page of one direction."""

    facts: dict[str, Any]  # a row of `facts_of`
    cells: Tensor  # [n, len(SHIFTS), 3, H, W], `reduced`: held-out images from their inverted x_T
    heat: Tensor | None = None  # [3, 3, H, W]: mean image, motion, appearance
    curve: Figure | None = None


@dataclass(frozen=True)
class Shown:
    """All that the page says of directions."""

    sheets: list[Sheet] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)  # every direction, the best first
    images: Tensor | None = None  # [n, 3, H, W]: the rows of every sheet; None: made-up codes
    notes: list[str] = field(default_factory=list)  # what is missing, or wrong, and what to do
    scale: dict[str, float] = field(default_factory=dict)  # what is white in the maps

    scores: dict[str, Any] | None = None  # of the run

    @property
    def shifts(self) -> list[float]:
        """Of the still pictures."""
        return [SHIFTS[place] for place in STILL]

    def thumbs(self, sheet: Sheet) -> Tensor:
        """[len(shifts), 3, H, W]: the first row of the stills, without the image."""
        return sheet.cells[0, list(STILL)]

    def stills(self, sheet: Sheet) -> Tensor:
        """[n, 1 + len(shifts), 3, H, W]: the image itself where there is one, then the shifts."""
        cells = sheet.cells[:, list(STILL)]
        if self.images is None:
            return cells
        return torch.cat([reduced(self.images)[:, None], cells], dim=1)


@dataclass
class Known:
    """What navigation and content tracking left in a run."""

    directions: Directions | None = None
    about: dict[str, Any] = field(default_factory=dict)  # of navigation
    scores: dict[str, Any] | None = None  # of content tracking, for these directions
    maps: Maps | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def navigated(self) -> bool:
        return "kept" in self.about


def known(run: RunFolder, model: Model) -> Known:
    """Read a run; what is missing, damaged or out of date becomes a note."""
    found, measured = Known(), Tracked()
    try:
        if has_directions(run):
            found.directions = directions_or_units(run, model.units)
            found.about = read_about(run)
        directions = found.directions or Directions.identity(model.units)
        measured = tracked(run, directions)
    except (ValueError, OSError) as error:
        found.notes.append(f"{error}.")
    if measured.scores is not None:
        found.directions, found.scores, found.maps = directions, measured.scores, measured.maps
    elif measured.other:
        found.notes.append(
            f"The scores in this run are of other directions than it has now; "
            f"`{command('cldis', 'track', run.path)}` measures these."
        )
    _advise(run, found)
    return found


def _advise(run: RunFolder, found: Known) -> None:
    latest, track = run.latest(), command("cldis", "track", run.path)
    if found.directions is None:
        found.notes.append(
            f"`{command('cldis', 'navigate', run.path)}` finds directions without labels, and "
            f"`{track}` scores them (or the raw units, without navigation)."
        )
    elif found.scores is None:
        found.notes.append(f"`{track}` scores these directions, without labels.")
    elif latest is not None and found.scores.get("checkpoint") not in (None, latest.name):
        found.notes.append(
            f"The scores are of the model after {int(found.scores['checkpoint']):,} images, not of "
            f"the newest; `{track}` measures again."
        )
    if found.scores is not None and found.maps is None:
        found.notes.append(
            f"Heat maps and curves are missing: the run was tracked by an older version; `cldis "
            f"track {run.path}` makes them."
        )


def facts_of(found: Known) -> list[dict[str, Any]]:
    """Numbers of every direction, the best first: those of `scores.json` and of navigation.

    Keys beside those of `cldis.metrics.tracking.score.score`: `label`, `name` (or None), `told`,
    `sign` and `pixel_change` of the predictor, `by_motion` and `by_appearance`, `shifts`, `curve`,
    `curve_low` and `curve_high`; only what is known is there.
    """
    directions, maps = found.directions, found.maps
    assert directions is not None
    kind = directions.kind
    unscored = [{"number": k} for k in range(directions.count)]
    order = ranked(found.scores) if found.scores else unscored
    rows = []
    for scored in order:
        k = scored["number"]
        name = directions.names.get(k)
        row = {**scored, "name": name, "label": f"{kind} {k}" + (f" “{name}”" if name else "")}
        if found.navigated:
            kept = found.about["kept"][k]
            row |= {"told": kept["accuracy"], "sign": kept["sign_accuracy"]}
            row["pixel_change"] = 127.5 * kept["change"]  # of images in [-1, 1]
        if maps is not None:
            row |= {name: float(getattr(maps, name)[k]) for name in ("by_motion", "by_appearance")}
            row["shifts"] = maps.shifts.tolist()
            for part in ("curve", "curve_low", "curve_high"):
                row[part] = getattr(maps, part)[k].tolist()
        rows.append(row)
    return rows


def show(
    model: Model,
    begin: Start,
    found: Known,
    steps: int = STEPS,
    tick: Callable[[], object] = lambda: None,
) -> Shown:
    """Draw the best `MOST` directions (fewer on a slow machine) from the first `ROWS` starts."""
    if found.directions is None:
        return Shown(notes=found.notes)
    first, rows = begin.rows(slice(ROWS)), facts_of(found)
    scale = _scale(found.maps) if found.maps else {}
    sheets: list[Sheet] = []
    began = time.perf_counter()
    for row in rows[:MOST]:
        if sheets and time.perf_counter() - began > PATIENCE:
            break
        change = found.directions.shift(model.unit_std, {row["number"]: 1.0})
        cells = reduced(model.move_along(first.z, first.noise, change, SHIFTS, steps))
        curve = None
        if "curve" in row:
            parts = (row[key] for key in ("shifts", "curve", "curve_low", "curve_high"))
            curve = direction_curve(*parts)
        panels = None if found.maps is None else maps_picture(found.maps, row["number"], scale)
        sheets.append(Sheet(row, cells, panels, curve))
        tick()
    return Shown(sheets, rows, first.images, found.notes, scale, found.scores)


def _scale(maps: Maps) -> dict[str, float]:
    return {
        "motion": max(float(maps.motion.max()), 1e-6),
        "appearance": max(float(maps.appearance.max()), 1e-6),
    }


def maps_picture(maps: Maps, number: int, scale: dict[str, float]) -> Tensor:
    """[3, 3, H, W] in [-1, 1]: the mean image, and where one direction changes it by each way."""
    mean = torch.from_numpy(maps.mean).permute(2, 0, 1) / 127.5 - 1
    motion = heat(maps.motion[number] / scale["motion"])
    return torch.stack([mean, motion, heat(maps.appearance[number] / scale["appearance"])])
