"""The codes that probes compare: this run's, pixels, PCA, an untrained encoder, and other runs'."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.config import Config
from cldis.data.open import open_data
from cldis.data.source import ImageSource
from cldis.images import reduced, to_model
from cldis.io import user_path
from cldis.methods.controls import PCA, RandomEncoder
from cldis.model import Model, load
from cldis.pages.analysis.encode import CollectionCodes, batches
from cldis.pages.analysis.probes import Split

PIXEL_SIDE = 32  # raw pixels and PCA see pictures of at most this side


@dataclass(frozen=True)
class Compared:
    """A code of the probes' images, in the order of `Split.images`."""

    name: str
    what: str
    code: Floats  # [n, d]
    one_scale: bool = False  # see `probes.rescaled`


def compared(
    model: Model,
    codes: CollectionCodes,
    source: ImageSource,
    parts: Split,
    against: Iterable[Compared],
) -> list[Compared]:
    """Every code that the probes compare; this run's first."""
    config, chosen = model.config, parts.images
    every = []
    for name, means in (("z_sem", codes.sem), ("z_disen", codes.disen)):
        if means is not None:
            every.append(Compared(f"this run, {name}", "of the analysed run", means[chosen]))
    every += against
    pixels = _gathered(source, chosen, lambda images: shrunk(images).reshape(len(images), -1))
    side = round((pixels.shape[1] / 3) ** 0.5)
    count = min(config.model.units, len(parts.pool), pixels.shape[1])
    pca = PCA(config.with_overrides([f"model.units={count}"]))
    shaped = to_model(pixels.reshape(-1, 3, side, side))
    pca.fit(shaped[: len(parts.pool)])
    words = "" if side == source.resolution else f", reduced to {side} px"
    every.append(
        Compared("PCA", f"{count} principal components of the pixels{words}", pca.encode(shaped))
    )
    untrained = RandomEncoder(config)
    every.append(
        Compared(
            "untrained encoder",
            "the encoder of this run before training",
            _gathered(source, chosen, lambda images: untrained.encode(to_model(images))),
        )
    )
    words = f"red, green and blue of {side} x {side} pixels"
    every.append(Compared("raw pixels", words, pixels, one_scale=True))
    return every


def other_run(
    run: str, data: str, paths: list[str], parts: Split, cache_dir: Path | None = None
) -> Compared:
    """The code of another run for the same images.

    Raises:
        ValueError: no usable run there, or an image that is not read at its resolution.
    """
    model = load(run)
    source = open_data(data, model.resolution, cache_dir, progress=True)
    place = {source.label(k): k for k in range(len(source))}
    missing = [paths[k] for k in parts.images if paths[k] not in place]
    if missing:
        raise ValueError(f"--against {run}: {missing[0]} is not read at {model.resolution} px")
    chosen = np.array([place[paths[k]] for k in parts.images], np.int64)

    code = model.encode_source(source, chosen).z.numpy()
    if not np.isfinite(code).all():
        raise ValueError(f"--against {run}: its codes hold NaN or infinity; it has diverged")
    return Compared(user_path(run).resolve().name, method_words(model.config), code)


def method_words(config: Config) -> str:
    """What a run is, in a few words."""
    return f"method {config.method}, {config.training.images:,} images, seed {config.training.seed}"


def shrunk(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images [n, 3, H, W] with a side of at most `PIXEL_SIDE`."""
    return reduced(torch.from_numpy(images).float(), PIXEL_SIDE).round().to(torch.uint8).numpy()


def _gathered(
    source: ImageSource,
    chosen: NDArray[np.int64],
    encode: Callable[[NDArray[np.uint8]], Any],
) -> Any:
    parts = [encode(source.batch(chosen[part])) for part in batches(len(chosen))]
    return np.concatenate(parts)
