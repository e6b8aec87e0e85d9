"""The parts of an analysis: units, labels, oddities and the comparison, from codes and images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from cldis.arrays import some
from cldis.data.source import ImageSource
from cldis.images import to_model
from cldis.model import STEPS, Model
from cldis.pages.analysis import compare, dependence, outliers, probes, units
from cldis.pages.analysis.codes import Compared, compared
from cldis.pages.analysis.encode import CollectionCodes
from cldis.pages.analysis.labels import Label, Labels
from cldis.pages.analysis.results import MAX_LISTED, Comparison, LabelFindings, Oddities, Units

MAX_UNITS = 32  # shown with pictures and in matrices; of more, those that vary most
MAX_PICTURES = 10_000  # photos whose pixels are averaged
AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations over the collection
OtherCodes = Callable[[probes.Split], list[Compared]]


def measure_units(model: Model, source: ImageSource, codes: CollectionCodes) -> Units:
    """Numbers and pictures of every unit.

    `change` is how much the picture of a typical photo changes at ±2 standard deviations, the mean
    over pixels in grey levels of 255.
    """
    rows = units.describe(codes.main, codes.scale)
    shown = units.varying(codes.main, MAX_UNITS)
    if not shown:
        return Units(rows, shown, {}, {})
    averages = units.average_pictures(
        codes.main[:, shown], source.batch, some(len(codes), MAX_PICTURES)
    )
    steps = min(STEPS, model.config.diffusion.steps)
    typical = to_model(source.batch(np.array([units.typical(codes.main)], np.int64)))
    start = model.start(typical, steps)
    middle, strips = AMOUNTS.index(0.0), {}
    for unit, share in zip(shown, averages.share, strict=True):
        change = torch.zeros(model.units)
        change[unit] = float(codes.main[:, unit].std())
        strip = model.move_along(start, change, AMOUNTS)[0]
        ends = strip[[middle - 2, middle + 2]] - strip[middle]
        rows[unit] |= {"pixel_share": share, "change": float(ends.abs().mean()) * 127.5}
        strips[unit] = strip
    return Units(rows, shown, dict(zip(shown, averages.pictures, strict=True)), strips)


def measure_labels(
    model: Model,
    source: ImageSource,
    codes: CollectionCodes,
    shown: Sequence[int],
    known: Labels,
    others: OtherCodes,
) -> LabelFindings:
    """Probes, information and association; what cannot be done is a sentence in `notes`.

    Args:
        shown: the units whose information is measured.
        others: gives the codes of other runs for the images of a split.
    """
    columns, notes = known.columns, list(known.notes)
    every: list[Compared] = []
    curves: dict[str, dict[str, Any]] = {}
    own = count = train = test = 0
    labelled = np.zeros(len(codes), bool)
    for label in columns:
        labelled |= label.known
    parts = probes.split(labelled)
    if columns and len(parts.images) < probes.MIN_LABELLED:
        notes.append(
            f"{len(parts.images)} labelled images are too few for probes; "
            f"{probes.MIN_LABELLED} are needed."
        )
    elif columns:
        against = others(parts)
        every = compared(model, codes, source, parts, against)
        curves = _curves(every, columns, parts, notes)
        own = (codes.sem is not None) + (codes.disen is not None)
        count, train, test = len(against), len(parts.pool), len(parts.test)
    enough = [label for label in columns if label.known.sum() >= probes.MIN_LABELLED]
    return LabelFindings(
        columns=columns,
        notes=notes,
        settings=probes.SETTINGS,
        codes=[
            {"name": code.name, "what": code.what, "dimensions": code.code.shape[1]}
            for code in every
        ],
        own=own,
        others=count,
        train=train,
        test=test,
        curves=curves,
        information={
            label.name: dependence.unit_information(codes.main[:, list(shown)], label)
            for label in (enough if shown else [])
        },
        associations=_associations(columns),
    )


def measure_oddities(
    source: ImageSource, codes: CollectionCodes, shown: Sequence[int]
) -> Oddities | None:
    """Outliers and near-duplicates by the units `shown`; None without any."""
    if not shown:
        return None
    looked = codes.main[:, list(shown)]
    far = outliers.outliers(looked)
    furthest = np.argsort(-far["distance"], kind="stable")[:MAX_LISTED]
    return Oddities(**far, furthest=furthest, pairs=outliers.near_duplicates(looked, source.batch))


def measure_comparison(
    codes: CollectionCodes,
    shown: Sequence[int],
    source: ImageSource,
    other: CollectionCodes,
) -> Comparison:
    """Shifts of the units `shown` from the first collection to the second, the largest first.

    Args:
        source, other: the second collection and its codes.
    """
    if not shown:
        return Comparison(source, other, [], None, "No unit varies in the first collection.")
    a, b = codes.main[:, list(shown)], other.main[:, list(shown)]
    rows = [{"unit": unit, **row} for unit, row in zip(shown, compare.shifts(a, b), strict=True)]
    apart, note = None, ""
    try:
        apart = compare.told_apart(a, b)
    except ValueError as error:
        note = f"Not probed: {error}."
    return Comparison(source, other, sorted(rows, key=lambda row: -abs(row["d"])), apart, note)


def _curves(
    every: Sequence[Compared], columns: Sequence[Label], parts: probes.Split, notes: list[str]
) -> dict[str, dict[str, Any]]:
    curves = {}
    for label in columns:
        try:
            drawn = [probes.curves(item.code, label, parts, item.one_scale) for item in every]
        except ValueError as error:
            notes.append(f"No probe for {error}.")
            continue
        curves[label.name] = {"chance": probes.chance(label), "curves": drawn}
    return curves


def _associations(columns: Sequence[Label]) -> list[dict[str, Any]]:
    """Every pair of columns, the most alike first; p holds for all pairs together."""
    pairs: list[dict[str, Any]] = [
        {"first": a.name, "second": b.name, **dependence.association(a, b)}
        for k, a in enumerate(columns)
        for b in columns[k + 1 :]
    ]
    for pair, p in zip(pairs, dependence.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p"] = p
    return sorted(pairs, key=lambda pair: -pair["v"])
