"""Scores of `editing.py` over seeds: means, bootstrap intervals, paired differences.

The draws of all sets on one data set draw the same images, so that the interval of a difference is
that of paired differences.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

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
