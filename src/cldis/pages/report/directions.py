"""The directions of a run for the report: what is known of each, and how it moves pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cldis.images import reduced
from cldis.model import Model
from cldis.navigation.directions import Directions
from cldis.navigation.store import directions_or_units, has_directions, read_about
from cldis.pages.report.results import Encoded, Known, Sheet, Shown
from cldis.text import command
from cldis.tracking.maps import Tracked, tracked
from cldis.tracking.pictures import ranked
from cldis.training.run_folder import RunFolder

SHIFTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviations
ROWS = 3  # held-out images
MOST = 16  # directions that get a page: it stays small
PATIENCE = 120.0  # seconds after which no further direction is drawn


def read_known(run: RunFolder, model: Model) -> Known:
    """Read a run; what is missing, damaged or out of date becomes a note."""
    known, measured = Known(), Tracked()
    try:
        if has_directions(run):
            known.directions = directions_or_units(run, model.units)
            known.about = read_about(run)
        directions = known.directions or Directions.identity(model.units)
        measured = tracked(run, directions)
    except (ValueError, OSError) as error:
        known.notes.append(f"{error}.")
    if measured.scores is not None:
        known.directions, known.scores, known.maps = directions, measured.scores, measured.maps
    elif measured.other:
        known.notes.append(
            f"The scores in this run are of other directions than it has now, or of an older "
            f"version; `{command('cldis', 'track', run.path)}` measures these."
        )
    _advise(run, known)
    return known


def _advise(run: RunFolder, known: Known) -> None:
    latest, track = run.latest(), command("cldis", "track", run.path)
    if known.directions is None:
        known.notes.append(
            f"`{command('cldis', 'navigate', run.path)}` finds directions without labels, and "
            f"`{track}` scores them (or the raw units, without navigation)."
        )
    elif known.scores is None:
        known.notes.append(f"`{track}` scores these directions, without labels.")
    elif latest is not None and known.scores.get("checkpoint") not in (None, latest.name):
        known.notes.append(
            f"The scores are of the model after {int(known.scores['checkpoint']):,} images, not of "
            f"the newest; `{track}` measures again."
        )
    if known.scores is not None and known.maps is None:
        known.notes.append(
            f"Heat maps and curves are missing: the run was tracked by an older version; `cldis "
            f"track {run.path}` makes them."
        )


def facts_of(known: Known) -> list[dict[str, Any]]:
    """Numbers of every direction, the best first: those of `scores.json` and of navigation.

    Keys beside those of `cldis.metrics.tracking.score.score`: `label`, `name` (or None),
    `accuracy`, `sign_accuracy` and `pixel_change` of the predictor, `by_motion` and
    `by_appearance`, `shifts`, `curve`, `curve_low` and `curve_high`; only what is known is there.
    """
    directions, maps = known.directions, known.maps
    assert directions is not None
    kind = directions.kind
    unscored = [{"number": k} for k in range(directions.count)]
    order = ranked(known.scores) if known.scores else unscored
    rows = []
    for scored in order:
        k = scored["number"]
        name = directions.names.get(k)
        row = {**scored, "name": name, "label": f"{kind} {k}" + (f" “{name}”" if name else "")}
        if known.navigated:
            kept = known.about["kept"][k]
            row |= {key: kept[key] for key in ("accuracy", "sign_accuracy")}
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
    known: Known,
    codes: Encoded,
    tick: Callable[[], object] = lambda: None,
) -> Shown:
    """Draw the best `MOST` directions, fewer on a slow machine, from the first `ROWS` codes."""
    if known.directions is None:
        return Shown(known)
    rows, sheets = facts_of(known), list[Sheet]()
    codes = codes.rows(slice(ROWS))
    began = time.perf_counter()
    for row in rows[:MOST]:
        if sheets and time.perf_counter() - began > PATIENCE:
            break
        change = known.directions.shift(model.unit_std, {row["number"]: 1.0})
        sheets.append(Sheet(row, reduced(model.move_along(codes.start, change, SHIFTS))))
        tick()
    return Shown(known, rows, sheets, codes.images)
