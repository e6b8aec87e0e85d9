"""What content tracking measured of every direction, as arrays: `RUN/tracking/maps.safetensors`.

For the report, the explorer and whoever else wants to draw. `tracked(run, directions)` gives what
belongs to the directions that a run has now, as it can be navigated again; `load_maps(run)` is None
for a run that was not tracked (or only by a version that kept no arrays or had other scores). Of
maps, `change(k)` is the one heat map to lay over a picture of direction k, `motion[k]` and
`appearance[k]` are its two channels, and `fits(directions)` says whether these are the ones that
were measured. Directions are numbered as in `cldis.navigation.store`; a run without navigation was
measured along its raw units.

The file holds the scores too, in its metadata: maps and scores come from one atomic write.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cldis.arrays import Floats
from cldis.io import parse_json, user_path, utf8_path, write_bytes
from cldis.metrics.tracking.field import CELLS
from cldis.metrics.tracking.score import similarity
from cldis.navigation.directions import Directions
from cldis.text import command
from cldis.tracking.result import Tracking
from cldis.training.contents import TrackingScores, checked, outdated_tracking, read_tracking
from cldis.training.run_folder import RunFolder

FOLDER, MAPS, SCORES = "tracking", "maps.safetensors", "scores.json"
BAND = (10, 90)  # percent of the images that lie below the lower and the upper end of the band


@dataclass(frozen=True)
class Maps:
    """Means over the tracked images; K directions, J shifts, H = W = resolution."""

    scores: dict[str, Any]  # as in scores.json
    matrix: Floats  # [d, K]: the directions that were measured
    shifts: Floats  # [J] standard deviations, rising, 0 among them
    mean: Floats  # [H, W, 3] grey levels 0..255: the mean of the real images
    motion: Floats  # [K, H, W] pixels: how far things move, mean over shifts but 0
    appearance: Floats  # [K, H, W] grey levels of what motion leaves, mean over shifts but 0
    curve: Floats  # [K, J] grey levels: change against shift 0, both channels
    curve_low: Floats  # [K, J]: below it lie a tenth of the images
    curve_high: Floats  # [K, J]: above it lie a tenth of the images
    by_motion: Floats  # [K] grey levels above the noise floor: change that motion makes
    by_appearance: Floats  # [K] grey levels above the noise floor: change of appearance
    similarity: Floats  # [K, K] in [0, 1]: do two directions change the same places the same way?

    def change(self, number: int) -> Floats:
        """Where a direction changes pictures, [H, W] in [0, 1].

        The larger of motion and appearance, each divided by its largest value over all directions,
        so that heat maps of a run compare; 0 where nothing changes anywhere.

        Raises:
            ValueError: no such direction.
        """
        if not 0 <= number < len(self.motion):
            raise ValueError(
                f"direction {number} was not tracked; directions are 0..{len(self.motion) - 1}"
            )
        parts = [part[number] / max(part.max(), 1e-6) for part in (self.motion, self.appearance)]
        return np.asarray(np.maximum(*parts), np.float32)

    def fits(self, directions: Directions) -> bool:
        """Whether these are the directions that were measured."""
        matrix = directions.matrix.numpy()
        return matrix.shape == self.matrix.shape and bool(np.allclose(matrix, self.matrix))


def maps_of(tracking: Tracking) -> Maps:
    """The arrays of a tracking whose scores are complete."""
    sums = tracking.sums
    low, high = np.percentile(tracking.curves, BAND, axis=0)
    moving, everything = (sums.mean(name) / CELLS**2 for name in ("moving", "all"))
    arrays = {
        "matrix": tracking.directions.matrix.numpy(),
        "shifts": tracking.scores["settings"]["shifts"],
        "mean": sums.mean("image"),
        "motion": sums.mean("motion"),
        "appearance": sums.mean("appearance"),
        "curve": sums.mean("curve"),
        "curve_low": low,
        "curve_high": high,
        "by_motion": moving,
        "by_appearance": np.maximum(everything - moving, 0),
        "similarity": similarity(sums),
    }
    tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}
    return Maps(tracking.scores, **tensors)


def save_maps(maps: Maps, folder: Path) -> Path:
    """Write `maps.safetensors` atomically.

    Raises:
        OSError: full disk or no permission; an older file is kept.
    """
    from safetensors.numpy import save

    tensors = asdict(maps)
    text = json.dumps(tensors.pop("scores"), allow_nan=False)
    write_bytes(folder / MAPS, save(tensors, metadata={"scores": text}))
    return folder / MAPS


def load_maps(run: RunFolder | str | Path) -> Maps | None:
    """What `cldis track RUN` measured, or None where it measured nothing yet, or other scores.

    Raises:
        ValueError: the file is damaged.
    """
    from safetensors import safe_open

    path = (run.path if isinstance(run, RunFolder) else user_path(run)) / FOLDER / MAPS
    if not path.is_file():
        return None
    fix = f"run `{command('cldis', 'track', path.parent.parent)}` again"
    try:
        with utf8_path(path) as opened, safe_open(opened, framework="np") as file:
            scores = parse_json((file.metadata() or {}).get("scores", ""))
            if outdated_tracking(scores):
                return None
            names = [item.name for item in fields(Maps) if item.name != "scores"]
            arrays = {name: file.get_tensor(name) for name in names}
    except Exception as error:  # safetensors raises its own types
        raise ValueError(f"{path} cannot be read ({error}); {fix}") from None
    checked(TrackingScores, scores, path, fix)
    expected, wrong = _expected(arrays, len(scores["directions"])), []
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.shape != expected[name]:
            wrong.append(f"{name} is {array.dtype} {array.shape}")
        elif not np.isfinite(array).all():
            wrong.append(f"{name} is not finite")
    if wrong:
        raise ValueError(f"{path} is damaged: {'; '.join(wrong[:3])}; {fix}")
    return Maps(scores, **arrays)


def _expected(arrays: dict[str, Floats], count: int) -> dict[str, tuple[int, ...]]:
    """The shape of every array for `count` directions, see `Maps`."""
    d = arrays["matrix"].shape[:1]
    shifts, side = arrays["shifts"].shape[:1], arrays["mean"].shape[:1]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(arrays, (count,))
    shapes |= dict.fromkeys(("curve", "curve_low", "curve_high"), (count, *shifts))
    shapes |= dict.fromkeys(("motion", "appearance"), (count, *side, *side))
    shapes |= {"matrix": (*d, count), "shifts": shifts, "mean": (*side, *side, 3)}
    return {**shapes, "similarity": (count, count)}


@dataclass(frozen=True)
class Tracked:
    """What content tracking knows of the directions that a run has now."""

    scores: dict[str, Any] | None = None
    maps: Maps | None = None
    other: bool = False  # the run has scores, but of other directions, or of an older version


def tracked(run: RunFolder, directions: Directions) -> Tracked:
    """Scores and maps of these directions, as far as the run has them.

    Raises:
        ValueError: a file is damaged.
        OSError: a file cannot be read.
    """
    maps, file = load_maps(run), run.path / FOLDER / SCORES
    if maps is not None:
        if maps.mean.shape[0] != run.config.model.resolution:
            raise ValueError(
                f"the maps in {run.path / FOLDER / MAPS} are of pictures of another size; run "
                f"`{command('cldis', 'track', run.path)}` again"
            )
        return Tracked(maps.scores, maps) if maps.fits(directions) else Tracked(other=True)
    if not file.is_file():
        return Tracked()
    scores = read_tracking(file, f"run `{command('cldis', 'track', run.path)}` again")
    if scores is None:
        return Tracked(other=True)
    same = scores["origin"] == directions.origin and len(scores["directions"]) == directions.count
    return Tracked(scores) if same else Tracked(other=True)
