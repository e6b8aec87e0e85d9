"""What an analysis found, part by part, as typed values; `Analysis.numbers` is `analysis.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cldis.data.source import ImageSource
from cldis.pages.analysis.encode import CollectionCodes
from cldis.pages.analysis.labels import Label
from cldis.training.run_folder import versions

FORMAT = 1
MAX_LISTED = 200  # outliers and pairs of near-duplicates in analysis.json

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Units:
    """What every unit does."""

    rows: Rows  # of every unit; those of `shown` have `pixel_share` and `change` too
    shown: list[int]  # the units that are looked at, rising
    averages: dict[int, NDArray[np.float32]]  # unit -> mean image of each tenth [10, 3, H, W]
    strips: dict[int, Tensor]  # unit -> a photo with the unit moved [amounts, 3, H, W]


@dataclass(frozen=True)
class LabelFindings:
    """What the code says of labels."""

    columns: list[Label]
    notes: list[str]  # what could not be done, in sentences
    settings: dict[str, str]  # of the probes
    codes: Rows  # that were probed: `name`, `what`, `dimensions`
    own: int  # of them, codes of this run; they come first
    others: int  # of them, codes of other runs; they come next
    train: int  # images of the probes' pool
    test: int
    curves: dict[str, dict[str, Any]]  # column -> `chance` and the `curves` of every code
    information: dict[str, dict[str, Any]]  # column -> see `dependence.unit_information`
    associations: Rows  # pairs of columns, the most alike first

    def numbers(self) -> dict[str, Any]:
        probes: dict[str, Any] = {
            "settings": self.settings,
            "codes": self.codes,
            "columns": self.curves,
        }
        if self.codes:
            probes |= {"train": self.train, "test": self.test}
        return {
            "labels": {
                "notes": self.notes,
                "columns": [
                    {
                        "name": label.name,
                        "kind": label.kind,
                        "classes": list(label.classes),
                        "images": int(label.known.sum()),
                    }
                    for label in self.columns
                ],
            },
            "probes": probes,
            "information": self.information,
            "associations": self.associations,
        }


@dataclass(frozen=True)
class Oddities:
    """Images that stand apart, and images that are there twice."""

    distance: NDArray[np.float64]  # of every image from the others
    line: float  # the distance beyond which one in 1,000 images of a Gaussian code lies
    beyond: int  # images that do
    expected: float  # images that would
    furthest: NDArray[np.int64]  # images, the furthest first
    pairs: Rows  # of `outliers.near_duplicates`

    def numbers(self, paths: list[str]) -> dict[str, Any]:
        return {
            "outliers": {
                "line": self.line,
                "beyond": self.beyond,
                "expected": self.expected,
                "median": float(np.median(self.distance)),
                "furthest": [
                    {"path": paths[k], "distance": float(self.distance[k])} for k in self.furthest
                ],
            },
            "duplicates": {
                "pairs": len(self.pairs),
                "images": len({pair[side] for pair in self.pairs for side in ("first", "second")}),
                "closest": [
                    {**pair, "first": paths[pair["first"]], "second": paths[pair["second"]]}
                    for pair in self.pairs[:MAX_LISTED]
                ],
            },
        }


@dataclass(frozen=True)
class Comparison:
    """How a second collection lies in the code of the first."""

    source: ImageSource
    codes: CollectionCodes
    units: Rows  # of `compare.shifts` with their `unit`, the largest first
    told_apart: dict[str, Any] | None  # a probe that tells the collections apart
    note: str  # why something was not measured

    def numbers(self) -> dict[str, Any]:
        return {
            "compare": {
                "data": about_data(self.source),
                "units": self.units,
                "told_apart": self.told_apart,
                "note": self.note,
            }
        }


@dataclass(frozen=True)
class Analysis:
    """A collection seen through the code of a run."""

    run: dict[str, Any]  # about the run
    source: ImageSource
    codes: CollectionCodes
    units: Units
    labels: LabelFindings
    oddities: Oddities | None  # None where no unit varies
    comparison: Comparison | None  # None where nothing was to be compared

    def numbers(self) -> dict[str, Any]:
        """The content of `analysis.json`."""
        odd = {"outliers": None, "duplicates": None}
        return {
            "format": FORMAT,
            "run": self.run,
            "data": about_data(self.source),
            "versions": versions(),
            "code": self.codes.name,
            "units": self.units.rows,
            "looked_at": self.units.shown,
            **self.labels.numbers(),
            **(self.oddities.numbers(self.codes.paths) if self.oddities else odd),
            **(self.comparison.numbers() if self.comparison else {}),
        }


def about_data(source: ImageSource) -> dict[str, Any]:
    """What a reader should know of a collection."""
    return {
        "name": source.name,
        "images": len(source),
        "resolution": source.resolution,
        "fingerprint": source.fingerprint,
        "skipped": len(source.skipped),
        "skipped_first": [list(item) for item in source.skipped[:20]],
    }
