"""Scores of `editing.py` over seeds, their page and pictures.

The draws of all sets on one data set draw the same images, so that the interval of a difference is
that of paired differences.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cldis.bench.table import markdown
from cldis.images import captioned, grid, save_png
from cldis.text import fraction

Scores = dict[str, Any]  # by the keys of COLUMNS, and "draws": as many more of them
COLUMNS = {
    "active": "active",
    "intended": "intended",
    "leakage": "leakage",
    "selectivity": "selectivity",
    "kept": "rest kept",
    "margin": "margin",
    "own": "own",
}
SET_NAMES = {"units": "raw units", "navigated": "navigated", "pca": "PCA", "random": "random"}


def summaries(result: dict[str, Any], data: str) -> list[dict[str, Any]]:
    """Each score over seeds, per set, method, images trained on and amount."""
    groups: dict[tuple[str, str, int, str], list[Scores]] = {}
    for run in result["runs"].values():
        if run["data"] == data:
            for kind, amounts in run["sets"].items():
                for amount, scores in amounts.items():
                    key = (kind, run["method"], run["images"], amount)
                    groups.setdefault(key, []).append(scores)
    order = list(SET_NAMES)
    return [
        {
            **dict(zip(("set", "method", "images", "amount"), key, strict=True)),
            "n": len(seeds),
            **{column: summary(seeds, column) for column in COLUMNS},
        }
        for key, seeds in sorted(groups.items(), key=lambda group: order.index(group[0][0]))
    ]


def summary(seeds: list[Scores], key: str) -> dict[str, Any] | None:
    """One score over seeds: mean, deviation, 95 % interval; None where no seed has it."""
    values = [scores[key] for scores in seeds if scores[key] is not None]
    if not values:
        return None
    draws = []  # mean over seeds of one draw each
    for drawn in zip(*(scores["draws"] for scores in seeds), strict=True):
        there = [draw[key] for draw in drawn if draw[key] is not None]
        if there:
            draws.append(sum(there) / len(there))
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return _entry(statistics.fmean(values), deviation, draws)


def differences(result: dict[str, Any], data: str) -> list[dict[str, Any]]:
    """At 2 standard deviations: other directions of a run less its raw units, closed less open."""
    runs = {name: run for name, run in result["runs"].items() if run["data"] == data}
    pairs = []
    for run in runs.values():
        for kind in run["sets"] if "units" in run["sets"] else ():
            if kind != "units":
                trained = f"{run['method']}, {run['images']:,}, seed {run['seed']}"
                what = f"{trained}: {SET_NAMES[kind]} - raw units"
                pairs.append((what, run["sets"][kind], run["sets"]["units"]))
    for name, run in runs.items():
        twin = runs.get(name.replace("closed", "open", 1))
        if twin and twin is not run and "units" in run["sets"] and "units" in twin["sets"]:
            what = f"{run['method']} - {twin['method']}, {run['images']:,}, seed {run['seed']}"
            pairs.append((f"{what}: raw units", run["sets"]["units"], twin["sets"]["units"]))
    return [
        {"what": what, **{key: difference(one["2"], other["2"], key) for key in COLUMNS}}
        for what, one, other in pairs
    ]


def difference(one: Scores, other: Scores, key: str) -> dict[str, Any] | None:
    """One score less another; None where either is missing."""
    if one[key] is None or other[key] is None:
        return None
    draws = [
        a[key] - b[key]
        for a, b in zip(one["draws"], other["draws"], strict=True)
        if a[key] is not None and b[key] is not None
    ]
    return _entry(one[key] - other[key], None, draws)


def _entry(mean: float, deviation: float | None, draws: list[float]) -> dict[str, Any]:
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    return {"mean": mean, "deviation": deviation, "low": low, "high": high}


def page(result: dict[str, Any], stem: str) -> str:
    """The page as Markdown; its pictures are `stem`-DATA.png."""
    parts = [head(result)]
    for data, found in result["data"].items():
        summary = result["summary"][data]
        tables = [
            (
                "The reader, and the floor: how often a reading is off by more than the tolerance.",
                reader_rows(result, data),
            ),
            ("Moved by -2 and +2 standard deviations:", score_rows(summary, "2")),
            ("Moved by -1 and +1 standard deviations:", score_rows(summary, "1")),
            (
                "Differences at 2 standard deviations, with intervals of the same draws of images:",
                difference_rows(result["differences"][data]),
            ),
            (
                "The best raw unit of each factor at 2 standard deviations, intended / leakage:",
                factor_rows(result, data),
            ),
        ]
        parts.append(f"## {data}, {found['resolution']} px\n")
        for text, rows in tables:
            if len(rows) > 1:
                parts += [text, "", *markdown(rows), ""]
        shown = shown_runs(result, data)
        if shown:
            parts.append(
                f"![Edits of two held-out images]({stem}-{data}.png)\n\n"
                f"The best raw unit of each factor, chosen on other images than these two: "
                f"{' and '.join(shown)}; the middle column is not edited.\n"
            )
    return "\n".join(parts)


def shown_runs(result: dict[str, Any], data: str) -> list[str]:
    """The first runs of the first two methods with edits of raw units."""
    first: dict[str, str] = {}
    for name, run in result["runs"].items():
        if run["data"] == data and "units" in run["sets"]:
            first.setdefault(run["method"], name)
    return list(first.values())[:2]


def head(result: dict[str, Any]) -> str:
    return f"""# Editing quality: what changes when one direction is moved

Written by `{result["command"]}` ({result["machine"]}, version {result["git"]}).

{result["images"]} held-out images of each data set are inverted to x_T and decoded again with one
direction moved, {result["steps"]} steps each way for every method. A small network (version
{result["reader_version"]} of `factor_reader.py`, the same for every row) reads all factors of what
was decoded; it learned from renders of the grid, also in colours that the grid does not have, and
not from decoded images. A factor has changed when its reading differs from that of the unedited
reconstruction by more than the tolerance in the table. Directions move in standard deviations of
the code along them over 512 training images. "images" is what a method was trained on; of a
method with `led` in its name the first of them only trained its VAE (`loop.vae_alone`). "navigated"
is all of the A that `cldis navigate` learned, also the directions that it dropped.

Which factor a direction is for is the one that changes most often. It is chosen on one half of the
images and measured on the other, both ways (`cldis.metrics.editing`).

- active: directions whose factor changes in at least 10 % of the edits. intended, leakage,
  selectivity and rest kept are over these.
- intended: share of edits in which that factor changes. leakage: mean share over the others.
- selectivity: intended changes over all changes. Directions that change all alike have 1/k.
- rest kept: share of edits in which no other factor changes. High for weak directions too.
- margin: intended - leakage of the best direction of each factor, mean over factors. 0: edits
  change all factors alike; 1: every factor has a perfect direction. Weak, mixed and missing
  directions all lower it.
- own: factors with a direction that changes them in at least 25 % of the edits, and more often
  than all others together.

Compare methods at like `intended`, across the two tables if need be: whatever the method, a weaker
edit leaks less.

[ ] is the 95 % interval of a bootstrap over images; it says nothing about the next seed. ± is the
standard deviation over seeds where there are several (n).
"""


def reader_rows(result: dict[str, Any], data: str) -> list[list[str]]:
    """What the reader gets wrong on renders, on the originals and on reconstructions."""
    found = result["data"][data]
    runs = [run for run in result["runs"].values() if run["data"] == data]
    rows = [
        ["factor", "values", "exact on unseen renders", "tolerance"]
        + ["within it, recoloured renders", "off: originals", "off: reconstructions"]
    ]
    for name, score in found["reader"].items():
        recoloured = score["within_recoloured"]
        floors = [run["floor"][name] for run in runs]
        rows.append(
            [
                name,
                f"{score['values']}, {score['kind']}",
                fraction(score["exact"]),
                str(score["tolerance"]),
                "-" if recoloured is None else fraction(recoloured),
                fraction(found["originals"][name], 2),
                f"{fraction(min(floors), 2)} to {fraction(max(floors), 2)}",
            ]
        )
    return rows


def difference_rows(found: list[dict[str, Any]]) -> list[list[str]]:
    return [["difference", *COLUMNS.values()], *([one["what"], *cells(one)] for one in found)]


def score_rows(found: list[dict[str, Any]], amount: str) -> list[list[str]]:
    rows = [["directions", "method", "images", "n", *COLUMNS.values()]]
    for entry in found:
        if entry["amount"] == amount:
            trained = [entry["method"], f"{entry['images']:,}", str(entry["n"])]
            rows.append([SET_NAMES[entry["set"]], *trained, *cells(entry)])
    return rows


def factor_rows(result: dict[str, Any], data: str) -> list[list[str]]:
    """Intended / leakage of the best raw unit of each factor, means over seeds."""
    methods: dict[str, list[list[dict[str, float]]]] = {}
    for run in result["runs"].values():
        if run["data"] == data and "units" in run["sets"]:
            trained = f"{run['method']}, {run['images']:,}"
            methods.setdefault(trained, []).append(run["sets"]["units"]["2"]["factors"])
    rows = [["factor", *methods]]
    for f, name in enumerate(result["data"][data]["reader"]):
        means = [
            [statistics.fmean(seed[f][key] for seed in seeds) for key in ("intended", "leakage")]
            for seeds in methods.values()
        ]
        rows.append([name, *(" / ".join(fraction(mean, 2) for mean in both) for both in means)])
    return rows


def cells(entry: dict[str, Any]) -> list[str]:
    """All scores of a row."""
    return [score(entry[key], 1 if key in ("active", "own") else 2) for key in COLUMNS]


def score(found: dict[str, Any] | None, digits: int) -> str:
    """`.49 ± .02 [.40, .60]`, or a dash where there is none."""
    if found is None:
        return "-"
    spread = "" if found["deviation"] is None else f" ± {fraction(found['deviation'], digits)}"
    interval = f"[{fraction(found['low'], digits)}, {fraction(found['high'], digits)}]"
    return f"{fraction(found['mean'], digits)}{spread} {interval}"


def picture(
    blocks: dict[str, Tensor],
    names: list[str],
    amounts: tuple[float, ...],
    path: Path,
) -> None:
    """Blocks [k, 2, a + 1, 3, H, W] side by side: two rows a factor, one block a method."""
    middle = len(amounts) // 2
    steps = [f"{amount:+g}" for amount in amounts]
    cells: list[Tensor] = []
    columns: list[str] = []
    for method, block in blocks.items():
        flat = block.flatten(0, 1)  # [2 k, a + 1, 3, H, W]
        if cells:
            cells.append(torch.ones_like(flat[:, :1]))
            columns.append("")
        cells.append(flat)
        columns += [*steps[:middle], method, *steps[middle:]]  # unedited under the method's name
    drawn = grid(torch.cat(cells, dim=1))
    drawn = drawn.resize((2 * drawn.width, 2 * drawn.height), Image.Resampling.BOX)
    rows = [label for name in names for label in (name, "")]
    save_png(captioned(drawn, columns, rows), path)
