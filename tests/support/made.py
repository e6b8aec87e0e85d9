"""Files of a run as they are written, made by hand where making them would take long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COMPONENTS = ("purity", "own")


def tracking_scores(scores: Sequence[float | None]) -> dict[str, Any]:
    """`scores.json` of as many directions, raw units; None is an inactive one."""
    rows: list[dict[str, Any]] = []
    for number, score in enumerate(scores):
        row: dict[str, Any] = {"number": number, "active": score is not None, "activity": 1.0}
        row |= {"raw_activity": 1.5, "motion_share": 0.25}
        if score is not None:
            row |= {**dict.fromkeys(COMPONENTS, 0.5), "score": score}
            row |= {"closest": 0, "closest_similarity": 0.1}
        rows.append(row)
    return {
        **dict.fromkeys((*COMPONENTS, "score", "control"), 0.5),
        "active": sum(score is not None for score in scores),
        "images": 2,
        "directions": rows,
        "format": 2,
        "asked": 64,
        "origin": "identity",
        "checkpoint": "000000000064",
        "data": {"name": "rooms", "fingerprint": "rooms", "trained_on": True},
        "settings": {"shifts": [-1.0, 0.0, 1.0], "steps": 5, "estimator": "farneback", "seed": 0},
        "noise_floor": {"motion": 0.5, "appearance": 0.5},
        "warnings": [],
    }
