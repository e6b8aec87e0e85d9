"""A finished cell on disk: one JSON file that says whether it is whole.

The file carries the sha256 of its own content, so that a flipped digit is found as surely as a
cut-off file. Formatting is free: the sum is over the parsed content.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cldis.bench.suite import Cell
from cldis.config import Config
from cldis.io import read_json, write_json
from cldis.training.contents import LARGEST, Content, Count, checked, config_in

FORMAT = 2  # 1 has the settings of an earlier version (cldis.config_upgrade)
Record = dict[str, Any]  # a result: the entries `KEYS`

# What differs between the cells of one method by design, changes no number, or belongs to the
# machine: the precision is settled when a run starts, and the table names it.
VARYING = {
    "training.seed",
    "training.images",
    "training.checkpoint_every",
    "training.log_every",
    "training.sample_every",
    "training.keep",
    "training.precision",
    "training.compile",
}


class Result(Content):
    """What a table reads of a result, beside its scores."""

    suite: str
    method: str
    data: str
    seed: Count
    images: Count
    resolution: Count
    config: dict[str, Any]
    scoring: dict[str, Any]
    git: str | dict[str, str]
    versions: dict[str, str]
    seconds: float | None
    images_per_second: float | None
    finished: str
    fingerprint: str
    curve: Annotated[list[dict[str, Any]], Field(min_length=1)]
    last: dict[str, Any] | None
    health: dict[str, Any] | None
    capacity: list[Any] | None
    speed: dict[str, float] | None = None  # what a step costs; results before it have none


KEYS = {"format", "machine", *Result.model_fields}
LATER = {"speed"}  # may be missing


class Damaged(ValueError):
    """A result file that cannot be trusted; the message says why."""


def path_of(results: Path, cell: Cell) -> Path:
    return results / cell.suite / f"{cell.name}.json"


def write_record(path: Path, record: Record) -> None:
    """Write a result with its checksum, atomically.

    Raises:
        ValueError: a score is NaN or infinite (not JSON).
        OSError: the disk is full; nothing is left behind.
    """
    assert set(record) == KEYS, set(record) ^ KEYS
    write_json(path, {**record, "sha256": _checksum(record)})


def read_record(path: Path) -> Record:
    """Read a result.

    Raises:
        Damaged: cut off, altered, not this format's entries, or under another cell's name.
        ValueError: another format, or settings that this version does not know.
    """
    try:
        record = read_json(path, LARGEST)
    except ValueError:
        raise Damaged(f"{path} is not valid JSON") from None
    if not isinstance(record, dict):
        raise Damaged(f"{path} holds no result")
    checksum = record.pop("sha256", None)
    if checksum != _checksum(record):
        raise Damaged(f"{path} was altered or cut off: its checksum does not fit")
    if record.get("format") not in (1, FORMAT):
        raise ValueError(
            f"{path} has result format {record.get('format')!r}, this version reads up to "
            f"{FORMAT}; move it away, or use the version that wrote it (see its entry `versions`)"
        )
    if other := (KEYS ^ set(record)) - LATER:
        raise Damaged(f"{path} has other entries than a result: {sorted(other)}")
    try:
        checked(Result, record, path)
    except ValueError as error:
        raise Damaged(str(error)) from None
    config_in(record["config"], path)
    if path.stem != cell_of(record).name or path.parent.name != record["suite"]:
        raise Damaged(f"{path} holds the result of {record['suite']}/{cell_of(record).name}")
    return record


def cell_of(record: Record) -> Cell:
    return Cell(*(record[key] for key in ("suite", "method", "data", "images", "seed")))


def settings(config: Config) -> dict[str, Any]:
    """The settings that make a method what it is, flat: everything but `VARYING`."""
    return {key: item for key, item in config.flat().items() if key not in VARYING}


def record_settings(record: Record) -> dict[str, Any]:
    """`settings` of a result. Settings added to the package since then have their defaults.

    Raises:
        ValueError: a setting that this version does not know.
    """
    return {**settings(Config.from_stored(record["config"])), "scoring": record["scoring"]}


def differences(one: dict[str, Any], other: dict[str, Any]) -> str:
    """In words: `feedback.rate .3 / .1, ...`; empty when they agree."""
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return ", ".join(f"{key} {one.get(key)!r} / {other.get(key)!r}" for key in keys)


def _checksum(record: Record) -> str:
    text = json.dumps(record, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
