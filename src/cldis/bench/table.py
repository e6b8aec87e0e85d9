"""results/SUITE.md: what the finished cells of a suite say, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cldis.bench.record import Damaged, differences, read_record, record_settings
from cldis.bench.statistics import Summary, reached, summary
from cldis.bench.suite import Suite

GOAL = 0.6  # of DCI disentanglement, for "images needed to reach it"
CODES = ("z_sem", "z_disen")
Record = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A score: its head in the table, and where `cldis.metrics.suite.evaluate` puts it."""

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
DCI = COLUMNS[1]


@dataclass(frozen=True)
class Group:
    """The cells of one row: a method on a data set with one budget, one record per seed."""

    method: str
    data: str
    images: int
    records: tuple[Record, ...]

    def codes(self) -> list[str]:
        """Codes that every record has, the one that conditions the decoder first."""
        last = [record["curve"][-1]["codes"] for record in self.records]
        return [code for code in CODES if all(code in codes for codes in last)]

    def values(self, code: str, setting: str, column: Column) -> dict[int, float]:
        """Scores at the end of training, by seed."""
        return {
            record["seed"]: column.of(record["curve"][-1]["codes"][code][setting])
            for record in self.records
        }


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
    for record in records.values():
        key = record["data"], record["method"], record["images"]
        grouped.setdefault(key, []).append(record)
    groups = [
        Group(method, data, images, tuple(sorted(found, key=lambda record: record["seed"])))
        for (data, method, images), found in grouped.items()
    ]
    known, order = list(suite.data), list(suite.methods)
    groups.sort(key=lambda g: (_place(known, g.data), g.images, _place(order, g.method)))
    return groups, damaged


def _place(names: list[str], name: str) -> tuple[int, str]:
    return (names.index(name) if name in names else len(names)), name


def _refuse_mixtures(records: dict[Path, Record]) -> None:
    """Raise where an average, or a comparison, would mix what does not belong together."""
    _refuse(
        {path: ((r["method"], r["data"]), record_settings(r)) for path, r in records.items()},
        "was run with different settings",
    )
    _refuse(
        {path: ((r["data"],), {"fingerprint": r["fingerprint"]}) for path, r in records.items()},
        "is not the same set of images in all results",
    )
    _refuse({path: (("scores",), _estimators(r)) for path, r in records.items()}, "differ in kind")


def _refuse(found: dict[Path, tuple[tuple[str, ...], dict[str, Any]]], what: str) -> None:
    first: dict[tuple[str, ...], tuple[Path, dict[str, Any]]] = {}
    for path, (key, settings) in found.items():
        other, expected = first.setdefault(key, (path, settings))
        if settings != expected:
            raise ValueError(
                f"{' on '.join(key)} {what}: {other} / {path}: "
                f"{differences(expected, settings)}; move the files of one kind away"
            )


def _estimators(record: Record) -> dict[str, str]:
    """What stands behind DCI and FactorVAE per setting: other scores are not comparable."""
    return {
        setting: f"{scores['dci']['estimator']}, {scores['dci']['train']:,} codes to train and "
        f"{scores['dci']['test']:,} to test; FactorVAE from {scores['factor_vae']['train']:,} votes"
        for point in record["curve"]
        for code in point["codes"].values()
        for setting, scores in code.items()
    }


def write_table(suite: Suite, results: Path) -> Path:
    """Write results/SUITE.md and its pictures; returns the page.

    Raises:
        ValueError: see `read_results`.
    """
    from cldis.bench.plots import write_plots
    from cldis.io import write_text

    groups, damaged = read_results(suite, results)
    pictures = write_plots(suite, groups, results)
    page = results / f"{suite.name}.md"
    write_text(page, page_text(suite, groups, damaged, [picture.name for picture in pictures]))
    return page


def page_text(
    suite: Suite, groups: Sequence[Group], damaged: Sequence[str], pictures: Sequence[str]
) -> str:
    """The page as Markdown."""
    records = [record for group in groups for record in group.records]
    scoring = records[0]["scoring"]
    estimators = {k: v for record in records for k, v in _estimators(record).items()}
    lines = [
        f"# {suite.name}: {suite.purpose}",
        "",
        f"Written by `cldis bench {suite.name} --table` from `{suite.name}/*.json`; recipe "
        f"`{records[0]['config']['recipe']}`. Codes of {scoring['pool']:,} images drawn from the "
        f"whole grid with seed {scoring['pool_seed']}, averaged weights. Entries are mean ± "
        "standard deviation over seeds and [Student's 95 % interval of the mean].",
        "",
        *(f"Setting `{name}`: DCI by {text}." for name, text in sorted(estimators.items())),
        "",
    ]
    lines += [f"![{name}]({name})" for name in pictures] + [""]
    for data in dict.fromkeys(group.data for group in groups):
        own = [group for group in groups if group.data == data]
        resolution = own[0].records[0]["resolution"]
        lines += [f"## {data}, {resolution} px", ""]
        for setting in sorted(set.intersection(*(_settings(group) for group in own)), reverse=True):
            lines += [f"Setting `{setting}`:", "", *_scores(own, setting), ""]
            lines += _differences(suite, own, setting)
        lines += _speed(own)
    lines += _machines(records)
    if damaged:
        lines += ["Left out as damaged, to be run again:", *(f"- {text}" for text in damaged), ""]
    return "\n".join(lines)


def _settings(group: Group) -> set[str]:
    return set.intersection(
        *(set(code) for r in group.records for code in r["curve"][-1]["codes"].values())
    )


def _scores(groups: Sequence[Group], setting: str) -> list[str]:
    rows = [["method", "code", "n", *(c.head for c in COLUMNS), "images", "hours"]]
    for group in groups:
        hours = summary([record["seconds"] / 3600 for record in group.records]).mean
        for code in group.codes():
            found = [summary([*group.values(code, setting, c).values()]) for c in COLUMNS]
            entries = [entry(item) for item in found]
            n = str(len(group.records))
            rows.append([group.method, code, n, *entries, f"{group.images:,}", f"{hours:.2f}"])
    return markdown(rows)


def _differences(suite: Suite, groups: Sequence[Group], setting: str) -> list[str]:
    """Differences between methods, paired by seed: the first minus the second."""
    rows = [["difference", "codes", "n", *(c.head for c in COLUMNS), "images"]]
    for one, other, images in _pairs(suite, groups):
        for mine, theirs in _matching(one.codes(), other.codes()):
            entries, n = [], 0
            for column in COLUMNS:
                a, b = one.values(mine, setting, column), other.values(theirs, setting, column)
                seeds = sorted(a.keys() & b.keys())
                n = len(seeds)
                if seeds:
                    entries.append(entry(summary([a[s] - b[s] for s in seeds]), signed=True))
            codes = mine if mine == theirs else f"{mine} - {theirs}"
            if n:
                rows.append(
                    [f"{one.method} - {other.method}", codes, str(n), *entries, f"{images:,}"]
                )
    if len(rows) == 1:
        return []
    text = "Paired by seed; an interval that holds 0 shows no difference:"
    return [text, "", *markdown(rows), ""]


def _pairs(suite: Suite, groups: Sequence[Group]) -> list[tuple[Group, Group, int]]:
    found = {(group.method, group.images): group for group in groups}
    return [
        (found[a, images], found[b, images], images)
        for images in dict.fromkeys(group.images for group in groups)
        for a, b in suite.pairs
        if (a, images) in found and (b, images) in found
    ]


def _matching(mine: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    """The same code of both; where they share none, the first of each."""
    shared = [(code, code) for code in mine if code in theirs]
    return shared or ([(mine[0], theirs[0])] if mine and theirs else [])


def _speed(groups: Sequence[Group]) -> list[str]:
    """When each method first had a DCI disentanglement of `GOAL`."""
    rows = [["method", "code", "n", f"images until DCI-D {GOAL:g}", "best DCI-D"]]
    for group in groups:
        if len(group.records[0]["curve"]) < 2:
            continue
        for code in group.codes():
            found, best = [], []
            for record in group.records:
                images = [point["images"] for point in record["curve"]]
                scores = [DCI.of(point["codes"][code]["fast"]) for point in record["curve"]]
                found.append(reached(images, scores, GOAL))
                best.append(max(scores))
            when = [value for value in found if value is not None]
            words = f"{summary(when).mean:,.0f}" if when else "not reached"
            if 0 < len(when) < len(found):
                words += f" (mean of the {len(when)} of {len(found)} seeds that reached it)"
            rows.append([group.method, code, str(len(found)), words, entry(summary(best))])
    if len(rows) == 1:
        return []
    return ["Speed, in the `fast` setting, on lines between the points:", "", *markdown(rows), ""]


def _machines(records: Sequence[Record]) -> list[str]:
    """Where the numbers come from: hours on unlike machines are not comparable."""
    seen: dict[str, int] = {}
    for record in records:
        machine = record["machine"]
        threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
        words = (
            f"{machine['gpu'] or machine['processor']}, {threads}, precision "
            f"{record['config']['training']['precision']}, torch {record['versions']['torch']}, "
            f"revision {record['git']['trained']}"
        )
        seen[words] = seen.get(words, 0) + 1
    return ["Made on:", *(f"- {words}: {n} cells" for words, n in seen.items()), ""]


def entry(found: Summary, signed: bool = False) -> str:
    """`.285 ± .036 [.20, .37]`; the mean alone for one seed."""

    def number(value: float, digits: int = 3) -> str:
        text = f"{value:{'+' if signed else ''}.{digits}f}"
        return text.replace("0.", ".", 1) if abs(value) < 1 else text

    if found.deviation is None or found.half is None:
        return number(found.mean)
    deviation = f"{found.deviation:.3f}".removeprefix("0")
    low, high = found.mean - found.half, found.mean + found.half
    return f"{number(found.mean)} ± {deviation} [{number(low)}, {number(high)}]"


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table, the first as its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]
