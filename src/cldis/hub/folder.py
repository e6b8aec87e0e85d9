"""A saved model on disk: a folder that says what it is, and holds no path of your machine.

model.safetensors            averaged weights, float32
config.json                  settings, unit statistics, and what is known of data and scores
navigation/directions.*      directions and their names, where the run has them
README.md                    the model card, written from config.json
model_index.json             by which `diffusers` opens the folder as a pipeline
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from cldis.config import Config
from cldis.hub.card import model_card
from cldis.hub.contents import CONFIG, FORMAT, INDEX, TYPE, WEIGHTS, read_record
from cldis.hub.facts import Savable, checked_licence, facts_of
from cldis.io import (
    NAME_START,
    sync_directory,
    user_path,
    write_bytes,
    write_json,
    write_text,
)
from cldis.navigation.directions import Directions
from cldis.navigation.store import (
    TENSORS,
    TEXT,
    directions_or_units,
    folder_of,
    has_directions,
    read_about,
    save_directions,
)
from cldis.training.contents import config_in, unit_tensors
from cldis.training.starter import PREFIX
from cldis.training.weights import open_networks

DIRECTIONS = [f"{folder_of('').name}/{name}" for name in (TENSORS, TEXT)]
PIPELINE = {"_class_name": "CLDisPipeline", "model": ["cldis.hub.pipeline", "CLDisComponent"]}
FILES = (WEIGHTS, CONFIG, "README.md", INDEX, *DIRECTIONS)
FROM_GIT = (".gitattributes",)  # the Hub adds it; it may be replaced with the rest


def save_model(model: Savable, folder: str | Path, licence: str | None = None) -> Path:
    """Write a model to `folder`, which appears whole or not at all.

    Args:
        folder: new, empty, or an earlier saved model, which is replaced.
        licence: of the weights, as its author words it or as the Hub's identifier; None keeps
            what is recorded, else "unknown".

    Raises:
        ValueError: the folder holds other files, the licence is no line of text, or the run that
            the model came from is damaged.
        OSError: full disk or no permission; what was there before is kept.
    """
    folder = user_path(folder)
    if folder.exists():
        check_replaceable(folder)
    facts = facts_of(model)
    if licence is not None:
        facts["licence"] = checked_licence(licence)
    record = {
        "model_type": TYPE,
        "format": FORMAT,
        "config": _settings(model.config),
        "units": {"mean": model.unit_mean.tolist(), "std": model.unit_std.tolist()},
        **facts,
    }
    directions, about = _directions(model)
    card = model_card(record, directions)
    weights = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.loop.state_dict().items()
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    made.mkdir()
    try:
        write_bytes(made / WEIGHTS, save(weights, metadata={"format": "pt"}))
        write_json(made / CONFIG, record)
        if directions is not None:
            save_directions(made, directions, about)
        write_text(made / "README.md", card)
        write_json(made / INDEX, PIPELINE)
        _put(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return folder


def load_model(folder: str | Path) -> tuple[Any, Tensor, Tensor]:
    """Networks, and mean and standard deviation of each unit [d], of a saved model.

    Raises:
        ValueError: no saved model there, damaged, or from a newer version.
    """
    folder = user_path(folder)
    record = read_record(folder)
    config = config_in(record["config"], folder / CONFIG)
    mean, std = unit_tensors(record["units"], config.model.units, folder / CONFIG)
    loop = open_networks(config, folder / WEIGHTS, folder)
    directions_or_units(folder, config.model.units)
    return loop, mean, std


def check_replaceable(folder: Path) -> None:
    """Raises ValueError: the folder holds anything but an earlier saved model."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder")
    ours = {*FILES, *FROM_GIT}
    files = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
    other = sorted(path.as_posix() for path in files if path.as_posix() not in ours)
    if other:
        raise ValueError(
            f"{folder} holds other files ({', '.join(other[:3])}), which would be lost; give a "
            f"new or empty folder"
        )


def _settings(config: Config) -> dict[str, Any]:
    """All settings; of a run that training started from, the name without the way to it."""
    start = config.training.start_from
    if start and not start.startswith(PREFIX):
        config = config.with_overrides([f"training.start_from={json.dumps(Path(start).name)}"])
    return config.to_dict()


def _directions(model: Savable) -> tuple[Directions | None, dict[str, Any]]:
    """What is stored with the model's origin; None without."""
    if model.origin is None or not has_directions(model.origin.path):
        return None, {}
    path = model.origin.path
    return directions_or_units(path, model.units), read_about(path)


def _put(made: Path, folder: Path) -> None:
    """Rename `made` to `folder`; what was there goes away once the new one is in its place."""
    if not folder.exists():
        os.replace(made, folder)
    else:
        old = folder.with_name(f".{folder.name[:NAME_START]}.{os.getpid()}.old.tmp")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
        try:
            os.replace(made, folder)
        except BaseException:
            os.replace(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    sync_directory(folder.parent)
