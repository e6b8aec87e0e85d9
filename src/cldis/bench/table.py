"""results/SUITE.md: what the finished cells of a suite say, with intervals over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cldis.bench.plots import write_plots
from cldis.bench.record import Record
from cldis.bench.results import COLUMNS, DCI, Group, at_time, estimators, largest, read_results
from cldis.bench.statistics import Summary, reached, summary
from cldis.bench.suite import Suite
from cldis.io import write_text
from cldis.text import fraction

GOAL = 0.6  # of DCI disentanglement, for "images needed to reach it"
HEADS = [column.head for column in COLUMNS]


def write_table(suite: Suite, results: Path) -> Path:
    """Write results/SUITE.md and its pictures; returns the page.

    Raises:
        ValueError: see `read_results`.
    """
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
    settings = {name: text for record in records for name, text in estimators(record).items()}
    lines = [
        f"# {suite.name}: {suite.purpose}",
        "",
        f"Written by `cldis bench {suite.name} --table` from `{suite.name}/*.json`; recipe "
        f"`{records[0]['config']['recipe']}`. Codes of {scoring['pool']:,} images drawn from the "
        f"whole grid with seed {scoring['pool_seed']}, averaged weights. Entries are mean ± "
        "standard deviation over seeds and [Student's 95 % interval of the mean].",
        "",
        *(f"Setting `{name}`: DCI by {text}." for name, text in sorted(settings.items())),
        "",
    ]
    lines += [f"![{name}]({name})" for name in pictures] + [""]
    for data in dict.fromkeys(group.data for group in groups):
        own = [group for group in groups if group.data == data]
        lines += [f"## {data}, {own[0].resolution} px", ""]
        for setting in sorted(set.intersection(*(g.settings() for g in own)), reverse=True):
            lines += [f"Setting `{setting}`:", "", *_scores(own, setting), ""]
            lines += _differences(suite, own, setting)
        lines += _equal_time(suite, own)
        lines += _speed(own)
    lines += _machines(records)
    if damaged:
        lines += ["Left out as damaged, to be run again:", *(f"- {text}" for text in damaged), ""]
    return "\n".join(lines)


def _scores(groups: Sequence[Group], setting: str) -> list[str]:
    rows = [["method", "code", "n", *HEADS, "images", "hours"]]
    for group in groups:
        hours = summary([record["seconds"] / 3600 for record in group.records]).mean
        for code in group.codes():
            entries = [entry(group.summary(code, setting, column)) for column in COLUMNS]
            n = str(len(group.records))
            rows.append([group.method, code, n, *entries, f"{group.images:,}", f"{hours:.2f}"])
    return markdown(rows)


def _differences(suite: Suite, groups: Sequence[Group], setting: str) -> list[str]:
    """Differences between methods, paired by seed: the first minus the second."""
    rows = [["difference", "codes", "n", *HEADS, "images"]]
    by_name = {(group.method, group.images): group for group in groups}
    for images in dict.fromkeys(group.images for group in groups):
        for a, b in suite.pairs:
            if (a, images) in by_name and (b, images) in by_name:
                rows += _paired(by_name[a, images], by_name[b, images], setting)
    if len(rows) == 1:
        return []
    text = "Paired by seed; an interval that holds 0 shows no difference:"
    return [text, "", *markdown(rows), ""]


def _equal_time(suite: Suite, groups: Sequence[Group]) -> list[str]:
    """The same differences where the method that ends first has ended, whatever images it saw."""
    rows = [["difference", "codes", "n", *HEADS, "minutes"]]
    found = largest(groups)
    for a, b in suite.pairs:
        if a in found and b in found and found[a].images != found[b].images:
            rows += _paired_in_time(found[a], found[b])
    if len(rows) == 1:
        return []
    text = "Paired by seed at equal training time, `fast`, on lines between the points:"
    return [text, "", *markdown(rows), ""]


def _paired_in_time(one: Group, other: Group) -> list[list[str]]:
    code, theirs = one.codes()[0], other.codes()[0]
    pairs = [(r, s) for r in one.records for s in other.records if r["seed"] == s["seed"]]
    if not pairs:
        return []
    times = [min(r["curve"][-1]["seconds"], s["curve"][-1]["seconds"]) for r, s in pairs]
    entries = []
    for column in COLUMNS:
        found = [
            at_time(r, code, column, time) - at_time(s, theirs, column, time)
            for (r, s), time in zip(pairs, times, strict=True)
        ]
        entries.append(entry(summary(found), signed=True))
    names = code if code == theirs else f"{code} - {theirs}"
    minutes = f"{summary(times).mean / 60:.0f}"
    return [[f"{one.method} - {other.method}", names, str(len(pairs)), *entries, minutes]]


def _paired(one: Group, other: Group, setting: str) -> list[list[str]]:
    """A row for each code that both have; where they share none, for the first of each."""
    seeds = sorted({r["seed"] for r in one.records} & {r["seed"] for r in other.records})
    codes = [(code, code) for code in one.codes() if code in other.codes()]
    codes = codes or [*zip(one.codes()[:1], other.codes()[:1], strict=False)]
    rows = []
    for mine, theirs in codes if seeds else []:
        entries = []
        for column in COLUMNS:
            a, b = one.values(mine, setting, column), other.values(theirs, setting, column)
            entries.append(entry(summary([a[seed] - b[seed] for seed in seeds]), signed=True))
        names = mine if mine == theirs else f"{mine} - {theirs}"
        what = f"{one.method} - {other.method}"
        rows.append([what, names, str(len(seeds)), *entries, f"{one.images:,}"])
    return rows


def _speed(groups: Sequence[Group]) -> list[str]:
    """When each method first had a DCI disentanglement of `GOAL`."""
    rows = [["method", "code", "n", f"images until DCI-D {GOAL:g}", "best DCI-D"]]
    for group in groups:
        if len(group.records[0]["curve"]) < 2:
            continue
        for code in group.codes():
            crossings, best = [], []
            for record in group.records:
                images = [point["images"] for point in record["curve"]]
                scores = [DCI.of(point["codes"][code]["fast"]) for point in record["curve"]]
                crossings.append(reached(images, scores, GOAL))
                best.append(max(scores))
            when = [value for value in crossings if value is not None]
            words = f"{summary(when).mean:,.0f}" if when else "not reached"
            if 0 < len(when) < len(crossings):
                words += f" (mean of the {len(when)} of {len(crossings)} seeds that reached it)"
            rows.append([group.method, code, str(len(crossings)), words, entry(summary(best))])
    if len(rows) == 1:
        return []
    return ["Speed, in the `fast` setting, on lines between the points:", "", *markdown(rows), ""]


def _machines(records: Sequence[Record]) -> list[str]:
    """Where the numbers come from: hours on unlike machines are not comparable."""
    cells: Counter[str] = Counter()
    for record in records:
        machine = record["machine"]
        threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
        words = (
            f"{machine['gpu'] or machine['processor']}, {threads}, precision "
            f"{record['config']['training']['precision']}, torch {record['versions']['torch']}, "
            f"revision {record['git']['trained']}"
        )
        cells[words] += 1
    return ["Made on:", *(f"- {words}: {n} cells" for words, n in cells.items()), ""]


def entry(seeds: Summary, signed: bool = False) -> str:
    """`.285 ± .036 [.20, .37]`; the mean alone for one seed."""
    mean, *ends = (
        fraction(seeds.mean + half, sign="+" if signed else "")
        for half in ((0.0,) if seeds.half is None else (0.0, -seeds.half, seeds.half))
    )
    if seeds.deviation is None:
        return mean
    return f"{mean} ± {fraction(seeds.deviation)} [{', '.join(ends)}]"


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table, the first as its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]
