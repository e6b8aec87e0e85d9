"""A saved model on disk: a folder that says what it is, and holds no path of your machine.

model.safetensors            averaged weights, float32
config.json                  settings, unit statistics, and what is known of data and scores
navigation/directions.*      directions and their names, where the run has them
prior/prior.*                the prior over codes that draws new images, where the run has one
autoencoder/*                the autoencoder whose latents the model diffuses, where it does
README.md                    the model card, written from config.json
model_index.json             by which `diffusers` opens the folder as a pipeline
"""

from __future__ import annotations

import json
import os
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
    folder_beside,
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
from cldis.networks.space import Space
from cldis.training import autoencoder, prior
from cldis.training.contents import config_in, unit_tensors
from cldis.training.space import RECORD, RunLatents, open_space
from cldis.training.starter import PREFIX
from cldis.training.weights import open_networks

DIRECTIONS = [f"{folder_of('').name}/{name}" for name in (TENSORS, TEXT)]
PIPELINE = {"_class_name": "CLDisPipeline", "model": ["cldis.hub.pipeline", "CLDisComponent"]}
FILES = (WEIGHTS, CONFIG, "README.md", INDEX, *DIRECTIONS, *prior.FILES)
AUTOENCODER = tuple(f"{autoencoder.BESIDE}/{name}" for name in autoencoder.FILES)
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
        "config": _settings(model.config, model.space),
        "units": {"mean": model.unit_mean.tolist(), "std": model.unit_std.tolist()},
        **_autoencoder(model.space),
        **facts,
    }
    directions, about = _directions(model)
    card = model_card(record, directions)
    drawing = _prior(model)
    weights = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.loop.state_dict().items()
    }
    with folder_beside(folder) as made:
        write_bytes(made / WEIGHTS, save(weights, metadata={"format": "pt"}))
        write_json(made / CONFIG, record)
        if directions is not None:
            save_directions(made, directions, about)
        if drawing is not None:
            prior.save_prior(made, *drawing)
        write_text(made / "README.md", card)
        write_json(made / INDEX, PIPELINE)
        if isinstance(model.space, RunLatents):
            _copy_autoencoder(model.space, made)
        _put(made, folder)
    return folder


def load_model(folder: str | Path) -> tuple[Any, Tensor, Tensor, Space]:
    """Networks, mean and standard deviation of each unit [d], and the space of a saved model.

    Raises:
        ValueError: no saved model there, damaged, or from a newer version.
    """
    folder = user_path(folder)
    record = read_record(folder)
    config = config_in(record["config"], folder / CONFIG)
    mean, std = unit_tensors(record["units"], config.model.units, folder / CONFIG)
    loop = open_networks(config, folder / WEIGHTS, folder)
    directions_or_units(folder, config.model.units)
    return loop, mean, std, open_space(config, record, folder)


def check_replaceable(folder: Path) -> None:
    """Raises ValueError: the folder holds anything but an earlier saved model."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder")
    ours = {*FILES, *AUTOENCODER, *FROM_GIT}
    files = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
    other = sorted(path.as_posix() for path in files if path.as_posix() not in ours)
    if other:
        raise ValueError(
            f"{folder} holds other files ({', '.join(other[:3])}), which would be lost; give a "
            f"new or empty folder"
        )


def _settings(config: Config, space: Space) -> dict[str, Any]:
    """All settings; of a run that training started from, and of an autoencoder, the name without
    the way to it."""
    if isinstance(space, RunLatents):
        config = config.with_overrides([f"model.space={json.dumps(space.record['name'])}"])
    start = config.training.start_from
    if start and not start.startswith(PREFIX):
        config = config.with_overrides([f"training.start_from={json.dumps(Path(start).name)}"])
    return config.to_dict()


def _autoencoder(space: Space) -> dict[str, Any]:
    """The entry of the record that says which autoencoder; empty in pixels."""
    if not isinstance(space, RunLatents):
        return {}
    return {RECORD: {key: value for key, value in space.record.items() if key != "source"}}


def _copy_autoencoder(space: RunLatents, folder: Path) -> None:
    """Both files, so that the saved model is whole by itself.

    Raises:
        ValueError: they are gone, or not those that the model was opened with.
    """
    for name in AUTOENCODER:
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        try:
            shutil.copyfile(space.files / target.name, target)
        except FileNotFoundError:
            raise ValueError(
                f"the autoencoder is not in {space.files} any more ({target.name}); put it there"
            ) from None
    if autoencoder.hash_of(folder / autoencoder.BESIDE) != space.record["sha256"]:
        raise ValueError(
            f"the autoencoder in {space.files} was changed since the model was opened; put the "
            f"one there that it had"
        )


def _directions(model: Savable) -> tuple[Directions | None, dict[str, Any]]:
    """What is stored with the model's origin; None without."""
    if model.origin is None or not has_directions(model.origin.path):
        return None, {}
    path = model.origin.path
    return directions_or_units(path, model.units), read_about(path)


def _prior(model: Savable) -> tuple[prior.Prior, dict[str, Any]] | None:
    """The prior that is stored with the model's origin, and what is known of it; None without."""
    if model.origin is None or not prior.has_prior(model.origin.path):
        return None
    return prior.load_prior(model.origin.path, model.loop, model.units)


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
