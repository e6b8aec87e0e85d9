"""What the files of a run may hold: a typed model for each, checked before anything is built.

A run may come from a stranger. `read` opens a file and `checked` judges what is in it; both end in
one line that names the file, what is wrong, and what to do. Entries that a model does not name may
be there: they are read by nobody. The models have no optional null: what may be missing is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from cldis.config import Config, one_line
from cldis.io import read_json

LARGEST = 2**28  # bytes of a JSON file, and of a log
RESTORE = "restore it, or use a run that is whole"
MISSING: Any = None  # the entry may be missing, and may not be null

Count = Annotated[int, Field(ge=0, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Error = Annotated[float, Field(ge=0, le=10)]  # of a share, from few groups
Checkpoint = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]  # images seen, as its folder is named
Name = Annotated[str, Field(min_length=1, max_length=60)]


class Content(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, frozen=True)


class RunData(Content):
    source: str
    name: str
    images: Count
    resolution: Count
    fingerprint: str
    skipped: Count
    factors: dict[str, Count]


class Machine(Content):
    platform: str
    python: str


class AutoencoderRecord(Content):
    """The autoencoder whose latents a run diffuses, and how they are scaled."""

    name: Annotated[str, Field(min_length=1, max_length=300)]
    revision: Annotated[str, Field(max_length=100)]  # on the Hub; empty of a folder
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of its weights
    mean: list[Annotated[float, Field(ge=-1e6, le=1e6)]]  # per channel, over the collection
    std: list[Annotated[float, Field(ge=1e-6, le=1e6)]]
    source: str = ""  # the folder it was in


class Imported(Content):
    """The file of others that the weights of a run come from."""

    file: Annotated[str, Field(min_length=1, max_length=300)]  # its name, without the way to it
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    model: Annotated[str, Field(min_length=1, max_length=100)]  # what was recognised in it


class RunRecord(Content):
    """`run.json`."""

    created: str
    command: list[str]
    seed: Count
    data: RunData
    versions: dict[str, str]
    git: str
    machine: Machine
    autoencoder: AutoencoderRecord = MISSING  # not there: the run diffuses pixels
    imported: Imported = MISSING  # not there: the run was trained here


class UnitStatistics(Content):
    """Mean and standard deviation of each unit over the training images."""

    mean: list[float]
    std: list[Annotated[float, Field(ge=0)]]


class FeedbackState(Content):
    capacity: float
    signal: float
    average: float = 0.0
    totals: list[float] = []
    counts: list[float] = []
    errors: list[float] = []
    moments: list[float] = []
    z_rate: float = 0.0
    integral: float = 0.0


class State(Content):
    """`state.json` of a checkpoint."""

    images: Count
    averaged: Count
    feedback: FeedbackState
    units: UnitStatistics


class MetricsLine(Content):
    """A line of `metrics.jsonl`. A number that was not finite is null there."""

    __pydantic_extra__: dict[str, float | None | list[float | None]]

    kind: str
    images: Count
    diffusion: float | None = None
    heldout_diffusion: float | None = None
    vae_nll: float | None = None
    vae_kl: float | None = None
    capacity: float | None = None
    feedback: float | None = None
    distillation: float | None = None
    lambda_dt: float | None = None
    images_per_second: float | None = None
    processor_seconds: float | None = None
    gap: float | None = None
    sem_active_units: Count = 0
    disen_active_units: Count = 0
    warnings: list[str] = []
    learning: Annotated[str, Field(max_length=20)] = ""  # `learning_curve.Sign.kind`

    @model_validator(mode="after")
    def _lists_are_per_unit(self) -> Self:
        for key, value in (self.__pydantic_extra__ or {}).items():
            if isinstance(value, list) and not key.endswith("_per_unit"):
                raise ValueError(f"{key} is a list")
        return self


class Tracked(Content):
    """One direction in `tracking/scores.json`."""

    number: Count
    name: Name = "-"
    active: bool
    activity: float
    motion_share: float
    score: Share = 0.0
    error: Error = 0.0
    purity: Share = 0.0
    own: Share = 0.0
    closest: Count = 0
    closest_similarity: float = 0.0

    @model_validator(mode="after")
    def _active_has_scores(self) -> Self:
        there = self.model_fields_set
        needed = {"score", "purity", "own"}
        if self.active and not needed <= there:
            raise ValueError(f"an active direction lacks {', '.join(sorted(needed - there))}")
        if "closest" in there and "closest_similarity" not in there:
            raise ValueError("closest stands without closest_similarity")
        if not self.name.isprintable():
            raise ValueError("the name is not printable")
        return self


class TrackedData(Content):
    name: str
    fingerprint: str
    trained_on: bool


class TrackingSettings(Content):
    shifts: list[float]
    steps: Count
    estimator: str
    seed: int


class NoiseFloor(Content):
    motion: float
    appearance: float


TRACKING_FORMAT = 2  # 1 had other scores: consistency, separation, monotonicity


def outdated_tracking(value: Any) -> bool:
    """Whether scores of `cldis track` are of an older format, by the number that they bear."""
    return isinstance(value, dict) and value.get("format") in range(1, TRACKING_FORMAT)


class TrackingScores(Content):
    """`tracking/scores.json`."""

    format: Count
    asked: Count
    origin: str
    checkpoint: Checkpoint = "0"
    data: TrackedData
    settings: TrackingSettings
    noise_floor: NoiseFloor
    warnings: list[str]
    score: Share
    error: Error | None = None
    control: Share
    purity: Share
    own: Share
    active: Count
    images: Count
    directions: list[Tracked]

    @model_validator(mode="after")
    def _numbers_are_those_of_directions(self) -> Self:
        numbers = sorted(item.number for item in self.directions)
        if numbers != list(range(len(numbers))):
            raise ValueError("the directions are not numbered 0, 1, 2, ...")
        return self


def checked(kind: type[Content], value: Any, origin: str | Path, fix: str = RESTORE) -> Any:
    """`value` itself, which is what `kind` says.

    Args:
        origin: the file, for the message.
        fix: what to do about a damaged one.

    Raises:
        ValueError: it is not.
    """
    try:
        kind.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"{origin} is damaged: {one_line(error)}; {fix}") from None
    return value


def read(kind: type[Content], path: Path, fix: str = RESTORE) -> dict[str, Any]:
    """The checked content of a JSON file.

    Raises:
        ValueError: not JSON, too large, or not what `kind` says.
        OSError: the file cannot be read.
    """
    return cast(dict[str, Any], checked(kind, read_json(path, LARGEST), path, fix))


def read_tracking(path: Path, fix: str = RESTORE) -> dict[str, Any] | None:
    """`tracking/scores.json`; None: of an older format, to be measured again, not damaged.

    Raises:
        ValueError, OSError: as `read` says.
    """
    scores = read_json(path, LARGEST)
    if outdated_tracking(scores):
        return None
    return cast(dict[str, Any], checked(TrackingScores, scores, path, fix))


def config_in(value: Any, path: Path) -> Config:
    """The configuration in a file.

    Raises:
        ValueError: unknown settings, wrong types, or out of range; the file is named.
    """
    try:
        return Config.from_stored(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def unit_tensors(units: dict[str, Any], count: int, origin: str | Path) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each unit, float32 [count] each.

    Raises:
        ValueError: missing, of another length, negative spread, or not finite as float32.
    """
    checked(UnitStatistics, units, origin)
    parts = []
    for key in ("mean", "std"):
        values = torch.tensor(units[key], dtype=torch.float32)
        if len(values) != count or not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"{origin} lacks a finite {key} for each of its {count} units (it has "
                f"{len(values)} numbers); {RESTORE}"
            )
        parts.append(values)
    return parts[0], parts[1]
