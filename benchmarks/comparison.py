"""results/comparison.md: every method of the bench beside the others, by what it was shown.

    python benchmarks/comparison.py

Rows of all suites at the end of their training, in the field's protocol (`standard`). The same
method, settings and seed trained by two suites counts once. Prints the short table, which
README shows (a test compares them).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cldis.bench.record import record_settings
from cldis.bench.results import COLUMNS, Group, read_results
from cldis.bench.suite import CONTROLS
from cldis.bench.suites import SUITES
from cldis.bench.table import entry, markdown
from cldis.config import Config
from cldis.io import write_text

Groups = list[tuple[str, Group]]  # with the name of the suite
RESULTS = Path("results")
SETTING = "standard"
SHOWN = {column.head: column for column in COLUMNS[:5]}  # DCI-D is the second
# The rows of the short table: what to call it, and the suite, data, method and budget it is.
SHORT = (
    ("the **default recipe**: a VAE begins, unmixed", "compact", "rooms", "unmixed_long", 256_000),
    ("EncDiff by Adam, recipe `cpu64`", "px64", "rooms", "encdiff_16", 256_000),
    ("PCA of the pixels", "peers", "rooms", "pca", 32_000),
    ("the default, three quarters of its images", "compact", "kuka", "unmixed", 192_000),
    ("EncDiff by Adam, recipe `cpu64`", "px64", "kuka", "encdiff_16", 256_000),
    ("second form, not unmixed", "rate", "kuka", "taught", 320_000),
)
SHORT_SHOWN = ("FactorVAE", "DCI-D", "DCI-I", "MIG")
HEAD = ["method", "code", "VAE alone", "decoder", "n", *SHOWN, "suite"]
TEXT = f"""# All methods, by the images they were shown

Written by `python benchmarks/comparison.py` from the cells of `cldis bench`; what a method and a
suite are says [suites](../src/cldis/bench/suites). Setting `{SETTING}`: DCI by
gradient-boosted trees as in disentanglement_lib, 8,000 codes to train and 4,000 to test; FactorVAE
from 10,000 votes. Mean ± standard deviation over n seeds and [Student's 95 % interval].
`VAE alone`: images that trained only the VAE, which costs about a fifth; `decoder`: images that
trained the diffusion branch. The most images of the decoder come first, then the highest DCI-D.
`rooms` and `kuka` are our own renderings: nothing here may be put beside published numbers of
Shapes3D or MPI3D.
"""


def main() -> None:
    groups = read_all(RESULTS)
    write_text(RESULTS / "comparison.md", page(groups))
    print("\n".join(short(groups)))


def read_all(results: Path) -> Groups:
    """The groups of every suite that has scores in the field's protocol, with its name.

    Raises:
        SystemExit: a result is damaged.
    """
    found: Groups = []
    for name, suite in SUITES.items():
        if suite.standard and any((results / name).glob("*.json")):
            groups, damaged = read_results(suite, results)
            if damaged:
                raise SystemExit(f"damaged results: {'; '.join(damaged)}")
            found += [(name, group) for group in groups]
    return found


def page(groups: Groups) -> str:
    """The page as Markdown."""
    lines = [TEXT]
    for data, side in sorted({(g.data, g.resolution) for _, g in groups}, reverse=True):
        own = [(s, g) for s, g in groups if (g.data, g.resolution) == (data, side)]
        lines += [f"## {data}, {side} px", "", *markdown([HEAD, *rows(own)]), ""]
    return "\n".join(lines)


def short(groups: Groups) -> list[str]:
    """The short table as Markdown lines: means over seeds, with their standard deviation."""
    table = [["data", "method", "VAE alone", "decoder", "n", *SHORT_SHOWN]]
    found = {(suite, g.data, g.method, g.images): g for suite, g in groups}
    for label, *key in SHORT:
        group = found[tuple(key)]
        code, place = group.codes()[0], f"{group.data}, {group.resolution} px"
        scores = [entry(group.summary(code, SETTING, SHOWN[head])) for head in SHORT_SHOWN]
        table.append(
            [place, label, *map(images, shown(group)), str(len(group.records))]
            + [score.partition(" [")[0] for score in scores]
        )
    return markdown(table)


def rows(groups: Groups) -> list[list[str]]:
    """The most images of the decoder first, then the most of the VAE, then the highest DCI-D."""
    found = []
    for suite, group in merged(groups):
        alone, decoder = shown(group)
        for code in group.codes():
            scores = [group.summary(code, SETTING, column) for column in SHOWN.values()]
            row = [group.method, code, images(alone), images(decoder), str(len(group.records))]
            row += [*map(entry, scores), suite]
            found.append(((-decoder, -alone, -scores[1].mean), row))
    return [row for _, row in sorted(found, key=lambda item: item[0])]


def merged(groups: Groups) -> Groups:
    """One group for the same method and settings in several suites, one record per seed.

    The suite with the most seeds comes first, so that as few rows as possible mix two suites.
    """
    found: dict[str, tuple[str, Group]] = {}
    for suite, group in sorted(groups, key=lambda item: -len(item[1].records)):
        settings = record_settings(group.records[0])
        key = str((group.method, group.images, sorted(settings.items())))
        name, other = found.get(key, (suite, replace(group, records=())))
        seeds = {record["seed"] for record in other.records}
        more = tuple(record for record in group.records if record["seed"] not in seeds)
        names = f"{name}, {suite}" if seeds and more else name
        found[key] = names, replace(other, records=other.records + more)
    return list(found.values())


def shown(group: Group) -> tuple[int, int]:
    """Images that trained the VAE alone, and images that trained the diffusion branch."""
    if group.method in CONTROLS:
        return 0, 0
    config = Config.from_stored(group.records[0]["config"])
    alone = config.loop.vae_alone if "diffusion" in config.branches else group.images
    return alone, group.images - alone


def images(count: int) -> str:
    return f"{count:,}" if count else "–"


if __name__ == "__main__":
    main()
