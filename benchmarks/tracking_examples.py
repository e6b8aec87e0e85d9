"""Pictures for docs/content_tracking.md: a clean, a mixed, a doubled, a leaking, a dead direction.

    python benchmarks/tracking_examples.py --store STORE

STORE is what tracking_damage_codes.py drew of `taught-320` on rooms. Writes
docs/images/tracking_KIND.png (three images at -1, 0 and +1 spread, and the change field of each)
and results/tracking_examples.json with the scores. Which direction is shown is a rule: of the raw
code the one with the highest score and the weakest dead unit; of the damaged codes the one whose
score is the median of those that the damage made.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from shared import RESULTS, provenance
from tracking_damage_codes import matrix, stored
from tracking_mixing import SIDE, activity, fields, mixing, seen

from cldis.images import save_png
from cldis.io import write_json

IMAGES_OF_DOCS = RESULTS.parent / "docs" / "images"
CODE = ("rooms", "taught-320")
SHOWN, PIXELS = 3, 64
GAIN = 2.0  # grey levels of the picture per grey level of change


def picture(frames: np.ndarray) -> Image.Image:
    """[n, J, H, W, 3] of one direction: a row per image, its frames and its change field."""
    change = fields(frames[:, None])[0].reshape(-1, SIDE, SIDE, 3)
    rows = []
    for image, field in zip(frames[:SHOWN], change, strict=False):
        grey = np.clip(128 + GAIN * field, 0, 255).astype(np.uint8)
        large = grey.repeat(PIXELS // SIDE, axis=0).repeat(PIXELS // SIDE, axis=1)
        rows.append(np.concatenate([*image, large], axis=1))
    return Image.fromarray(np.concatenate(rows))


def scored(path: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Frames [n, K, J, H, W, 3] of a code and the scores of its directions; {} of inactive ones."""
    frames = np.load(path)["frames"]
    x = fields(frames)
    active = np.flatnonzero(seen(x))
    found = mixing(x[active], stored(path).code(path.stem)[:, active])
    rows: list[dict[str, Any]] = [{} for _ in range(len(x))]
    for k, purity, own in zip(active, found.purity, found.own, strict=True):
        rows[k] = {"purity": float(purity), "own": float(own), "score": float(purity * own)}
    return frames, rows


def changed(path: Path) -> np.ndarray:
    """Numbers of the directions that a damage made: those that move what the raw units do not."""
    code = stored(path)
    made = matrix(path.stem, len(code.active), code.seed)
    if path.stem == "doubled":
        return np.flatnonzero((made @ made.T).sum(axis=1) > 1)
    moves = np.linalg.pinv(made).T
    return np.flatnonzero((np.abs(moves) > 1e-6).sum(axis=1) > 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    folder = parser.parse_args().store.joinpath(*CODE)
    examples: dict[str, dict[str, Any]] = {}

    def keep(kind: str, frames: np.ndarray, row: dict[str, Any]) -> None:
        save_png(picture(frames), IMAGES_OF_DOCS / f"tracking_{kind}.png")
        examples[kind] = {"activity": float(activity(fields(frames[:, None]))[0]), **row}

    frames, rows = scored(folder / "raw.npz")
    best = max(range(len(rows)), key=lambda k: rows[k].get("score", 0.0))
    keep("clean", frames[:, best], rows[best])
    for kind, damage in (("mixed", "pairs_45"), ("doubled", "doubled"), ("leaking", "leaking")):
        frames, rows = scored(folder / f"{damage}.npz")
        made = sorted(changed(folder / f"{damage}.npz"), key=lambda k: rows[k].get("score", 0.0))
        middle = made[len(made) // 2]
        keep(kind, frames[:, middle], rows[middle])
    code = stored(folder / "raw.npz")
    dead = [unit for unit in np.flatnonzero(code.read["informative"]) if unit not in code.active]
    moves = np.diag(code.read["codes"].std(axis=0).astype(np.float64))
    drawn = [code.frames(moves[unit]) for unit in dead]
    weakest = int(np.argmin([activity(fields(frames[:, None]))[0] for frames in drawn]))
    keep("dead", drawn[weakest], {})
    write_json(RESULTS / "tracking_examples.json", {**provenance(), "examples": examples})


if __name__ == "__main__":
    main()
