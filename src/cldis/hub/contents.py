"""What the files of a saved model may hold, see `cldis.training.contents`.

The model itself is judged when it is opened; the facts told of it only matter to who reads the
card, so they are judged when a card is written.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from cldis.training.contents import Content, Count, UnitStatistics

COMPONENT = ["cldis.hub.pipeline", "CLDisComponent"]
MISSING: Any = None  # the entry may be missing, and may not be null


class SavedModel(Content):
    """`config.json` of a saved model, without the facts."""

    config: dict[str, Any]
    units: UnitStatistics


class Data(Content):
    name: str
    images: Count
    fingerprint: str
    factors: dict[str, Count] | None


class Training(Content):
    images_seen: Count
    seed: Count
    created: str
    git: str
    versions: dict[str, str]


class Scored(Content):
    """A direction that content tracking scored."""

    number: Count
    name: str = ""
    active: bool = False
    score: float = 0.0


class LabelFree(Content):
    score: float
    control: float
    consistency: float
    separation: float
    monotonicity: float
    active: Count
    images: Count
    data: str
    directions: list[Scored]


class Labelled(Content):
    """The factor probe on one code."""

    dci_disentanglement: float | None
    dci_completeness: float | None
    accuracy: dict[str, float]
    chance: dict[str, float]
    estimator: str
    test: Count


class Drawn(Content):
    ssim: float | None
    psnr: float | None


class Health(Content):
    images: Count
    gap: float | None = None
    sem_active_units: Count = 0
    disen_active_units: Count = 0
    warnings: list[str] = []


class Scores(Content):
    label_free: LabelFree = MISSING
    labelled: Annotated[dict[str, Labelled], Field(min_length=1)] = {}
    reconstruction: dict[str, Drawn] = {}
    health: Health = MISSING


class Facts(Content):
    """What `config.json` tells of data, training, licence and scores."""

    data: Data | None
    training: Training | None
    licence: str
    scores: Scores


class ReportScores(Content):
    """What a card takes from `RUN/report.json`."""

    images_seen: Count
    factors: dict[str, Labelled] = {}
    reconstruction: dict[str, Drawn] = {}


class PipelineIndex(Content):
    """`model_index.json`: one component, which is ours. It names classes that would be imported."""

    __pydantic_extra__: dict[Annotated[str, Field(pattern=r"^_[a-z_]{1,40}$")], str]

    class_name: Literal["CLDisPipeline"] = Field(alias="_class_name")
    model: list[str]

    @model_validator(mode="after")
    def _the_component_is_ours(self) -> Self:
        if self.model != COMPONENT:
            raise ValueError(f"model {self.model!r} is not {COMPONENT}")
        return self
