"""What is known of a model beside its weights: data, training, scores. No path, no machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from cldis.config import Config
from cldis.hub.contents import Facts, ReportScores, read_record
from cldis.loop.two_branch import TwoBranch
from cldis.networks.space import Space
from cldis.training.contents import Content, checked, read, read_tracking
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder
from cldis.training.weights import Origin

UNKNOWN = "unknown"
MAX_LICENCE = 200
NOTHING: dict[str, Any] = {"data": None, "training": None, "licence": UNKNOWN, "scores": {}}
# Of `RUN/tracking/scores.json`, for the run and per direction.
LABEL_FREE = ("score", "control", "purity", "own", "active", "images")
PER_DIRECTION = ("number", "name", "active", "score")
LABELLED = ("dci_disentanglement", "dci_completeness", "accuracy", "chance", "estimator", "test")


class Savable(Protocol):
    """What is saved of a `cldis.Model`."""

    loop: TwoBranch
    unit_mean: Tensor  # [d]
    unit_std: Tensor  # [d]
    origin: Origin | None
    space: Space

    @property
    def config(self) -> Config: ...

    @property
    def units(self) -> int: ...


def facts_of(model: Savable) -> dict[str, Any]:
    """`data`, `training`, `licence` and `scores` as JSON values; None for what nobody recorded.

    Raises:
        ValueError: the run or saved model that it came from is gone or damaged.
    """
    if model.origin is None:
        return {**NOTHING}
    path, checkpoint = model.origin.path, model.origin.checkpoint
    if checkpoint is None:
        record = read_record(path)
        facts = {key: record.get(key, NOTHING[key]) for key in NOTHING}
        checked(Facts, facts, path / "config.json", "restore it, or save the model from its run")
        return {**facts, "licence": checked_licence(facts["licence"])}
    about = RunFolder.open(path).about
    data = about["data"]
    kept = ("name", "images", "resolution", "fingerprint", "factors")
    return {
        "data": {key: data[key] for key in kept},
        "training": {
            "images_seen": int(checkpoint),
            **{key: about[key] for key in ("seed", "created", "git", "versions")},
            **{key: about[key] for key in ("imported",) if key in about},
        },
        "licence": UNKNOWN,
        "scores": run_scores(path, checkpoint),
    }


def run_scores(run: Path, checkpoint: str) -> dict[str, Any]:
    """What a run has measured on this very checkpoint: `label_free`, `labelled`,
    `reconstruction`, `health`; absent where it has not.

    Raises:
        ValueError: a file of scores is damaged.
    """
    measured: dict[str, Any] = {}
    scores = run / "tracking" / "scores.json"
    tracking = (read_tracking(scores) if scores.is_file() else None) or {}
    if tracking.get("checkpoint") == checkpoint:
        measured["label_free"] = {
            **{key: tracking[key] for key in LABEL_FREE},
            "data": tracking["data"]["name"],
            "directions": [
                {key: item[key] for key in PER_DIRECTION if key in item}
                for item in tracking["directions"]
            ],
        }
    report = _optional(ReportScores, run / "report.json")
    if report.get("images_seen") == int(checkpoint):
        if report.get("reconstruction"):
            measured["reconstruction"] = report["reconstruction"]
        if report.get("factors"):
            measured["labelled"] = {
                code: {key: scores[key] for key in LABELLED}
                for code, scores in report["factors"].items()
            }
    health = [line for line in read_metrics(run / "metrics.jsonl") if line["kind"] == "health"]
    if health and health[-1]["images"] <= int(checkpoint):
        measured["health"] = {
            key: health[-1][key]
            for key in ("images", "gap", "sem_active_units", "disen_active_units", "warnings")
            if key in health[-1]
        }
    return measured


def checked_licence(text: str) -> str:
    """Raises ValueError: empty, too long, or not one line of printable text."""
    licence = text.strip()
    if not licence or len(licence) > MAX_LICENCE or not licence.isprintable():
        raise ValueError(
            f"licence {text!r} cannot be recorded; give one line of 1 to {MAX_LICENCE} printable "
            f"characters, such as apache-2.0, or leave it out for {UNKNOWN!r}"
        )
    return licence


def _optional(kind: type[Content], path: Path) -> dict[str, Any]:
    return read(kind, path, "remove it, or measure again") if path.is_file() else {}
