"""Reads the known factors of an image: a small network trained on renders of the grid itself.

One softmax head per factor. Renders are blurred and made noisy at random while it learns, so that
it also reads what a decoder draws. Half of them get colours and light that the grid does not have,
and teach only the factors that are no colours: else an edit that stains the picture would read as a
new size or shape. What it gets wrong on renders it never saw is measured and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from shared import cached
from torch import Tensor

from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.images import to_model
from cldis.metrics.editing import Kind, reading, steps_between, tolerance
from cldis.networks.encoder import BurgessEncoder

VERSION = 2  # raise when the training changes: it enters the name of the cache file
STEPS, BATCH, RATE, WIDTH, SEED = 8000, 64, 2e-3, 32, 0
UNSEEN = 4096  # renders that are kept from training, to measure on

# Values of a cyclic factor close a circle; those of a categorical one have no order.
KINDS: dict[str, dict[str, Kind]] = {
    "rooms": {
        "floor_hue": "cyclic",
        "wall_hue": "cyclic",
        "object_hue": "cyclic",
        "scale": "ordered",
        "shape": "categorical",
        "orientation": "ordered",
    },
    "kuka": {
        "object_colour": "categorical",
        "object_shape": "categorical",
        "object_size": "ordered",
        "camera_height": "ordered",
        "background_colour": "categorical",
        "horizontal": "ordered",
        "vertical": "ordered",
    },
}

COLOURS = {"floor_hue", "wall_hue", "object_hue", "object_colour", "background_colour"}


@dataclass(frozen=True)
class Reader:
    """A trained reader and what it gets wrong."""

    network: BurgessEncoder
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    kinds: tuple[Kind, ...]
    tolerances: tuple[int, ...]  # categorical 0; else 95 % of errors on unseen renders are within
    accuracy: dict[str, dict[str, Any]]  # per factor, on unseen renders

    @torch.no_grad()
    def read(self, images: Tensor) -> NDArray[np.int64]:
        """Factor values int64 [n, k] of images [n, 3, H, W] in [-1, 1]."""
        parts = [self.network(part).split(self.sizes, dim=1) for part in images.split(256)]
        heads = [torch.cat(head).softmax(dim=1).double() for head in zip(*parts, strict=True)]
        values = [reading(head.numpy(), kind) for head, kind in zip(heads, self.kinds, strict=True)]
        return np.stack(values, axis=1)


def open_reader(source: ImageSource, cache: Path) -> Reader:
    """The reader of a data set from the cache, trained if there is none (minutes).

    Raises:
        ValueError: nobody said of which kind the factors of this data set are.
    """
    if source.name not in KINDS:
        raise ValueError(f"no kinds of factors for {source.name}; known: {', '.join(KINDS)}")
    path = cache / f"reader-{source.name}-{source.resolution}-v{VERSION}.safetensors"
    kinds = tuple(KINDS[source.name][name] for name in source.factor_names)
    network = BurgessEncoder(source.resolution, WIDTH, sum(source.factor_sizes))
    network.load_state_dict(cached(path, source.fingerprint, lambda: _train(source).state_dict()))
    network.eval().requires_grad_(False)
    accuracy = _measure(network, source, kinds)
    tolerances = tuple(accuracy[name]["tolerance"] for name in source.factor_names)
    return Reader(network, source.factor_names, source.factor_sizes, kinds, tolerances, accuracy)


def _parts(source: ImageSource) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Renders to learn from and unseen ones; neither holds the images that runs hold out."""
    train, _ = split(len(source))
    order = np.random.default_rng(SEED).permutation(train)
    return order[UNSEEN:], order[:UNSEEN]


def _train(source: ImageSource) -> BurgessEncoder:
    torch.manual_seed(SEED)
    network = BurgessEncoder(source.resolution, WIDTH, sum(source.factor_sizes))
    generator = np.random.default_rng(SEED)
    chosen, _ = _parts(source)
    optimiser = torch.optim.AdamW(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    network.train()
    for step in range(STEPS):
        indices = chosen[generator.integers(0, len(chosen), BATCH)]
        images = to_model(source.batch(indices))
        plain = BATCH // 2  # the others teach no colours
        images = roughened(torch.cat([images[:plain], recoloured(images[plain:])]))
        truth = torch.from_numpy(source.factors(indices))
        heads = network(images).split(source.factor_sizes, dim=1)
        loss = torch.zeros(())
        for f, name in enumerate(source.factor_names):
            used = plain if name in COLOURS else BATCH
            loss = loss + F.cross_entropy(heads[f][:used], truth[:used, f])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0:
            print(f"reader of {source.name}: step {step}, loss {loss.item():.3f}", flush=True)
    return network.eval()


def recoloured(images: Tensor) -> Tensor:
    """Channels mixed at random, and a smooth stain of random colour over each image."""
    mix = torch.eye(3) + 0.4 * torch.randn(len(images), 3, 3)
    stain = F.interpolate(
        0.3 * torch.randn(len(images), 3, 3, 3), images.shape[2:], mode="bilinear"
    )
    return (torch.einsum("nij,njhw->nihw", mix, images) + stain).clamp(-1, 1)


def roughened(images: Tensor) -> Tensor:
    """Half of the images blurred (3 x 3 mean), all with noise of 0 to .1."""
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mix = (torch.rand(len(images), 1, 1, 1) - 0.5).clamp_min(0) * 2  # 0 for half of them
    noise = torch.rand(len(images), 1, 1, 1) * 0.1 * torch.randn_like(images)
    return images + mix * (blurred - images) + noise


def _measure(
    network: BurgessEncoder, source: ImageSource, kinds: tuple[Kind, ...]
) -> dict[str, Any]:
    """Errors on unseen renders as they are, and recoloured for the factors that are no colours."""
    _, unseen = _parts(source)
    plain = Reader(network, source.factor_names, source.factor_sizes, kinds, (), {})
    images, truth = to_model(source.batch(unseen)), source.factors(unseen)
    torch.manual_seed(SEED)
    found, stained = plain.read(images), plain.read(recoloured(images))
    accuracy = {}
    for f, name in enumerate(source.factor_names):
        size, kind = source.factor_sizes[f], kinds[f]
        errors = steps_between(found[:, f], truth[:, f], size, kind)
        within = 0 if kind == "categorical" else tolerance(errors)  # any other value is a change
        other = steps_between(stained[:, f], truth[:, f], size, kind) <= within
        accuracy[name] = {
            "values": size,
            "kind": kind,
            "exact": float((errors == 0).mean()),
            "mean_error": float(errors.mean()),
            "tolerance": within,
            "within": float((errors <= within).mean()),
            "within_recoloured": None if name in COLOURS else float(other.mean()),
        }
    return accuracy
