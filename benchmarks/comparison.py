"""results/comparison.md: every method of the bench beside the others, by what it was shown.

    python benchmarks/comparison.py

Rows of all suites at the end of their training, in the field's protocol (`standard`). The same
method, settings and seed trained by two suites counts once. Prints the short table, which README
and docs/benchmarks.md show (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cldis.bench.record import record_settings
from cldis.bench.statistics import summary
from cldis.bench.suite import CONTROLS
from cldis.bench.suites import SUITES
from cldis.bench.table import COLUMNS, Group, entry, markdown, read_results
from cldis.config import Config
from cldis.io import write_text

RESULTS = Path("results")
SETTING = "standard"
SHOWN = ("FactorVAE", "DCI-D", "DCI-C", "DCI-I", "MIG")
# The rows of the short table: what to call it, and the suite, data, method and budget it is.
SHORT = (
    ("EncDiff, batches of 16, twice the images", "hours64", "rooms", "encdiff_16", 512_000),
    ("EncDiff, batches of 16 (**default**)", "px64", "rooms", "encdiff_16", 256_000),
    ("EncDiff", "px64", "rooms", "encdiff", 256_000),
    ("**closed loop, the VAE leads**", "px64", "rooms", "closed_led_go", 256_000),
    ("the same, batches of 16, a shorter lead", "px64", "rooms", "closed_led_16", 256_000),
    ("closed loop, both from the start", "px64", "rooms", "closed", 128_000),
    ("**closed loop, the VAE leads**", "led", "rooms", "closed_led_go", 512_000),
    ("EncDiff, twice the images", "led", "rooms", "encdiff", 512_000),
    ("EncDiff", "long", "rooms", "encdiff", 256_000),
    ("a pull towards nothing", "long", "rooms", "pull_to_zero", 256_000),
    ("β-VAE (β = 4)", "long", "rooms", "beta_vae", 256_000),
    ("PCA of the pixels", "peers", "rooms", "pca", 32_000),
    ("EncDiff, batches of 16 (**default**)", "px64", "kuka", "encdiff_16", 256_000),
    ("EncDiff", "px64", "kuka", "encdiff", 256_000),
    ("**closed loop, the VAE leads**", "px64", "kuka", "closed_led_go", 256_000),
    ("**closed loop, the VAE leads**", "led", "kuka", "closed_led_go", 512_000),
    ("a pull towards nothing", "long", "kuka", "pull_to_zero", 256_000),
    ("EncDiff", "long", "kuka", "encdiff", 256_000),
    ("PCA of the pixels", "peers", "kuka", "pca", 32_000),
)
SHORT_SHOWN = ("FactorVAE", "DCI-D", "DCI-I", "MIG")
HEAD = ["method", "code", "VAE alone", "decoder", "n", *SHOWN, "suite"]
TEXT = f"""# All methods, by the images they were shown

Written by `python benchmarks/comparison.py` from the cells of `cldis bench`; what a method and a
suite are says [suites.py](../src/cldis/bench/suites.py). Setting `{SETTING}`: DCI by
gradient-boosted trees as in disentanglement_lib, 8,000 codes to train and 4,000 to test; FactorVAE
from 10,000 votes. Mean ± standard deviation over n seeds and [Student's 95 % interval].
`VAE alone`: images that trained only the VAE, which costs about a fifth; `decoder`: images that
trained the diffusion branch. The most images of the decoder come first, then the highest DCI-D.
`rooms` and `kuka` are our own renderings: nothing here may be put beside published numbers of
Shapes3D or MPI3D.
"""


def main() -> None:
    write_text(RESULTS / "comparison.md", page(RESULTS))
    print("\n".join(short(RESULTS)))


def page(results: Path) -> str:
    """The page as Markdown."""
    lines = [TEXT]
    groups = [(name, group) for name in SUITES for group in finished(name, results)]
    for place in sorted({(g.data, g.records[0]["resolution"]) for _, g in groups}, reverse=True):
        own = [(s, g) for s, g in groups if (g.data, g.records[0]["resolution"]) == place]
        lines += [f"## {place[0]}, {place[1]} px", "", *markdown([HEAD, *rows(own)]), ""]
    return "\n".join(lines)


def short(results: Path) -> list[str]:
    """The short table as Markdown lines: means over seeds, with their standard deviation."""
    table = [["data", "method", "VAE alone", "decoder", "n", *SHORT_SHOWN]]
    groups = {
        (suite, group.data, group.method, group.images): group
        for suite in dict.fromkeys(row[1] for row in SHORT)
        for group in finished(suite, results)
    }
    for label, suite, data, method, images in SHORT:
        group = groups[suite, data, method, images]
        scores = dict(zip(SHOWN, entries(group, group.codes()[0]), strict=True))
        place = f"{data}, {group.records[0]['resolution']} px"
        table.append(
            [place, label, *map(number, shown(group)), str(len(group.records))]
            + [scores[head][1].partition(" [")[0] for head in SHORT_SHOWN]
        )
    return markdown(table)


def finished(name: str, results: Path) -> list[Group]:
    """The groups of a suite that have scores in the field's protocol."""
    if not SUITES[name].standard or not any((results / name).glob("*.json")):
        return []
    groups, damaged = read_results(SUITES[name], results)
    if damaged:
        raise SystemExit(f"damaged results: {'; '.join(damaged)}")
    return groups


def rows(groups: Iterable[tuple[str, Group]]) -> list[list[str]]:
    found = [
        (*shown(group), entries(group, code), code, group, suite)
        for suite, group in merged(groups)
        for code in group.codes()
    ]
    found.sort(key=lambda row: (-row[1], -row[0], -row[2][1][0]))
    return [
        [group.method, code, number(alone), number(decoder), str(len(group.records))]
        + [text for _, text in scores]
        + [suite]
        for alone, decoder, scores, code, group, suite in found
    ]


def merged(groups: Iterable[tuple[str, Group]]) -> list[tuple[str, Group]]:
    """One group for the same method and settings in several suites, one record per seed."""
    found: list[tuple[str, Group, dict[str, Any]]] = []
    for suite, group in groups:
        same = [
            i
            for i, (_, other, settings) in enumerate(found)
            if (other.method, other.images) == (group.method, group.images)
            and settings == record_settings(group.records[0])
        ]
        if not same:
            found.append((suite, group, record_settings(group.records[0])))
            continue
        name, other, settings = found[same[0]]
        seeds = {record["seed"] for record in other.records}
        more = tuple(record for record in group.records if record["seed"] not in seeds)
        joined = Group(group.method, group.data, group.images, other.records + more)
        found[same[0]] = (f"{name}, {suite}" if more else name, joined, settings)
    return [(suite, group) for suite, group, _ in found]


def shown(group: Group) -> tuple[int, int]:
    """Images that trained the VAE alone, and images that trained the diffusion branch."""
    if group.method in CONTROLS:
        return 0, 0
    config = Config.from_stored(group.records[0]["config"])
    alone = config.loop.vae_alone if "diffusion" in config.branches else group.images
    return alone, group.images - alone


def entries(group: Group, code: str) -> list[tuple[float, str]]:
    """Mean and words per column that is shown."""
    columns = [column for column in COLUMNS if column.head in SHOWN]
    found = [summary([*group.values(code, SETTING, column).values()]) for column in columns]
    return [(item.mean, entry(item)) for item in found]


def number(images: int) -> str:
    return f"{images:,}" if images else "–"


if __name__ == "__main__":
    main()
