"""What the report shows of a trained model, measured: pictures, and the numbers beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cldis.arrays import some
from cldis.data.source import ImageSource
from cldis.diffusion.kept import Start
from cldis.editing.photos import held_out
from cldis.images import in_rows, reduced, to_model
from cldis.metrics.image import psnr, ssim
from cldis.model import Model
from cldis.pages.report.results import Drawn, Encoded, New, Reconstruction, Traversal
from cldis.text import command
from cldis.training import health
from cldis.training.prior import has_prior, load_prior

AMOUNTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
EDIT = 1.5
EDITED_UNITS = 3
IMAGES = 8  # held-out images that are inverted
MADE_UP = 4  # codes drawn at random where there are no images
NEW = 16  # images drawn from the prior
ROWS = 4  # of them in each grid
MAX_UNITS, MIN_UNITS = 32, 4  # traversed; of more, those that vary most over the training images
PATIENCE = 120.0  # seconds that traversals may take; slow models show fewer units
HEALTH_IMAGES = 128
FAINT = 0.5  # grey levels of 255: a unit that changes the picture by less is folded away


def encode(model: Model, source: ImageSource | None, steps: int) -> Encoded:
    """Held-out images and where they start; without images, codes drawn at random."""
    if source is None:
        z = model.random_codes(MADE_UP)
        x_T = model.random_start(MADE_UP) if model.diffuses else None
        return Encoded(Start(z, x_T, steps, model.decode(z, x_T, steps), None), [])
    chosen = held_out(source, IMAGES)
    images = to_model(source.batch(chosen))
    labels = [source.label(int(index)) for index in chosen]
    return Encoded(model.start(images, steps), labels)


def pictures(
    model: Model,
    codes: Encoded,
    units: Sequence[int],
    tick: Callable[[], object] = lambda: None,
) -> Drawn:
    """Move `units`, and draw the images again and edited where there are images."""
    moved = traversals(model, codes.rows(slice(ROWS)), units, tick)
    change = {item.unit: item.change for item in moved}
    statistics = zip(model.unit_mean.tolist(), model.unit_std.tolist(), strict=True)
    rows = [
        {"unit": unit, "mean": mean, "std": std, "change": change.get(unit)}
        for unit, (mean, std) in enumerate(statistics)
    ]
    if codes.images is None:
        return Drawn(rows, moved, codes)
    again = reconstructions(model, codes)
    tick()
    strongest = [item.unit for item in moved[:EDITED_UNITS]]
    edited = edits(model, codes.rows(slice(-ROWS, None)), strongest)
    tick()
    return Drawn(rows, moved, codes, again, edited)


def affordable(model: Model, seconds: float) -> list[int]:
    """The units to traverse, rising, when `encode` took `seconds`.

    `Model.shown_units`, but at most `MAX_UNITS` and as many as `PATIENCE` allows, chosen by how
    much they vary over the training images.
    """
    # A unit takes ROWS x 4 decodings. A start takes one and an inversion, which is worth four, the
    # three refinements included.
    per_unit = seconds * ROWS * (len(AMOUNTS) - 1) / (IMAGES * 5)
    allowed = MAX_UNITS if per_unit * MAX_UNITS <= PATIENCE else int(PATIENCE / per_unit)
    return sorted(model.shown_units[: max(allowed, MIN_UNITS)])


def traversals(
    model: Model,
    codes: Encoded,
    units: Sequence[int],
    tick: Callable[[], object] = lambda: None,
) -> list[Traversal]:
    """`units` by how much they change the picture, the strongest first."""
    centre = codes.start.unmoved
    others = [amount for amount in AMOUNTS if amount]
    middle = AMOUNTS.index(0.0)
    moved = []
    for unit in units:
        cells = model.traverse_from(codes.start, unit, others)
        ends = cells[:, [0, -1]] - centre[:, None]
        cells = torch.cat([cells[:, :middle], centre[:, None], cells[:, middle:]], dim=1)
        moved.append(Traversal(unit, float(ends.abs().mean()) * 127.5, reduced(cells)))
        tick()
    return sorted(moved, key=lambda item: -item.change)


def new_images(model: Model, run: Path, steps: int) -> New:
    """Drawn from the prior of the run, where it has one."""
    if not model.diffuses:
        return New()
    if not has_prior(run):
        return New(note=f"`{command('cldis', 'sample', run, '--out', 'new')}` draws some.")
    try:
        prior, record = load_prior(run, model.loop, model.units)
    except ValueError as error:
        return New(note=f"{error}.")
    cells = in_rows(model.decode(prior.sample(NEW), None, steps))
    return New(reduced(cells), record["distances"])


def reconstructions(model: Model, codes: Encoded) -> list[Reconstruction]:
    """The held-out images from random x_T, from inverted x_T, and from the VAE, as far as the
    method can: what the code alone knows comes first."""
    images = codes.images
    assert images is not None
    drawn = model.reconstruct(images, codes.start.steps)
    return [
        Reconstruction(
            key, cells, float(ssim(cells, images).mean()), float(psnr(cells, images).mean())
        )
        for key, cells in sorted(drawn.items(), key=lambda item: item[0] == "inverted")
    ]


def edits(model: Model, codes: Encoded, units: Sequence[int]) -> dict[int, Tensor]:
    """Per unit: the photo with the unit lowered, the photo, the photo with the unit raised,
    [n, 3, 3, H, W]."""
    assert codes.images is not None
    edited = {}
    for unit in units:
        both = model.traverse_from(codes.start, unit, (-EDIT, EDIT))
        low, high = both.unbind(1)
        edited[unit] = torch.stack([low, codes.images, high], dim=1)
    return edited


def measure_health(model: Model, source: ImageSource) -> dict[str, Any] | None:
    """Health as training would log it, for runs that stopped before their first look."""
    x = to_model(source.batch(held_out(source, HEALTH_IMAGES)), model.device)
    if len(x) < 2:
        return None
    measured = health.measure(model.loop, model.space.views(x))
    return {**measured, "warnings": health.warnings(measured, model.units)}


def factor_recovery(model: Model, source: ImageSource, images: int) -> dict[str, dict[str, Any]]:
    """How well factors are read from each code: {`z_sem`, `z_disen`: see `factor_probe`}."""
    from cldis.metrics.probe import factor_probe

    chosen = some(len(source), images)
    codes, factors = model.encode_source(source, chosen), source.factors(chosen)
    return {
        name: factor_probe(code.mean.numpy(), factors, source.factor_names, seed=0)
        for name, code in (("z_sem", codes.sem), ("z_disen", codes.disen))
        if code is not None
    }
