"""From an analysis to its page: pictures, diagrams and words; nothing is measured here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cldis.arrays import spread
from cldis.data.source import ImageSource
from cldis.images import to_model
from cldis.pages import figures
from cldis.pages.analysis import units
from cldis.pages.analysis.glossary import TERMS
from cldis.pages.analysis.measure import AMOUNTS
from cldis.pages.analysis.results import Analysis
from cldis.pages.analysis.sentences import findings, score_words
from cldis.pages.page import Terms, environment, picture

EXTREMES, MOSAIC, ODD, PAIRS, SHIFTED = 6, 24, 12, 12, 4
CURVES = 8  # label columns whose curves are drawn; all are in the tables


def render(analysis: Analysis) -> str:
    """The page as HTML that refers to nothing outside itself."""
    numbers = analysis.numbers()
    return (
        environment()
        .get_template("analyse.html.j2")
        .render(
            title=f"{numbers['data']['name']} seen by {numbers['run']['name']} – CL-Dis analysis",
            side=numbers["data"]["resolution"],
            terms=Terms(TERMS),
            n=numbers,
            findings=findings(numbers),
            mosaic=mosaic(analysis.source),
            cards=unit_cards(analysis),
            amounts=AMOUNTS,
            curves=curves(analysis),
            matrix=matrix(analysis),
            outliers=outliers(analysis),
            pairs=pairs(analysis),
            shift=shift(analysis),
            score_words=score_words,
        )
    )


def mosaic(source: ImageSource) -> dict[str, Any]:
    """Photos spread evenly over the collection."""
    photos = to_model(source.batch(spread(len(source), MOSAIC)))
    count = len(photos)
    rows = 2 if count == MOSAIC else 1
    return picture(photos.unflatten(0, (rows, count // rows)), f"{count} photos of the collection.")


def unit_cards(analysis: Analysis) -> list[dict[str, Any]]:
    """Pictures and facts of every unit looked at, those that move the picture most first."""
    cards = []
    for unit in analysis.units.shown:
        values = analysis.codes.main[:, unit]
        low, high = units.extremes(values, EXTREMES)
        means = torch.from_numpy(analysis.units.averages[unit]).div(127.5).sub(1)
        strip = analysis.units.strips[unit]
        cards.append(
            {
                **analysis.units.rows[unit],
                "strip": picture(strip, f"A photo with unit {unit} moved from −3 to +3."),
                "means": picture(means, f"Mean photo of each tenth of unit {unit}, rising."),
                "low": _photos(analysis.source, low, f"Photos with the lowest unit {unit}."),
                "high": _photos(
                    analysis.source, high[::-1].copy(), f"Photos with the highest unit {unit}."
                ),
                "histogram": figures.histogram([values], f"Distribution of unit {unit}."),
                "carries": carried(analysis, unit),
            }
        )
    return sorted(cards, key=lambda card: -card["change"])


def carried(analysis: Analysis, unit: int) -> list[dict[str, Any]]:
    """Labels that a unit says more of than the floor, the most first."""
    place = analysis.units.shown.index(unit)
    above = [
        {"label": name, "share": item["share"][place]}
        for name, item in analysis.labels.information.items()
        if item["share"][place] > item["floor"]
    ]
    return sorted(above, key=lambda item: -item["share"])


def curves(analysis: Analysis) -> list[dict[str, Any]]:
    """Per label column: two diagrams, and a table of every score."""
    labels = analysis.labels
    names = [item["name"] for item in labels.codes]
    styles = figures.styles(labels.own, labels.others, len(names) - labels.own - labels.others)
    by_name = {label.name: label for label in labels.columns}
    shown = []
    for k, (name, column) in enumerate(labels.curves.items()):
        label = by_name[name]
        unit = "balanced accuracy" if label.kind == "category" else "R²"
        drawn: dict[str, figures.Figure] = {}
        for probe in ("linear", "knn") if k < CURVES else ():
            lines = [
                figures.FewLabelCurve(code, style, curve[probe])
                for code, style, curve in zip(names, styles, column["curves"], strict=True)
            ]
            alt = f"{unit} of {name} against the number of labelled images, by code; see table."
            drawn[probe] = figures.few_labels(lines, column["chance"], unit, alt)
        shown.append({"label": label, "unit": unit, "charts": drawn, **column})
    return shown


def matrix(analysis: Analysis) -> dict[str, Any]:
    """The share of every label's information in every unit, units by their largest first."""
    information = analysis.labels.information
    rows: list[dict[str, Any]] = [
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
        for place, unit in enumerate(analysis.units.shown)
    ]
    rows.sort(key=lambda row: -max((cell["share"] for cell in row["cells"]), default=0.0))
    return {"labels": list(information), "rows": rows}


def outliers(analysis: Analysis) -> list[dict[str, Any]]:
    """The photos furthest from the others."""
    if analysis.oddities is None:
        return []
    paths, distance = analysis.codes.paths, analysis.oddities.distance
    return [
        {
            "path": paths[k],
            "distance": float(distance[k]),
            "picture": _photos(analysis.source, np.array([k]), paths[k]),
        }
        for k in analysis.oddities.furthest[:ODD]
    ]


def pairs(analysis: Analysis) -> list[dict[str, Any]]:
    """The closest near-duplicates, side by side."""
    if analysis.oddities is None:
        return []
    shown = []
    for pair in analysis.oddities.pairs[:PAIRS]:
        both = np.array([pair["first"], pair["second"]], np.int64)
        first, second = (analysis.codes.paths[k] for k in both)
        seen = _photos(analysis.source, both, f"{first} and {second}")
        shown.append({**pair, "first": first, "second": second, "picture": seen})
    return shown


def shift(analysis: Analysis) -> dict[str, Any] | None:
    """The comparison with the second collection, drawn."""
    compared = analysis.comparison
    if compared is None:
        return None
    if not compared.units:
        return {"cards": [], "chart": None}
    cards = []
    for row in compared.units[:SHIFTED]:
        unit = row["unit"]
        first, second = analysis.codes.main[:, unit], compared.codes.main[:, unit]
        seen = [
            _photos(source, _spread(values), f"{source.name}, unit {unit} rising.")
            for source, values in ((analysis.source, first), (compared.source, second))
        ]
        both = figures.histogram([first, second], f"Unit {unit} in both collections.")
        share = analysis.units.rows[unit]["pixel_share"]
        cards.append(
            {**row, "pixel_share": share, "histogram": both, "first": seen[0], "second": seen[1]}
        )
    words = "Shift of every unit in standard deviations, with intervals; see table."
    return {"cards": cards, "chart": figures.intervals(compared.units, words)}


def _photos(source: ImageSource, chosen: NDArray[np.int64], alt: str) -> dict[str, Any]:
    """A row of photos of a collection."""
    return picture(to_model(source.batch(chosen)), alt)


def _spread(values: NDArray[Any]) -> NDArray[np.int64]:
    """A few images from the lowest to the highest tenth of a unit."""
    order = np.argsort(values, kind="stable")
    places = np.linspace(0.05, 0.95, EXTREMES) * (len(order) - 1)
    return order[places.round().astype(int)].astype(np.int64)
