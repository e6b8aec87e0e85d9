"""What the files of a saved model may hold, see `cldis.training.contents`; reading `config.json`.

The model itself is judged when it is opened; the facts told of it only matter to who reads the
card, so they are judged when a card is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cldis.config_upgrade import upgrade
from cldis.io import read_json, user_path
from cldis.training.contents import (
    LARGEST,
    MISSING,
    AutoencoderRecord,
    Content,
    Count,
    Imported,
    UnitStatistics,
    checked,
)

TYPE, FORMAT = "cldis", 2
WEIGHTS, CONFIG, INDEX = "model.safetensors", "config.json", "model_index.json"


class SavedModel(Content):
    """`config.json` of a saved model, without the facts."""

    config: dict[str, Any]
    units: UnitStatistics
    autoencoder: AutoencoderRecord = MISSING


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
    imported: Imported = MISSING


class Scored(Content):
    """A direction that content tracking scored."""

    number: Count
    name: str = ""
    active: bool = False
    score: float = 0.0


class LabelFree(Content):
    score: float
    control: float
    purity: float | None = None  # a model saved by an older version has other parts
    own: float | None = None
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


def is_saved_model(path: str | Path) -> bool:
    """Whether `path` holds what `save_pretrained` writes (and is no run folder)."""
    path = user_path(path)
    return (path / WEIGHTS).is_file() and (path / CONFIG).is_file()


def read_record(folder: Path) -> dict[str, Any]:
    """The checked content of `config.json`.

    Raises:
        ValueError: no saved model there, damaged, or from a newer version.
    """
    if not is_saved_model(folder):
        if (folder / INDEX).is_file():
            raise ValueError(
                f"{folder} is a diffusers pipeline; open it with "
                f"cldis.hub.CLDisPipeline.from_pretrained"
            )
        what = f"holds no {WEIGHTS} and {CONFIG}" if folder.exists() else "does not exist"
        raise ValueError(
            f"{folder} {what}; give a folder that save_pretrained or `cldis export` wrote"
        )
    record: Any = read_json(folder / CONFIG, LARGEST)
    if not isinstance(record, dict) or record.get("model_type") != TYPE:
        raise ValueError(
            f"{folder / CONFIG} is not of a CL-Dis model (no model_type {TYPE!r}); give a folder "
            f"that save_pretrained or `cldis export` wrote"
        )
    written = record.get("format")
    if not isinstance(written, int) or written > FORMAT:
        raise ValueError(
            f"{folder} has format {written!r}, this version reads up to {FORMAT}; upgrade with "
            f"`pip install -U cldis`"
        )
    checked(SavedModel, record, folder / CONFIG, "restore it or save the model again")
    return {**record, "config": upgrade(record["config"])}
