"""Which of several runs is best disentangled, by content tracking, without labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cldis.io import user_path, write_json
from cldis.navigation.store import directions_or_units
from cldis.tracking.maps import tracked
from cldis.tracking.track import IMAGES, SHIFTS, STEPS, track_to_folder
from cldis.training.run_folder import RunFolder

SURE = 1.96  # standard errors of a difference: nearer ones are a tie
COLUMNS = ("score", "purity", "own", "control")


def select_runs(
    paths: Sequence[str | Path], out: str | Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Rank runs by the score of content tracking; tracks those not tracked at their checkpoint.

    Args:
        out: JSON file to write; None writes none.

    Returns:
        `{"runs": [...], "warnings": [...]}`, the best run first, each with its path, the scores of
        the run, their `error` (None where too few images give none), and whether it is a `tie`
        with the best: their scores differ by less than 1.96 standard errors of a difference.

    Raises:
        ValueError: a run given twice, or one that cannot be tracked; the message names it.
    """
    places = [user_path(path).resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise ValueError(f"{path} is given twice; give each run once")
    for path in paths:
        RunFolder.open(path)  # a mistake is told before the first run is tracked
    rows = []
    for path in paths:
        try:
            scores = stored_scores(path) or track_to_folder(path, progress=progress)[0]
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        picked = {name: scores[name] for name in (*COLUMNS, "active", "images")}
        rows.append(
            {
                "run": str(path),
                **picked,
                "error": scores.get("error"),
                "directions": len(scores["directions"]),
                "data": scores["data"],
                "warnings": scores["warnings"],
            }
        )
    rows.sort(key=lambda row: (-row["score"], row["run"]))
    for row in rows:
        row["tie"] = row is not rows[0] and _tie(rows[0], row)
    result = {"runs": rows, "warnings": warnings(rows)}
    if out is not None:
        write_json(out, result)
    return result


def stored_scores(path: str | Path) -> dict[str, Any] | None:
    """The scores in a run, when they are of its newest checkpoint and held-out data and of the
    directions it has now, taken with the usual settings."""
    run = RunFolder.open(path)
    checkpoint = run.latest()
    directions = directions_or_units(run, run.config.model.units)
    try:
        scores = tracked(run, directions).scores
    except ValueError:  # damaged scores are made again
        return None
    if checkpoint is None or scores is None:
        return None
    usual = {"shifts": list(SHIFTS), "steps": STEPS, "estimator": "farneback", "seed": 0}
    same = (
        scores.get("checkpoint") == checkpoint.name
        and scores["settings"] == usual
        and scores["data"]["trained_on"]
        and scores["asked"] == IMAGES
    )
    return scores if same else None


def _tie(best: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether two scores differ by less than their errors allow; without errors: are they equal?"""
    error = math.hypot(best["error"] or 0.0, row["error"] or 0.0)
    return bool(best["score"] - row["score"] <= SURE * error)


def warnings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What makes the runs hard to compare, in words."""
    words = []
    if len({row["data"]["fingerprint"] for row in rows}) > 1:
        words.append("the runs were tracked on different images; compare with care")
    dead = [row["run"] for row in rows if not row["active"]]
    if dead:
        words.append(f"no direction changes anything in {', '.join(dead)}")
    return words


def table(result: dict[str, Any]) -> str:
    """The ranking for people."""
    width = max(len(row["run"]) for row in result["runs"])
    names = [COLUMNS[0], "error", *COLUMNS[1:]]
    lines = [f"{'run':{width}}  " + "  ".join(f"{name:>12}" for name in names) + "  active"]
    for row in result["runs"]:
        numbers = "  ".join(
            f"{'-':>12}" if row[name] is None else f"{row[name]:12.3f}" for name in names
        )
        lines.append(f"{row['run']:{width}}  {numbers}  {row['active']} of {row['directions']}")
    best, *others = result["runs"]
    ties = [row["run"] for row in others if row["tie"]]
    if ties:
        lines.append(
            f"a tie: the score cannot tell {', '.join(ties)} from {best['run']} on these images"
        )
    elif others:
        lines.append(f"best: {best['run']}")
    return "\n".join(lines)
