"""A run from a checkpoint of the official Diff-AE code (Preechakul et al. 2022)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from cldis.config import Config
from cldis.config_model import ModelConfig
from cldis.data.open import open_data
from cldis.io import (
    folder_beside,
    sha256_of,
    sync_directory,
    user_path,
    write_bytes,
    write_json,
)
from cldis.loop.feedback import build_feedback
from cldis.loop.two_branch import TwoBranch
from cldis.methods.build import build
from cldis.networks.official import PUBLISHED, convert_official
from cldis.training.checkpoint import load_into
from cldis.training.lightning import lightning_weights
from cldis.training.run_folder import RunFolder
from cldis.training.unit_stats import unit_statistics

IMAGES = 0  # seen in this run, which is the name of its checkpoint


def import_diffae(
    checkpoint: str | Path,
    data: str,
    out: str | Path,
    known: Mapping[str, ModelConfig] = PUBLISHED,
    progress: bool = False,
) -> RunFolder:
    """Make a run, which appears whole or not at all.

    Args:
        checkpoint: `last.ckpt` of an autoencoder, with or without a prior over z_sem.
        data: folder or name of images, which become those of the run. Mean and spread of every
            unit are measured on them, unless the checkpoint has those of its training images, as
            one with a prior does.
        known: the models that are accepted, by name.

    Raises:
        ValueError: `out` is there already, the checkpoint is none that is accepted or damaged, or
            the images cannot be used.
        OSError: a file cannot be read, or the disk is full.
    """
    checkpoint, out = user_path(checkpoint), user_path(out)
    if os.path.lexists(out):
        raise ValueError(f"{out} is there already; choose another --out")
    state = lightning_weights(checkpoint)
    try:
        name, weights = convert_official(state, known)
    except ValueError as error:
        raise ValueError(f"{checkpoint} is {error}") from None
    config = diffae_config(known[name])
    source = open_data(data, config.model.resolution, progress=progress)
    model = build(config).eval()
    ours = {key.replace("encoder.", "semantic.", 1): value for key, value in weights.items()}
    load_into(model, ours, str(checkpoint))
    units = _training_statistics(state, config.model.units, checkpoint)
    if units is None:
        units = unit_statistics(model, source)
    origin = {"file": checkpoint.name, "sha256": sha256_of(checkpoint), "model": name}
    run = RunFolder.plan(out, config, source, data)
    run = dataclasses.replace(run, about={**run.about, "imported": origin})

    with folder_beside(out) as folder:
        made = dataclasses.replace(run, path=folder)
        made.write(source)
        _write_weights(made, model, units)
        os.replace(folder, out)
    sync_directory(out.parent)
    return run


def diffae_config(model: ModelConfig) -> Config:
    """The settings of a run with official weights: the diffusion branch alone."""
    return Config.from_dict(
        {
            "recipe": "import-diffae",
            "method": "diffusion",
            "model": model.model_dump(mode="json"),
            "diffusion": {
                "steps": 1000,
                "schedule": "linear",
                "prediction": "epsilon",
                "condition_dropout": 0.0,
            },
        }
    )


def _training_statistics(
    state: Mapping[str, Tensor], units: int, origin: Path
) -> dict[str, list[float]] | None:
    """Mean and spread of the units over the training images; None where they are not there.

    Raises:
        ValueError: they are of another size, not finite, or negative.
    """
    if not {"conds_mean", "conds_std"} <= set(state):
        return None
    mean, std = state["conds_mean"], state["conds_std"]
    sized = mean.numel() == std.numel() == units  # before anything is made of them
    numbers = torch.stack([mean.float().flatten(), std.float().flatten()]) if sized else None
    if numbers is None or not bool(torch.isfinite(numbers).all()) or bool((std < 0).any()):
        raise ValueError(
            f"{origin} is damaged: conds_mean and conds_std are not the mean and spread of "
            f"{units} units; download it again"
        )
    return {"mean": numbers[0].tolist(), "std": numbers[1].tolist()}


def _write_weights(run: RunFolder, model: TwoBranch, units: dict[str, list[float]]) -> None:
    """The checkpoint of the run: what it takes to use the model, but not to go on training it."""
    folder = run.checkpoints / f"{IMAGES:012d}"
    write_bytes(folder / "ema.safetensors", save(model.state_dict()))
    write_json(
        folder / "state.json",
        {
            "images": IMAGES,
            "averaged": IMAGES,
            "feedback": build_feedback(run.config, model.process).state(),
            "units": units,
        },
    )
