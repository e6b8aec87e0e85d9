"""From numbers and photos to the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.data.source import ImageSource
from cldis.editing import drawing
from cldis.images import to_model
from cldis.model import Model
from cldis.pages import figures
from cldis.pages.analysis import units
from cldis.pages.analysis.encode import CollectionCodes
from cldis.pages.analysis.glossary import TERMS
from cldis.pages.analysis.labels import Label
from cldis.pages.analysis.sentences import findings, score_words
from cldis.pages.page import Terms, environment, picture

AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
EXTREMES, MOSAIC, ODD, PAIRS, SHIFTED = 6, 24, 12, 12, 4
CURVES = 8  # label columns whose curves are drawn; all are in the tables


@dataclass
class Material:
    """What the parts of an analysis share."""

    model: Model
    source: ImageSource
    codes: CollectionCodes
    numbers: dict[str, Any]
    labels: list[Label] = field(default_factory=list)
    own: int = 0  # codes of this run among those probed
    others: int = 0  # other runs among them
    averages: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    outliers: NDArray[np.int64] | None = None
    duplicates: list[dict[str, Any]] = field(default_factory=list)
    other: ImageSource | None = None
    other_codes: CollectionCodes | None = None

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images of the collection."""
        return self.source.batch(indices)

    def photos(self, indices: NDArray[np.int64]) -> Tensor:
        """Images [n, 3, H, W] in [-1, 1]."""
        return to_model(self.source.batch(indices))


def render(material: Material) -> str:
    """The page as HTML that refers to nothing outside itself; adds `change` to the units."""
    numbers = material.numbers
    cards = unit_cards(material)
    return (
        environment()
        .get_template("analyse.html.j2")
        .render(
            title=f"{numbers['data']['name']} seen by {numbers['run']['name']} – CL-Dis analysis",
            side=numbers["data"]["resolution"],
            terms=Terms(TERMS),
            n=numbers,
            findings=findings(numbers),
            mosaic=mosaic(material),
            cards=cards,
            amounts=AMOUNTS,
            curves=curves(material),
            matrix=matrix(numbers),
            outliers=odd_ones(material),
            pairs=pairs(material),
            shift=shift(material),
            score_words=score_words,
        )
    )


def mosaic(material: Material) -> dict[str, Any]:
    """Photos spread evenly over the collection."""
    count = min(MOSAIC, len(material.codes))
    chosen = np.linspace(0, len(material.codes) - 1, count).round().astype(np.int64)
    photos = material.photos(chosen)
    rows = 2 if count == MOSAIC else 1
    return picture(photos.unflatten(0, (rows, count // rows)), f"{count} photos of the collection.")


def unit_cards(material: Material) -> list[dict[str, Any]]:
    """Pictures and facts of every unit looked at, those that move the picture most first."""
    numbers, codes = material.numbers, material.codes
    shown = numbers["looked_at"]
    if not shown:
        return []
    chosen = np.array([units.typical(codes.main)], np.int64)
    begin = drawing.start(material.model, material.photos(chosen), _steps(material))
    cards = []
    for unit in shown:
        values = codes.main[:, unit]
        change = torch.zeros(material.model.units)
        change[unit] = float(values.std())
        cells = drawing.moved(material.model, begin, change, AMOUNTS, _steps(material))[0]
        middle = AMOUNTS.index(0.0)
        ends = cells[[middle - 2, middle + 2]] - cells[middle]
        numbers["units"][unit]["change"] = float(ends.abs().mean()) * 127.5
        low, high = units.extremes(values, EXTREMES)
        means = torch.from_numpy(material.averages[unit]).div(127.5).sub(1)
        cards.append(
            {
                **numbers["units"][unit],
                "strip": picture(cells, f"A photo with unit {unit} moved from −3 to +3."),
                "means": picture(means, f"Mean photo of each tenth of unit {unit}, rising."),
                "low": picture(material.photos(low), f"Photos with the lowest unit {unit}."),
                "high": picture(
                    material.photos(high[::-1].copy()), f"Photos with the highest unit {unit}."
                ),
                "histogram": figures.histogram([values], f"Distribution of unit {unit}."),
                "carries": carried(numbers, unit),
            }
        )
    return sorted(cards, key=lambda card: -card["change"])


def carried(numbers: dict[str, Any], unit: int) -> list[dict[str, Any]]:
    """Labels that a unit says more of than the floor, the most first."""
    place = numbers["looked_at"].index(unit)
    found = [
        {"label": name, "share": item["share"][place]}
        for name, item in numbers["information"].items()
        if item["share"][place] > item["floor"]
    ]
    return sorted(found, key=lambda item: -item["share"])


def curves(material: Material) -> list[dict[str, Any]]:
    """Per label column: two charts, and a table of every score."""
    probed = material.numbers["probes"]
    names = [item["name"] for item in probed["codes"]]
    controls = len(names) - material.own - material.others
    styles = figures.styles(material.own, material.others, controls)
    found = []
    for k, (name, column) in enumerate(probed["columns"].items()):
        label = next(item for item in material.labels if item.name == name)
        unit = "balanced accuracy" if label.kind == "category" else "R²"
        drawn: dict[str, figures.Figure] = {}
        for probe in ("linear", "knn") if k < CURVES else ():
            lines = [
                figures.FewLabelCurve(code, style, curve[probe])
                for code, style, curve in zip(names, styles, column["curves"], strict=True)
            ]
            alt = f"{unit} of {name} against the number of labelled images, by code; see table."
            drawn[probe] = figures.few_labels(lines, column["chance"], unit, alt)
        found.append({"label": label, "unit": unit, "charts": drawn, **column})
    return found


def matrix(numbers: dict[str, Any]) -> dict[str, Any]:
    """The share of every label's information in every unit, units by their largest first."""
    information = numbers["information"]
    shown = numbers["looked_at"]
    rows = [
        {
            "unit": unit,
            "cells": [
                {
                    "share": item["share"][place],
                    "p": item["p"][place],
                    "beyond": item["share"][place] > item["floor"],
                }
                for item in information.values()
            ],
        }
        for place, unit in enumerate(shown)
    ]
    rows.sort(key=lambda row: -max((cell["share"] for cell in row["cells"]), default=0.0))
    return {"labels": list(information), "rows": rows}


def odd_ones(material: Material) -> list[dict[str, Any]]:
    """The photos furthest from the others."""
    if material.outliers is None:
        return []
    chosen = material.outliers[:ODD]
    found = material.numbers["outliers"]["furthest"]
    return [
        {**found[k], "picture": picture(photo[None], found[k]["path"])}
        for k, photo in enumerate(material.photos(chosen))
    ]


def pairs(material: Material) -> list[dict[str, Any]]:
    """The closest near-duplicates, side by side."""
    found = []
    for k, pair in enumerate(material.duplicates[:PAIRS]):
        chosen = np.array([pair["first"], pair["second"]], np.int64)
        named = material.numbers["duplicates"]["closest"][k]
        alt = f"{named['first']} and {named['second']}"
        found.append({**named, "picture": picture(material.photos(chosen), alt)})
    return found


def shift(material: Material) -> dict[str, Any] | None:
    """The comparison with the second collection, drawn."""
    if material.other is None or material.other_codes is None:
        return None
    rows = material.numbers["compare"]["units"]
    if not rows:
        return {"cards": [], "chart": None}
    numbers, cards = material.numbers, []
    for row in rows[:SHIFTED]:
        unit = row["unit"]
        first, second = material.codes.main[:, unit], material.other_codes.main[:, unit]
        words = f"Unit {unit} in both collections."
        pictures = [
            picture(to_model(source.batch(_spread(values))), f"{source.name}, unit {unit} rising.")
            for source, values in ((material.source, first), (material.other, second))
        ]
        cards.append(
            {
                **row,
                "pixel_share": numbers["units"][unit]["pixel_share"],
                "histogram": figures.histogram([first, second], words),
                "first": pictures[0],
                "second": pictures[1],
            }
        )
    words = "Shift of every unit in standard deviations, with intervals; see table."
    return {"cards": cards, "chart": figures.intervals(rows, words)}


def _spread(values: NDArray[Any]) -> NDArray[np.int64]:
    """A few images from the lowest to the highest tenth of a unit."""
    order = np.argsort(values, kind="stable")
    places = np.linspace(0.05, 0.95, EXTREMES) * (len(order) - 1)
    return order[places.round().astype(int)].astype(np.int64)


def _steps(material: Material) -> int:
    return min(drawing.STEPS, material.model.config.diffusion.steps)
