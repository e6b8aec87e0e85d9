"""What the report shows of a trained model: pictures, and the numbers beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cldis.data.source import ImageSource
from cldis.editing.drawing import Start, held_out
from cldis.images import reduced, to_model
from cldis.metrics.image import psnr, ssim
from cldis.model import STEPS, Model
from cldis.training import health

AMOUNTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
EDIT = 1.5
EDITED_UNITS = 3
IMAGES = 8  # held-out images that are inverted
ROWS = 4  # of them in each grid
MAX_UNITS, MIN_UNITS = 32, 4  # traversed; of more, those that vary most over the training images
PATIENCE = 120.0  # seconds that traversals may take; slow models show fewer units
HEALTH_IMAGES = 128
QUIET = 0.5  # grey levels of 255: a unit that changes the picture by less is folded away


@dataclass(frozen=True)
class Traversal:
    """One unit moved over `AMOUNTS`."""

    unit: int
    change: float  # mean absolute change of a pixel at the two ends, in grey levels of 255
    cells: Tensor  # [n, len(AMOUNTS), 3, H, W], `reduced`


@dataclass(frozen=True)
class Reconstruction:
    """One way to draw the held-out images again."""

    key: str  # inverted, random or vae
    cells: Tensor  # [n, 3, H, W]
    ssim: float  # mean
    psnr: float  # mean, in dB


def affordable(model: Model, start_seconds: float) -> list[int]:
    """The units to traverse, rising, when `start` on `IMAGES` images took `start_seconds`.

    All, but at most `MAX_UNITS` and as many as `PATIENCE` allows, chosen by how much they vary
    over the training images.
    """
    # A unit takes ROWS x 4 decodings; an inversion is worth four, the three refinements included.
    per_unit = start_seconds * ROWS * (len(AMOUNTS) - 1) / (IMAGES * 4)
    allowed = MAX_UNITS if per_unit * MAX_UNITS <= PATIENCE else int(PATIENCE / per_unit)
    order = torch.argsort(model.unit_std, descending=True, stable=True).tolist()
    return sorted(order[: max(allowed, MIN_UNITS)])


def traversals(
    model: Model,
    begin: Start,
    units: Sequence[int],
    steps: int = STEPS,
    tick: Callable[[], object] = lambda: None,
) -> list[Traversal]:
    """`units` by how much they change the picture, the strongest first."""
    centre = model.decode(begin.z, begin.noise, steps)  # what every unit's shift of 0 gives
    others = [amount for amount in AMOUNTS if amount]
    middle = AMOUNTS.index(0.0)
    found = []
    for unit in units:
        cells = model.traverse_from(begin.z, begin.noise, unit, others, steps)
        ends = cells[:, [0, -1]] - centre[:, None]
        cells = torch.cat([cells[:, :middle], centre[:, None], cells[:, middle:]], dim=1)
        found.append(Traversal(unit, float(ends.abs().mean()) * 127.5, reduced(cells)))
        tick()
    return sorted(found, key=lambda item: -item.change)


def reconstructions(model: Model, begin: Start, steps: int = STEPS) -> list[Reconstruction]:
    """The held-out images from inverted x_T, from random x_T, and from the VAE, as far as the
    method can."""
    images = begin.images
    assert images is not None
    drawn: dict[str, Tensor] = {}
    if begin.noise is not None:
        drawn["inverted"] = model.decode(begin.z, begin.noise, steps)
        drawn["random"] = model.decode(begin.z, None, steps)
    codes = model.encode(images)
    if codes.disen is not None:
        drawn["vae"] = model.decode_vae(codes.disen.mean)
    return [
        Reconstruction(
            key, cells, float(ssim(cells, images).mean()), float(psnr(cells, images).mean())
        )
        for key, cells in drawn.items()
    ]


def edits(
    model: Model, begin: Start, units: Sequence[int], steps: int = STEPS
) -> dict[int, Tensor]:
    """Per unit: the photo with the unit lowered, the photo, the photo with the unit raised,
    [n, 3, 3, H, W]."""
    assert begin.images is not None
    found = {}
    for unit in units:
        both = model.traverse_from(begin.z, begin.noise, unit, (-EDIT, EDIT), steps)
        low, high = both.unbind(1)
        found[unit] = torch.stack([low, begin.images, high], dim=1)
    return found


def measure_health(model: Model, source: ImageSource) -> dict[str, Any] | None:
    """Health as training would log it, for runs that stopped before their first look."""
    x = to_model(source.batch(held_out(source, HEALTH_IMAGES)), model.device)
    if len(x) < 2:
        return None
    found = health.measure(model.loop, x)
    return {**found, "warnings": health.warnings(found, model.units)}


def factor_recovery(model: Model, source: ImageSource, images: int) -> dict[str, dict[str, Any]]:
    """How well factors are read from each code: {`z_sem`, `z_disen`: see `factor_probe`}."""
    from cldis.metrics.probe import factor_probe

    count = min(images, len(source))
    chosen = np.sort(np.random.default_rng(0).choice(len(source), count, replace=False))
    codes, factors = model.encode_source(source, chosen), source.factors(chosen)
    return {
        name: factor_probe(code.mean.numpy(), factors, source.factor_names, seed=0)
        for name, code in (("z_sem", codes.sem), ("z_disen", codes.disen))
        if code is not None
    }
