"""The space of a run: settled when the run is planned, found again when it is opened.

A run that diffuses latents records its autoencoder (name, revision, hash of the weights) and how
the latents are scaled. Its images are encoded once, into the cache; training reads them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from cldis.config import Config
from cldis.config_model import PIXELS
from cldis.data.cache import default_cache_dir
from cldis.data.encoded import Encodable, Halves, encoded_once
from cldis.data.mirrored import Mirrored
from cldis.data.source import ImageSource
from cldis.images import sent, to_model
from cldis.io import user_path
from cldis.networks.space import Latents, Pixels, Space, Views, encoded
from cldis.text import shown
from cldis.training.autoencoder import (
    BESIDE,
    FILES,
    Place,
    find,
    find_again,
    hash_of,
    holds,
    open_autoencoder,
)
from cldis.training.contents import RESTORE, AutoencoderRecord, checked
from cldis.training.device import default_device, loader
from cldis.training.precision import best

RECORD = "autoencoder"  # the entry in run.json, and in config.json of a saved model
LEAST = 1e-3  # standard deviation that a channel is divided by at least

Flips: TypeAlias = NDArray[np.bool_] | None  # which images are mirrored, [n]; None: none of them


class Load(Protocol):
    """Indices [n] to what training sees of these images, some of them mirrored."""

    def __call__(self, indices: NDArray[Any], flips: Flips = None) -> Views: ...


class RunLatents(Latents):
    """Latents of a run, with what the run says of the autoencoder and where its files lie."""

    def __init__(self, network: torch.nn.Module, record: Mapping[str, Any], files: Path) -> None:
        super().__init__(network, record["mean"], record["std"])
        self.record, self.files = dict(record), files


def plan_space(config: Config, source: ImageSource, progress: bool) -> dict[str, Any]:
    """What `run.json` says of the space of a new run; all images are encoded into the cache.

    Raises:
        ValueError: the autoencoder is not here, or does not fit the settings.
        OSError: the cache cannot be written.
    """
    if config.model.space == PIXELS:
        return {}
    place = find(config.model.space)
    network = open_autoencoder(place.folder, config.model)
    sha256 = hash_of(place.folder)
    latents = _encoded(network, sha256, config, source, progress)
    mean, std = _statistics(latents)
    record = {"name": place.name, "revision": place.revision, "sha256": sha256}
    return {RECORD: {**record, "mean": mean, "std": std, "source": str(place.folder)}}


def check_space(config: Config) -> str:
    """The space that a new run would have, in words; no image is looked at.

    Raises:
        ValueError: the autoencoder is not here, or does not fit the settings.
    """
    if config.model.space == PIXELS:
        return f"pixels, in patches of {config.model.patch}"
    place = find(config.model.space)
    open_autoencoder(place.folder, config.model)
    channels, side, _ = config.model.diffused
    return f"{channels} x {side} x {side} latents of {place.name}, in {place.folder}"


def open_space(config: Config, about: Mapping[str, Any], path: Path) -> Space:
    """The space of a run or a saved model.

    Args:
        about: what its `run.json` or `config.json` holds.
        path: its folder.

    Raises:
        ValueError: the autoencoder is gone, or another one; says which files to put where.
    """
    if config.model.space == PIXELS:
        return Pixels()
    record = about.get(RECORD)
    if record is None:
        raise ValueError(
            f"{path} diffuses latents (model.space), and does not say of which autoencoder: it "
            f"has no entry {RECORD!r}; {RESTORE}"
        )
    checked(AutoencoderRecord, record, path)
    channels = config.model.latent_channels
    if len(record["mean"]) != channels or len(record["std"]) != channels:
        raise ValueError(
            f"{path} scales {len(record['mean'])} and {len(record['std'])} channels of latents, "
            f"but has {channels}; {RESTORE}"
        )
    place = _place(record, config.model.space, path)
    return RunLatents(open_autoencoder(place.folder, config.model), record, place.folder)


def plain_space(config: Config) -> Space:
    """Pixels, for a model that is made without a space.

    Raises:
        ValueError: it diffuses latents.
    """
    if config.model.space == PIXELS:
        return Pixels()
    raise ValueError(
        f"this model diffuses latents of {config.model.space}, so it needs the space that draws "
        f"them; open it with cldis.load, or give space="
    )


def view_loader(
    space: Space, config: Config, source: ImageSource, device: torch.device, progress: bool
) -> Load:
    """What training sees of images, on `device`.

    Latents of mirrored images are encoded too where `training.flip` asks for them: mirrored latents
    are not the latents of a mirrored image.
    """
    images = loader(source, device)

    def seen(indices: NDArray[Any], flips: Flips) -> torch.Tensor:
        found = images(indices)
        if flips is None:
            return found
        mirrored = sent(flips, device).view(-1, 1, 1, 1)
        return torch.where(mirrored, found.flip(-1), found)

    if not isinstance(space, RunLatents):
        return lambda indices, flips=None: Views.pixels(seen(indices, flips))
    sources: list[Encodable] = [source, *([Mirrored(source)] if config.training.flip else [])]
    coder = space.record["sha256"]
    latents = [_encoded(space.autoencoder, coder, config, each, progress) for each in sources]
    scaled = space.scaled

    def views(indices: NDArray[Any], flips: Flips = None) -> Views:
        rows = latents[0][indices]
        if flips is not None:
            rows[flips] = latents[1][indices[flips]]
        return Views(seen(indices, flips), scaled(sent(rows, device)))

    return views


def _encoded(
    network: torch.nn.Module, sha256: str, config: Config, source: Encodable, progress: bool
) -> Halves:
    """Unscaled latents of all images, made in bf16 and on a GPU where the machine has that."""
    device = torch.device(default_device())
    half = best() == "bf16"

    @torch.no_grad()
    def encode(images: NDArray[np.uint8]) -> Halves:
        before = next(network.parameters()).device
        network.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            latents = encoded(network, to_model(images, device))
        network.to(before)
        return latents.float().cpu().numpy().astype("<f2")

    return encoded_once(source, sha256, config.model.diffused, encode, progress=progress)


def _statistics(latents: Halves) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over the collection."""
    sums, squares, count = 0.0, 0.0, 0
    for start in range(0, len(latents), 1024):
        part = latents[start : start + 1024].astype(np.float64)
        sums = sums + part.sum(axis=(0, 2, 3))
        squares = squares + (part**2).sum(axis=(0, 2, 3))
        count += part.size // part.shape[1]
    mean = np.asarray(sums) / count
    variance = np.maximum(np.asarray(squares) / count - mean**2, 0)
    return mean.tolist(), np.maximum(np.sqrt(variance), LEAST).tolist()


def _place(record: Mapping[str, Any], space: str, path: Path) -> Place:
    """Where the autoencoder of a record is now."""
    name, revision, sha256 = record["name"], record["revision"], record["sha256"]
    beside = path / BESIDE
    folders = [beside, default_cache_dir() / "autoencoders" / Path(name.partition("@")[0]).name]
    folders += [user_path(text) for text in (record.get("source"), space) if text]
    places = [Place(folder, name, revision) for folder in folders]
    named = f"{name}@{revision}" if revision else name
    found = find_again(sha256, places, named)
    if found is not None:
        return found
    other = [place.folder for place in places if holds(place.folder)]
    there = f"; {other[0]} holds another one ({hash_of(other[0])[:12]})" if other else ""
    wanted = f"{name} at revision {revision}" if revision else name
    raise ValueError(
        shown(
            f"{path} draws through the autoencoder {wanted}, whose weights have sha256 "
            f"{sha256[:12]}, and it is not on this machine{there}; get its {FILES[0]} and "
            f"{FILES[1]} and put both into {beside}"
        )
    )
