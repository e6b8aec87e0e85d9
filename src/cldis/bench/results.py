"""Reading the results of a suite: whole records only, grouped so that seeds can be averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cldis.bench.record import Damaged, Record, differences, read_record, record_settings
from cldis.bench.statistics import Summary, summary
from cldis.bench.suite import Suite

CODES = ("z_sem", "z_disen")


@dataclass(frozen=True)
class Column:
    """A score: its head in a table, and where `cldis.metrics.suite.evaluate` puts it."""

    head: str
    metric: str
    key: str

    def of(self, scores: dict[str, Any]) -> float:
        return float(scores[self.metric][self.key])


COLUMNS = (
    Column("FactorVAE", "factor_vae", "score"),
    Column("DCI-D", "dci", "disentanglement"),
    Column("DCI-C", "dci", "completeness"),
    Column("DCI-I", "dci", "informativeness"),
    Column("MIG", "mig", "score"),
    Column("SAP", "sap", "score"),
    Column("InfoM", "infomec", "modularity"),
    Column("InfoE", "infomec", "explicitness"),
    Column("InfoC", "infomec", "compactness"),
)
FACTOR_VAE, DCI = COLUMNS[:2]


@dataclass(frozen=True)
class Group:
    """A method on a data set with one budget: one record per seed."""

    method: str
    data: str
    images: int
    records: tuple[Record, ...]

    @property
    def resolution(self) -> int:
        return int(self.records[0]["resolution"])

    def codes(self) -> list[str]:
        """Codes that every record has, the one that conditions the decoder first."""
        last = [record["curve"][-1]["codes"] for record in self.records]
        return [code for code in CODES if all(code in codes for codes in last)]

    def settings(self) -> set[str]:
        """Metric settings in which every code of every record has scores at the end."""
        codes = (code for r in self.records for code in r["curve"][-1]["codes"].values())
        return set.intersection(*map(set, codes))

    def values(self, code: str, setting: str, column: Column) -> dict[int, float]:
        """Scores at the end of training, by seed."""
        return {
            record["seed"]: column.of(record["curve"][-1]["codes"][code][setting])
            for record in self.records
        }

    def summary(self, code: str, setting: str, column: Column) -> Summary:
        """The mean of `values` over seeds."""
        return summary([*self.values(code, setting, column).values()])


def largest(groups: Sequence[Group]) -> dict[str, Group]:
    """Of each method its group with the largest budget; groups of one data set."""
    return {group.method: group for group in sorted(groups, key=lambda group: group.images)}


def at_time(record: Record, code: str, column: Column, seconds: float) -> float:
    """A score after `seconds` of training, on lines between the points of the curve."""
    curve = record["curve"]
    times = [point["seconds"] for point in curve]
    scores = [column.of(point["codes"][code]["fast"]) for point in curve]
    return float(np.interp(seconds, times, scores))


def read_results(suite: Suite, results: Path) -> tuple[list[Group], list[str]]:
    """The groups of a suite in its own order, and the damaged files in words.

    Raises:
        ValueError: no whole result; or results that must not be averaged: of another format, of
            one method under several settings, of several versions of a data set, or scored by
            different estimators. The message names the files.
    """
    records, damaged = {}, []
    for path in sorted((results / suite.name).glob("*.json")):
        try:
            records[path] = read_record(path)
        except Damaged as error:
            damaged.append(str(error))
    if not records:
        also = f"; damaged: {'; '.join(damaged)}" if damaged else ""
        raise ValueError(
            f"{results / suite.name} holds no finished cell{also}; run `cldis bench {suite.name}`"
        )
    _refuse_mixtures(records)
    grouped: dict[tuple[str, str, int], list[Record]] = {}
    for record in sorted(records.values(), key=lambda record: int(record["seed"])):
        key = record["method"], record["data"], record["images"]
        grouped.setdefault(key, []).append(record)
    groups = [Group(*key, tuple(found)) for key, found in grouped.items()]
    known, order = list(suite.data), list(suite.methods)
    groups.sort(key=lambda g: (_place(known, g.data), g.images, _place(order, g.method)))
    return groups, damaged


def _place(names: list[str], name: str) -> tuple[int, str]:
    return (names.index(name) if name in names else len(names)), name


def _refuse_mixtures(records: dict[Path, Record]) -> None:
    """Raise where an average, or a comparison, would mix what does not belong together."""
    first: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path, record in records.items():
        for what, found in (
            (
                f"{record['method']} on {record['data']} was run with different settings",
                record_settings(record),
            ),
            (
                f"{record['data']} is not the same set of images in all results",
                {"fingerprint": record["fingerprint"]},
            ),
            ("scores differ in kind", estimators(record)),
        ):
            other, expected = first.setdefault(what, (path, found))
            if found != expected:
                raise ValueError(
                    f"{what}: {other} / {path}: {differences(expected, found)}; move the files of "
                    "one kind away"
                )


def estimators(record: Record) -> dict[str, str]:
    """What stands behind DCI and FactorVAE per setting: other scores are not comparable."""
    return {
        setting: f"{scores['dci']['estimator']}, {scores['dci']['train']:,} codes to train and "
        f"{scores['dci']['test']:,} to test; FactorVAE from {scores['factor_vae']['train']:,} votes"
        for point in record["curve"]
        for code in point["codes"].values()
        for setting, scores in code.items()
    }
