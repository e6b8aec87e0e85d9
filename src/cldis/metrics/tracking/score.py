"""Scores of directions and of a run, from sums over images. All in [0, 1]; the formulas are ours.

Write e_ik for the energy descriptor of direction k on image i above the floor (entries are mean
changes of a cell in grey levels, by motion and by appearance), and x_k for its change fields, see
`mixing`.

- activity_k = mean_i sqrt(mean(e_ik^2)), in grey levels. Below `ACTIVE` grey levels, or below
  `SHARE` of the strongest direction, the direction is inactive and has no scores; and so has one
  whose x_k stays below either, which changes pictures alike to both sides.
- purity_k: does it change one thing? own_k: is it the only direction that does? See `mixing`.
- score_k = purity_k own_k.
- w_k = the square root of the root mean square of x_k, divided by its sum over active directions:
  small things count too.
- control: how much of what varies over the images the code holds, see `TrackingSums.control`.
- score of the run = control sum_k w_k score_k over active directions.

Dead directions cost nothing by themselves; what no direction holds is missing from control.
S_kl = sum_i e_ik.e_il / sqrt(sum_i |e_ik|^2 sum_i |e_il|^2) stands beside the scores: do k and l
change the same places of the same images by the same channel?
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.tracking.mixing import mixing
from cldis.metrics.tracking.sums import TINY, TrackingSums

ACTIVE = 0.5  # grey levels above the floor, root mean square over cells
SHARE = 0.03  # of the strongest direction
PARTS = ("purity", "own", "score")
ALIKE = 1.0  # grey levels: images that differ by less are one image


def score(sums: TrackingSums, codes: Floats) -> dict[str, Any]:
    """Scores from the sums.

    Args:
        codes: what each direction has in images of the collection, [n, K]; the more the better.

    Returns:
        `{"score", "control", "purity", "own", "active", "images", "directions": [...]}`. Purity and
        own of the run are means over active directions weighted by w, 0.0 when all are inactive.
        Each direction has `number`, `active`, `activity` and `raw_activity` (above the floor, and
        with it) and `motion_share` (part of the change that is motion, in [0, 1]); an active one
        has `purity`, `own`, `score`, and `closest`, the active direction most like it, with
        `closest_similarity`.

    Raises:
        ValueError: fewer than 2 images, or images that are all alike.
    """
    check_images(sums.images, sums.spread() if sums.images else 0.0)
    return _score(sums, codes)


def score_groups(
    groups: Sequence[TrackingSums], codes: Floats
) -> tuple[dict[str, Any], TrackingSums]:
    """Scores of all images, with an `error` for the run and for every active direction.

    The error is a standard error, from the jackknife over groups of images: with G groups and v_g
    the score without group g, sqrt((G - 1) / G sum (v_g - mean v)^2). Every image has an x_T of its
    own, so it holds what other images and what other x_T would change. Where a direction is
    inactive its score counts as 0. It is left out where fewer than 3 groups have images, or a group
    leaves fewer than 2, or none that was moved by all shifts.

    Returns:
        The scores as `score` has them, and the sums over all images.

    Raises:
        ValueError: see `score`.
    """
    there = [group for group in groups if group.images]
    if not there:
        check_images(0, 0.0)
    everything = reduce(TrackingSums.plus, there)
    found = score(everything, codes)
    rest = [
        reduce(TrackingSums.plus, [group for group in there if group is not left])
        for left in (there if len(there) > 2 else [])
    ]
    if rest and min(min(sums.images - 1, sums.whole) for sums in rest) >= 1:
        without = [_score(sums, codes) for sums in rest]
        found["error"] = _jackknife([other["score"] for other in without])
        for k, row in enumerate(found["directions"]):
            if row["active"]:
                values = [other["directions"][k].get("score", 0.0) for other in without]
                row["error"] = _jackknife(values)
    return found, everything


def _jackknife(values: Sequence[float]) -> float:
    return float(np.std(values) * np.sqrt(len(values) - 1))


def _score(sums: TrackingSums, codes: Floats) -> dict[str, Any]:
    fields = sums.fields()
    size = np.sqrt((fields**2).mean(axis=(1, 2)))  # [K]
    active = _strong(sums.mean("activity")) & _strong(size)
    weight = np.where(active, np.sqrt(size), 0.0)
    weight = weight / max(float(weight.sum()), TINY)
    parts: dict[str, Floats] = {name: np.zeros(len(size)) for name in PARTS}
    if active.any():
        found = mixing(fields[active], codes[:, active])
        parts["purity"][active], parts["own"][active] = found.purity, found.own
        parts["score"] = parts["purity"] * parts["own"]
    control = sums.control()
    run = {name: min(float(weight @ values), 1.0) for name, values in parts.items()}
    return {
        **run,
        "score": control * run["score"],
        "control": control,
        "active": int(active.sum()),
        "images": sums.images,
        "directions": _directions(sums, parts, active),
    }


def _strong(size: Floats) -> NDArray[np.bool_]:
    return np.asarray(size >= max(ACTIVE, SHARE * float(size.max())))


def check_images(count: int, spread: float) -> None:
    """Raises ValueError: too few images, or all alike (`spread` in grey levels)."""
    if count < 2:
        raise ValueError(
            f"content tracking compares images and got {count}; give at least 2, better 24 or more"
        )
    if spread < ALIKE:
        raise ValueError(
            f"the {count} images are all alike (they differ by {spread:.2g} grey levels), so "
            f"what a direction does to them says little; give different images"
        )


def similarity(sums: TrackingSums) -> Floats:
    """S [K, K] in [0, 1], see the module."""
    gram = sums.total["energy_gram"]
    length = np.sqrt(np.diag(gram))
    return np.asarray(np.clip(gram / np.maximum(np.outer(length, length), TINY), 0, 1))


def _directions(
    sums: TrackingSums, parts: dict[str, Floats], active: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    alike, rows = similarity(sums), []
    for k in range(len(active)):
        row: dict[str, Any] = {
            "number": k,
            "active": bool(active[k]),
            "activity": float(sums.mean("activity")[k]),
            "raw_activity": float(sums.mean("raw")[k]),
            "motion_share": float(sums.total["moving"][k] / max(sums.total["all"][k], TINY)),
        }
        if active[k]:
            row |= {name: float(values[k]) for name, values in parts.items()}
            near = np.where(active, alike[k], -1.0)
            near[k] = -1
            if near.max() >= 0:
                row |= {"closest": int(near.argmax()), "closest_similarity": float(near.max())}
        rows.append(row)
    return rows
