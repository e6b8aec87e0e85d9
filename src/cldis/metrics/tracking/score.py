"""Scores of directions and of a run, from sums over images. All in [0, 1]; the formulas are ours.

Write e_ik for the energy descriptor of direction k on image i above the floor (entries are mean
changes of a cell in grey levels, by motion and by appearance), s_ik for its signed slope, and n for
the number of images.

- activity_k = mean_i sqrt(mean(e_ik^2)), in grey levels. Below `ACTIVE` grey levels, or below
  `SHARE` of the strongest direction, the direction is inactive and has no scores.
- consistency_k: mean cosine of k's descriptors over pairs of different images, on a coarse grid;
  the larger of that of e and that of s.
- S_kl = sum_i e_ik.e_il / sqrt(sum_i |e_ik|^2 sum_i |e_il|^2): do k and l change the same places of
  the same images by the same channel?
- w_k = sqrt(activity_k), divided by its sum over active directions: small things count too.
- separation_k = 1 - sum_{l != k} w_l S_kl / sum_{l != k} w_l over active directions l.
- monotonicity_k, smoothness_k: see `sums`, means over images weighted by activity.
- score_k = consistency_k separation_k monotonicity_k. Smoothness stands beside it: a hue, or one of
  several shapes, changes in jumps and is no worse for it.
- control: how much of what varies over the images the code holds, see `TrackingSums.control`.
- score of the run = control sum_k w_k (1 - w_k) score_k over active directions.

(1 - w_k) separation_k = 1 - sum_l w_l S_kl with k itself among the l, so the sum is Rao's
quadratic entropy of what the directions do (Rao 1982) in which each counts as far as it is
consistent: 0 for a run with one direction, or whose directions all do one thing, and near 1 - 1/m
for m different things, however many directions share each. So a second clean direction for one
thing costs little, and mixing costs much. Dead directions cost nothing by themselves; what no
direction holds is missing from control.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.tracking.sums import TINY, TrackingSums

ACTIVE = 0.5  # grey levels above the floor, root mean square over cells
SHARE = 0.03  # of the strongest direction
ALIKE = 1.0  # grey levels: images that differ by less are one image


def score(sums: TrackingSums) -> dict[str, Any]:
    """Scores from the sums.

    Returns:
        `{"score", "control", "consistency", "separation", "monotonicity", "smoothness", "active",
        "images", "directions": [...]}`. Components of the run are means over active directions
        weighted by w, 0.0 when all are inactive. Each direction has `number`, `active`,
        `activity` and `raw_activity` (above the floor, and with it) and `motion_share` (part of the
        change that is motion, in [0, 1]); an active one has the four components, `score`, and
        `closest`, the active direction most like it, with `closest_similarity`.

    Raises:
        ValueError: fewer than 2 images, or images that are all alike.
    """
    check_images(sums.images, sums.spread() if sums.images else 0.0)
    return _score(sums)


def score_groups(groups: Sequence[TrackingSums]) -> tuple[dict[str, Any], TrackingSums]:
    """Scores of all images, with an `error` for the run and for every active direction.

    The error is a standard error, from the jackknife over groups of images: with G groups and v_g
    the score without group g, sqrt((G - 1) / G sum (v_g - mean v)^2). Every image has an x_T of its
    own, so it holds what other images and what other x_T would change. Where a direction is
    inactive its score counts as 0. It is left out where fewer than 3 groups have images, or a group
    leaves fewer than 2.

    Returns:
        The scores as `score` has them, and the sums over all images.

    Raises:
        ValueError: see `score`.
    """
    there = [group for group in groups if group.images]
    if not there:
        check_images(0, 0.0)
    everything = reduce(TrackingSums.plus, there)
    found = score(everything)
    rest = [
        reduce(TrackingSums.plus, [group for group in there if group is not left])
        for left in (there if len(there) > 2 else [])
    ]
    if rest and min(sums.images for sums in rest) >= 2:
        without = [_score(sums) for sums in rest]
        found["error"] = _jackknife([other["score"] for other in without])
        for k, row in enumerate(found["directions"]):
            if row["active"]:
                values = [other["directions"][k].get("score", 0.0) for other in without]
                row["error"] = _jackknife(values)
    return found, everything


def _jackknife(values: Sequence[float]) -> float:
    return float(np.std(values) * np.sqrt(len(values) - 1))


def _score(sums: TrackingSums) -> dict[str, Any]:
    activity = sums.mean("activity")
    active = activity >= max(ACTIVE, SHARE * float(activity.max()))
    parts = components(sums, active)
    rows = [direction(sums, parts, k, bool(active[k])) for k in range(len(activity))]
    names = ("consistency", "separation", "monotonicity", "smoothness")
    run = {name: float(parts["weight"] @ parts[name]) for name in names}
    different = parts["weight"] * (1 - parts["weight"])
    control = sums.control()
    return {
        "score": control * float(different @ parts["score"]),
        **run,
        "control": control,
        "active": int(active.sum()),
        "images": sums.images,
        "directions": rows,
    }


def check_images(count: int, spread: float) -> None:
    """Raises ValueError: too few images, or all alike (`spread` in grey levels)."""
    if count < 2:
        raise ValueError(
            f"content tracking compares images and got {count}; give at least 2, better 24 or more"
        )
    if spread < ALIKE:
        raise ValueError(
            f"the {count} images are all alike (they differ by {spread:.2g} grey levels), so "
            f"consistency over them would mean nothing; give different images"
        )


def components(sums: TrackingSums, active: NDArray[np.bool_]) -> dict[str, Floats]:
    """Each component for every direction, [K]; of no meaning where a direction is inactive.

    `weight` is w, 0 for inactive directions; `similarity` is S [K, K].
    """
    pairs = sums.images * (sums.images - 1)
    place, slope = (
        ((sums.total[name] ** 2).sum(axis=1) - sums.total[f"{name}_own"]) / pairs
        for name in ("place", "slope")
    )
    weight = np.where(active, np.sqrt(sums.mean("activity")), 0.0)
    weight = weight / max(float(weight.sum()), TINY)
    alike = similarity(sums)
    others = weight[None] * (1 - np.eye(len(weight)))  # [K, K]
    shared = (alike * others).sum(axis=1) / np.maximum(others.sum(axis=1), TINY)
    total = np.maximum(sums.total["activity"], TINY)
    parts = {
        "weight": weight,
        "similarity": alike,
        "consistency": np.clip(np.maximum(place, slope), 0, 1),
        "separation": np.clip(1 - shared, 0, 1),
        "monotonicity": np.clip(sums.total["monotonicity"] / total, 0, 1),
        "smoothness": np.clip(sums.total["smoothness"] / total, 0, 1),
    }
    parts["score"] = parts["consistency"] * parts["separation"] * parts["monotonicity"]
    return parts


def similarity(sums: TrackingSums) -> Floats:
    """S [K, K] in [0, 1], see the module."""
    gram = sums.total["energy_gram"]
    length = np.sqrt(np.diag(gram))
    return np.asarray(np.clip(gram / np.maximum(np.outer(length, length), TINY), 0, 1))


def direction(sums: TrackingSums, parts: dict[str, Floats], k: int, active: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "number": k,
        "active": active,
        "activity": float(sums.mean("activity")[k]),
        "raw_activity": float(sums.mean("raw")[k]),
        "motion_share": float(sums.total["moving"][k] / max(sums.total["all"][k], TINY)),
    }
    if active:
        names = ("consistency", "separation", "monotonicity", "smoothness", "score")
        row |= {name: float(parts[name][k]) for name in names}
        near = np.where(parts["weight"] > 0, parts["similarity"][k], -1.0)
        near[k] = -1
        if near.max() >= 0:
            row |= {"closest": int(near.argmax()), "closest_similarity": float(near.max())}
    return row
