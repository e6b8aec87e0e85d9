"""What the tests of the bench share: a suite of seconds, quick scores, made-up results."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cldis.bench.record import FORMAT, path_of, write_record
from cldis.bench.suite import Cell, Suite
from training.harness import TINY

SETTINGS = tuple(item for item in TINY if not item.startswith("training.checkpoint"))
# Two methods, two seeds, 12 steps of 8 images each, scored after 6 and 12.
SMALL = Suite(
    "small",
    "tests",
    recipe="tiny",
    methods={"closed": (*SETTINGS, "method=closed"), "vae": (*SETTINGS, "method=vae")},
    data={"rooms": 32},
    seeds=(0, 1),
    images=(96,),
    shares=(Fraction(1, 2), Fraction(1)),
    pool=64,
    pairs=(("closed", "vae"),),
)
NAMES = ["closed-rooms-96-s0", "vae-rooms-96-s0", "closed-rooms-96-s1", "vae-rooms-96-s1"]


def folders(out: Path) -> list[str]:
    """Options of `cldis bench`: everything below `out`."""
    return ["--results", str(out / "results"), "--runs", str(out / "runs")]


def measured(value: float, estimator: str = "none") -> dict[str, Any]:
    """Scores in the shape of `cldis.metrics.suite.evaluate`, all of one value."""
    infomec = ("modularity", "explicitness", "compactness")
    parts = ("disentanglement", "completeness", "informativeness")
    about = {"estimator": estimator, "train": 10, "test": 5}
    return {
        "setting": "fast",
        "dci": {**dict.fromkeys(parts, value), **about},
        "factor_vae": {"score": value, "train": 10},
        "mig": {"score": value},
        "sap": {"score": value},
        "infomec": dict.fromkeys(infomec, value),
    }


def quick_scores(
    codes: dict[str, Any], source: Any, indices: Any, settings: Sequence[str]
) -> dict[str, Any]:
    """In the place of `score.scores`: the size of each code, to all its digits."""
    assert len(indices) == len(source.factors(indices))
    return {
        name: {setting: measured(float(np.abs(code).mean())) for setting in settings}
        for name, code in codes.items()
    }


def made_up(cell: Cell, points: dict[int, float], **changes: Any) -> dict[str, Any]:
    """A whole record with given DCI per images seen; code z_sem, or z_disen for method `vae`."""
    code = "z_disen" if cell.method == "vae" else "z_sem"
    record = {
        "format": FORMAT,
        "suite": cell.suite,
        "method": cell.method,
        "data": cell.data,
        "seed": cell.seed,
        "images": cell.images,
        "resolution": 32,
        "config": SMALL.config(cell).to_dict(),
        "scoring": SMALL.scoring(),
        "git": {"trained": "abc", "scored": "abc"},
        "versions": {"torch": "2"},
        "machine": {"processor": "made up", "threads": 1, "gpu": None},
        "seconds": 3600.0,
        "images_per_second": 1.0,
        "finished": "2026-01-01T00:00:00+00:00",
        "fingerprint": "f",
        "curve": [
            {"images": n, "seconds": float(n), "codes": {code: {"fast": measured(value)}}}
            for n, value in points.items()
        ],
        "last": None,
        "health": None,
        "capacity": [],
        "speed": None,
    }
    return {**record, **changes}


def write_made_up(results: Path, cell: Cell, points: dict[int, float], **changes: Any) -> Path:
    path = path_of(results, cell)
    write_record(path, made_up(cell, points, **changes))
    return path
