"""The page and the pictures of `editing.py`."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cldis.images import captioned, grid, save_png

COLUMNS = {
    "active": "active",
    "intended": "intended",
    "leakage": "leakage",
    "selectivity": "selectivity",
    "kept": "rest kept",
    "margin": "margin",
    "own": "own",
}
SET_NAMES = {
    "units": "raw units",
    "navigated": "navigated",
    "pca": "PCA",
    "random": "random",
}


def page(result: dict[str, Any], pictures: dict[str, list[str]], stem: str) -> str:
    """The page, whose pictures are `stem`-DATA.png; adds `summary` and `differences` to the result.

    Both come from the bootstrap draws, which it takes out.
    """
    result["summary"] = {data: summaries(result, data) for data in result["data"]}
    result["differences"] = {data: differences(result, data) for data in result["data"]}
    for run in result["runs"].values():
        for scores in (score for amounts in run["sets"].values() for score in amounts.values()):
            del scores["draws"]
    parts = [head(result)]
    for data in result["data"]:
        parts.append(f"## {data}, {result['data'][data]['resolution']} px\n")
        parts.append(reader_table(result, data))
        for amount in ("2", "1"):
            parts.append(f"Moved by -{amount} and +{amount} standard deviations:\n")
            parts.append(score_table(result["summary"][data], amount))
        parts.append(difference_table(result["differences"][data]))
        parts.append(factor_table(result, data))
        if data in pictures:
            parts.append(
                f"![Edits of two held-out images]({stem}-{data}.png)\n\n"
                f"The best raw unit of each factor, chosen on other images than these two: "
                f"{' and '.join(pictures[data])}; the middle column is not edited.\n"
            )
    return "\n".join(parts)


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


def reader_table(result: dict[str, Any], data: str) -> str:
    """What the reader gets wrong on renders, on the originals and on reconstructions."""
    found = result["data"][data]
    runs = [run for run in result["runs"].values() if run["data"] == data]
    lines = [
        "The reader, and the floor: how often a reading is off by more than the tolerance.\n",
        "| factor | values | exact on unseen renders | tolerance | within it, recoloured renders | "
        "off: originals | off: reconstructions |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, score in found["reader"].items():
        recoloured = score["within_recoloured"]
        floors = [run["floor"][name] for run in runs]
        floor = f"{number(min(floors))} to {number(max(floors))}" if floors else "-"
        lines.append(
            f"| {name} | {score['values']}, {score['kind']} | {number(score['exact'], 3)} | "
            f"{score['tolerance']} | {'-' if recoloured is None else number(recoloured, 3)} | "
            f"{number(found['originals'][name])} | {floor} |"
        )
    return "\n".join(lines) + "\n"


def summaries(result: dict[str, Any], data: str) -> list[dict[str, Any]]:
    """Each score's mean over seeds, spread over seeds and interval.

    Per set, method, images trained on and amount.
    """
    groups: dict[tuple[str, str, int, str], list[dict[str, Any]]] = {}
    for run in result["runs"].values():
        if run["data"] == data:
            for kind, amounts in run["sets"].items():
                for amount, scores in amounts.items():
                    key = (kind, run["method"], run["images"], amount)
                    groups.setdefault(key, []).append(scores)
    order = list(SET_NAMES)
    found = []
    for (kind, method, images, amount), seeds in sorted(
        groups.items(), key=lambda group: order.index(group[0][0])
    ):
        entry: dict[str, Any] = {"set": kind, "method": method, "images": images}
        entry |= {"amount": amount, "n": len(seeds)}
        for key in COLUMNS:
            entry[key] = summary(seeds, key)
        found.append(entry)
    return found


def summary(seeds: list[dict[str, Any]], key: str) -> dict[str, Any] | None:
    """Of one score over seeds; None where no seed has it."""
    values = [scores[key] for scores in seeds if scores[key] is not None]
    if not values:
        return None
    draws = []  # mean over seeds of one draw each
    for drawn in zip(*(scores["draws"] for scores in seeds), strict=True):
        there = [draw[key] for draw in drawn if draw[key] is not None]
        if there:
            draws.append(sum(there) / len(there))
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "deviation": deviation, "low": low, "high": high}


def differences(result: dict[str, Any], data: str) -> list[dict[str, Any]]:
    """At 2 standard deviations, of one run: another set of directions less its raw units.

    And of two runs: raw units of a closed arm less those of its open twin. The draws of all sets
    on one data set draw the same images, so that the interval is that of paired differences.
    """
    runs = {name: run for name, run in result["runs"].items() if run["data"] == data}
    found = []

    def add(what: str, one: dict[str, Any], other: dict[str, Any]) -> None:
        scores = {key: difference(one["2"], other["2"], key) for key in COLUMNS}
        found.append({"what": what, **scores})

    for run in runs.values():
        for kind in run["sets"] if "units" in run["sets"] else ():
            if kind != "units":
                trained = f"{run['method']}, {run['images']:,}, seed {run['seed']}"
                what = f"{trained}: {SET_NAMES[kind]} - raw units"
                add(what, run["sets"][kind], run["sets"]["units"])
    for name, run in runs.items():
        twin = runs.get(name.replace("closed", "open", 1))
        if twin and twin is not run and "units" in run["sets"] and "units" in twin["sets"]:
            trained = f"{run['images']:,}, seed {run['seed']}"
            what = f"{run['method']} - {twin['method']}, {trained}: raw units"
            add(what, run["sets"]["units"], twin["sets"]["units"])
    return found


def difference(one: dict[str, Any], other: dict[str, Any], key: str) -> dict[str, Any] | None:
    """One score less another, with the interval of paired draws; None where either is missing."""
    if one[key] is None or other[key] is None:
        return None
    draws = [
        a[key] - b[key]
        for a, b in zip(one["draws"], other["draws"], strict=True)
        if a[key] is not None and b[key] is not None
    ]
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    return {"mean": one[key] - other[key], "deviation": None, "low": low, "high": high}


def difference_table(found: list[dict[str, Any]]) -> str:
    """Empty where there is nothing to compare."""
    if not found:
        return ""
    lines = [
        "Differences at 2 standard deviations, with intervals of the same draws of images:\n",
        f"| difference | {' | '.join(COLUMNS.values())} |",
        "|" + "---|" * (1 + len(COLUMNS)),
    ]
    for entry in found:
        lines.append(f"| {entry['what']} | {cells(entry)} |")
    return "\n".join(lines) + "\n"


def cells(entry: dict[str, Any]) -> str:
    """All scores of a row."""
    return " | ".join(score(entry[key], 1 if key in ("active", "own") else 2) for key in COLUMNS)


def score_table(found: list[dict[str, Any]], amount: str) -> str:
    lines = [
        f"| directions | method | images | n | {' | '.join(COLUMNS.values())} |",
        "|" + "---|" * (4 + len(COLUMNS)),
    ]
    for entry in found:
        if entry["amount"] == amount:
            kind = SET_NAMES[entry["set"]]
            trained = f"{entry['method']} | {entry['images']:,}"
            lines.append(f"| {kind} | {trained} | {entry['n']} | {cells(entry)} |")
    return "\n".join(lines) + "\n"


def factor_table(result: dict[str, Any], data: str) -> str:
    """Intended / leakage of the best raw unit of each factor, means over seeds."""
    methods: dict[str, list[list[dict[str, float]]]] = {}
    for run in result["runs"].values():
        if run["data"] == data and "units" in run["sets"]:
            trained = f"{run['method']}, {run['images']:,}"
            methods.setdefault(trained, []).append(run["sets"]["units"]["2"]["factors"])
    lines = [
        "The best raw unit of each factor at 2 standard deviations, intended / leakage:\n",
        f"| factor | {' | '.join(methods)} |",
        "|" + "---|" * (1 + len(methods)),
    ]
    for f, name in enumerate(result["data"][data]["reader"]):
        cells = []
        for seeds in methods.values():
            means = [statistics.fmean(s[f][key] for s in seeds) for key in ("intended", "leakage")]
            cells.append(" / ".join(map(number, means)))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def score(found: dict[str, Any] | None, digits: int) -> str:
    if found is None:
        return "-"
    spread = "" if found["deviation"] is None else f" ± {number(found['deviation'], digits)}"
    interval = f"[{number(found['low'], digits)}, {number(found['high'], digits)}]"
    return f"{number(found['mean'], digits)}{spread} {interval}"


def number(value: float, digits: int = 2) -> str:
    """.93, 1.00, -.02"""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def picture(
    blocks: dict[str, Tensor],
    names: list[str],
    amounts: tuple[float, ...],
    path: Path,
    zoom: int = 2,
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
    drawn = drawn.resize((drawn.width * zoom, drawn.height * zoom), Image.Resampling.BOX)
    rows = [label for name in names for label in (name, "")]
    save_png(captioned(drawn, columns, rows), path)
