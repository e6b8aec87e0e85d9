"""What a report shows of a run, as typed values; `Report.numbers` is `report.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from cldis.diffusion.kept import Start
from cldis.navigation.directions import Directions
from cldis.tracking.maps import Maps
from cldis.training.learning_curve import sign
from cldis.training.run_folder import RunFolder

FORMAT = 2  # 1 calls the accuracies of a direction `told` and `sign`

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Encoded:
    """Where pictures start, and the names of the held-out images; the codes may be made up."""

    start: Start
    labels: list[str]

    @property
    def images(self) -> Tensor | None:
        """Held out, [n, 3, H, W]; None: the codes are made up."""
        return self.start.images

    def rows(self, chosen: slice) -> Encoded:
        return Encoded(self.start.rows(chosen), self.labels[chosen])


@dataclass(frozen=True)
class Traversal:
    """One unit moved over `measure.AMOUNTS`."""

    unit: int
    change: float  # mean absolute change of a pixel at the two ends, in grey levels of 255
    cells: Tensor  # [n, len(AMOUNTS), 3, H, W], `reduced`


@dataclass(frozen=True)
class Reconstruction:
    """One way to draw the held-out images again."""

    key: str  # inverted, random or vae
    cells: Tensor  # [n, 3, H, W]
    ssim: float  # mean
    psnr: float  # mean, in dB


@dataclass(frozen=True)
class Drawn:
    """What the model does with units and with held-out images."""

    units: Rows  # `unit`, `mean` and `std` over the training images, `change` where it was moved
    traversals: list[Traversal]  # the strongest first
    codes: Encoded
    reconstructions: list[Reconstruction] = field(default_factory=list)
    edits: dict[int, Tensor] = field(default_factory=dict)  # see `measure.edits`


@dataclass
class Known:
    """What navigation and content tracking left in a run."""

    directions: Directions | None = None
    about: dict[str, Any] = field(default_factory=dict)  # of navigation
    scores: dict[str, Any] | None = None  # of content tracking, for these directions
    maps: Maps | None = None
    notes: list[str] = field(default_factory=list)  # what is missing, or wrong, and what to do

    @property
    def navigated(self) -> bool:
        return "kept" in self.about


@dataclass(frozen=True)
class Sheet:
    """The page of one direction."""

    facts: dict[str, Any]  # a row of `directions.facts_of`
    cells: Tensor  # [n, len(SHIFTS), 3, H, W], `reduced`: edits


@dataclass(frozen=True)
class Shown:
    """Every direction in numbers, and the best of them drawn."""

    known: Known = field(default_factory=Known)
    rows: Rows = field(default_factory=list)  # of `directions.facts_of`, the best first
    sheets: list[Sheet] = field(default_factory=list)  # of the first rows
    images: Tensor | None = None  # [n, 3, H, W]: the rows of every sheet; None: made-up codes

    def numbers(self) -> dict[str, Any]:
        about, scores = self.known.about if self.known.navigated else {}, self.known.scores
        assert self.known.directions is not None
        return {
            "origin": self.known.directions.origin,
            "navigation": {k: v for k, v in about.items() if k not in ("kept", "dropped")},
            "tracking": scores and {k: v for k, v in scores.items() if k != "directions"},
            "notes": self.known.notes,
            "directions": self.rows,
        }


@dataclass(frozen=True)
class New:
    """Images that nobody took: codes drawn from the prior of the run."""

    cells: Tensor | None = None  # [rows, columns, 3, H, W], `reduced`
    distances: dict[str, Any] = field(default_factory=dict)  # `cldis.training.prior.Record`
    note: str = ""  # why there are none, and what to do


@dataclass(frozen=True)
class Report:
    """All that a report says of a run; what the run does not have is None or empty."""

    run: RunFolder
    lines: Rows  # of metrics.jsonl
    steps: int  # of DDIM
    data_missing: str  # why the images are not there, in a sentence
    data_differs: bool  # whether the images are not those that the run was trained on
    health: dict[str, Any] | None
    images_seen: int = 0  # by the newest checkpoint; without one, the rest is empty
    drawn: Drawn | None = None
    directions: Shown = field(default_factory=Shown)
    new: New = field(default_factory=New)
    factors: dict[str, Any] = field(default_factory=dict)  # see `measure.factor_recovery`
    factors_missing: str = ""  # why factors could not be probed

    @property
    def code(self) -> str:
        return "z_sem" if "diffusion" in self.run.config.branches else "z_disen"

    def numbers(self) -> dict[str, Any]:
        """The content of `report.json`."""
        learnt = sign(self.lines, self.run.config)
        numbers: dict[str, Any] = {
            "format": FORMAT,
            "method": self.run.config.method,
            "code": self.code,
            "images_seen": self.images_seen,
            "steps": self.steps,
            "data_missing": self.data_missing,
            "data_differs": self.data_differs,
            "health": self.health,
            "learning": learnt.words(self.run.about["data"]["images"]) if learnt else "",
            "training": last(self.lines, "train"),
        }
        if self.drawn is not None:
            numbers["units"] = self.drawn.units
            if self.drawn.codes.images is not None:
                numbers["held_out"] = self.drawn.codes.labels
                numbers["reconstruction"] = {
                    item.key: {"ssim": item.ssim, "psnr": item.psnr}
                    for item in self.drawn.reconstructions
                }
        if self.directions.known.directions is not None:
            numbers["directions"] = self.directions.numbers()
        if self.new.distances:
            numbers["prior"] = self.new.distances
        if self.factors:
            numbers["factors"] = self.factors
        if self.factors_missing:
            numbers["factors_missing"] = self.factors_missing
        return numbers


def last(lines: Rows, kind: str) -> dict[str, Any] | None:
    """The newest line of a kind."""
    return next((line for line in reversed(lines) if line.get("kind") == kind), None)
