"""The directions of a run, on disk: `RUN/navigation/directions.safetensors` and `.json`.

The safetensors file is the truth: matrix, and all else in its metadata, in one atomic write. The
JSON beside it says the same for people and other programs, without the matrix.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from safetensors.torch import save

from cldis.io import user_path, write_bytes, write_json
from cldis.navigation.directions import Directions
from cldis.text import command
from cldis.training.checkpoint import described
from cldis.training.contents import Content, Count, Share, checked
from cldis.training.run_folder import RunFolder

FOLDER, TENSORS, TEXT = "navigation", "directions.safetensors", "directions.json"


def folder_of(run: RunFolder | str | Path) -> Path:
    """Where a run keeps what navigation found."""
    return (run.path if isinstance(run, RunFolder) else user_path(run)) / FOLDER


def save_directions(
    run: RunFolder | str | Path, directions: Directions, about: dict[str, Any] | None = None
) -> Path:
    """Store `directions` in the run; returns the path of the JSON file.

    Args:
        about: how they were found, as JSON values; None keeps what is stored.

    Raises:
        OSError: full disk or no permission; what was stored before is kept.
    """
    folder = folder_of(run)
    if about is None:
        about = read_about(run) if has_directions(run) else {}
    record = {
        "origin": directions.origin,
        "units": directions.units,
        "directions": directions.count,
        "names": {str(number): name for number, name in sorted(directions.names.items())},
        "recognised": directions.recognised,
        "about": about,
    }
    text = json.dumps(record, allow_nan=False)
    tensors = {"matrix": directions.matrix.contiguous()}
    write_bytes(folder / TENSORS, save(tensors, metadata={"directions": text}))
    write_json(folder / TEXT, record)
    return folder / TEXT


def has_directions(run: RunFolder | str | Path) -> bool:
    return (folder_of(run) / TENSORS).is_file()


def load_directions(run: RunFolder | str | Path) -> Directions:
    """The stored directions.

    Raises:
        ValueError: none are stored, or the file is damaged.
    """
    matrix, record = _read(run)
    names = {int(number): name for number, name in record["names"].items()}
    try:
        return Directions(matrix, record["origin"], names, record["recognised"])
    except ValueError as error:
        raise _damaged(run, error) from None


def read_about(run: RunFolder | str | Path) -> dict[str, Any]:
    """How the stored directions were found, as `save_directions` was told."""
    about: dict[str, Any] = _read(run)[1]["about"]
    return about


def directions_or_units(run: RunFolder | str | Path, units: int) -> Directions:
    """The stored directions, else each raw unit as one.

    Raises:
        ValueError: the stored ones are damaged, or belong to another number of units.
    """
    if not has_directions(run):
        return Directions.identity(units)
    stored = load_directions(run)
    if stored.units != units:
        raise ValueError(
            f"{folder_of(run)} holds directions of {stored.units} units, the model has "
            f"{units}; restore or remove them, or run `cldis navigate` again"
        )
    return stored


class Kept(Content):
    """What navigation measured of a direction."""

    accuracy: Share
    sign_accuracy: Share
    change: float


class Found(Content):
    """How directions were found: `about`. Those of `cldis navigate` have both."""

    kept: list[Kept] = []
    chance: Share = 0.0


class Stored(Content):
    """The metadata of `directions.safetensors`."""

    origin: str
    units: Count
    directions: Count
    names: dict[Annotated[str, Field(pattern=r"^[0-9]{1,6}$")], str]
    recognised: list[Share]
    about: Found

    @model_validator(mode="after")
    def _one_measurement_each(self) -> Self:
        there = self.about.model_fields_set
        if "kept" in there and len(self.about.kept) != self.directions:
            raise ValueError(f"about.kept is not of {self.directions} directions")
        if "kept" in there and "chance" not in there:
            raise ValueError("about.kept stands without about.chance")
        return self


def _read(run: RunFolder | str | Path) -> tuple[Any, dict[str, Any]]:
    path = folder_of(run) / TENSORS
    name = run.path if isinstance(run, RunFolder) else run
    again = command("cldis", "navigate", name)
    if not path.is_file():
        raise ValueError(f"{name} has no directions yet; run `{again}`")
    try:
        tensors, record = described(path, "directions")
        matrix = tensors["matrix"]
    except Exception as error:  # safetensors raises its own types
        raise _damaged(run, error) from None
    checked(Stored, record, path, _fix(run))
    if matrix.shape != (record["units"], record["directions"]):
        raise _damaged(run, f"a matrix of {record['units']} units was expected")
    return matrix, record


def _fix(run: RunFolder | str | Path) -> str:
    name = run.path if isinstance(run, RunFolder) else run
    return f"restore it or run `{command('cldis', 'navigate', name)}` again"


def _damaged(run: RunFolder | str | Path, why: object) -> ValueError:
    return ValueError(f"{folder_of(run) / TENSORS} cannot be read ({why}); {_fix(run)}")
