"""What else is taken of a damaged code, for tracking_damage.py.

Control (how much of the images the code holds, a factor of the score of a run) and variation
predictability, kept beside the pictures as NAME/DAMAGE.json; and the labels a second time, to see
how far they repeat.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tracking_damage_codes import SHIFTS, stored

from cldis.io import read_json, write_json
from cldis.metrics import variation_predictability
from cldis.metrics.tracking.changes import image_changes
from cldis.metrics.tracking.floor import Floor
from cldis.metrics.tracking.sums import TrackingSums

CENTRE = SHIFTS.index(0.0)


def others(path: Path) -> dict[str, Any]:
    """`control` of the code; `predictability`: its `score`, and of its `units` [K] the recall."""
    kept = path.with_suffix(".json")
    if not kept.is_file():
        made = np.load(path)
        frames, same = made["frames"], made["same_code"]
        write_json(kept, {"control": control(path, frames, same), **predictability(frames)})
    return read_json(kept)


def again(path: Path) -> np.ndarray:
    """DCI importances [K, factors] from other training images: how far the labels repeat."""
    kept = path.with_suffix(".again.npy")
    if not kept.is_file():
        np.save(kept, stored(path).labels(path.stem, seed=1)["importance"])
    return np.load(kept)


def control(path: Path, frames: np.ndarray, same: np.ndarray) -> float:
    """`frames` uint8 [n, K, J, H, W, 3], `same` uint8 [n, 3, H, W, 3]."""
    code = stored(path)
    real = code.source.batch(code.indices[: len(frames)]).transpose(0, 2, 3, 1).astype(np.float32)
    sums = TrackingSums(Floor().level())
    for traversal, image, drawn in zip(frames, real, same, strict=True):
        seen = image_changes(traversal.astype(np.float32), SHIFTS)
        sums.add(seen, image, drawn[-1].astype(np.float32))
    return sums.control()


def predictability(frames: np.ndarray) -> dict[str, Any]:
    """Pairs of shift 0 and each other one, split by image; `units` are recalls."""
    n, k = frames.shape[:2]
    moved = [j for j, shift in enumerate(SHIFTS) if shift]
    pairs = [
        part.reshape(-1, *frames.shape[3:]).transpose(0, 3, 1, 2)
        for part in (
            np.repeat(frames[:, :, [CENTRE]], len(moved), axis=2),
            frames[:, :, moved],
        )
    ]
    which = np.tile(np.repeat(np.arange(k), len(moved)), n)
    found = variation_predictability(*pairs, which, np.repeat(np.arange(n), k * len(moved)))
    return {"predictability": {"score": found["score"], "units": found["recall"]}}
