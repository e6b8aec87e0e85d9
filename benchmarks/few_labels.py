"""Few-label curves on two folders of real photos: our code, the beta-VAE's, Diff-AE's 512 units.

    python benchmarks/few_labels.py train hands ../shared/data/hands --runs runs/few --seeds 0 1
    python benchmarks/few_labels.py curves hands ../shared/data/hands --runs runs/few --seeds 0 1
    python benchmarks/few_labels.py table

`train` trains what is not there yet, one run after another, all from scratch on equally many
images by one engine. `curves` runs `cldis analyse` on every seed's runs and writes
results/analyse_NAME.json. `table` writes results/analyse.md from what is there.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from shared import RESULTS, provenance, seconds

from cldis.bench.table import markdown
from cldis.io import read_json, write_json, write_text
from cldis.pages.analysis import analyse

RECIPE = "study32"
METHODS: dict[str, list[str]] = {
    "closed": [],
    "beta_vae": ["method=beta_vae"],
    "diffae512": ["method=diffae", "model.units=512"],
}
# Names of codes in an analysis -> in the table.
NAMES = {
    "this run, z_sem": "closed loop, z_sem",
    "this run, z_disen": "closed loop, z_disen",
    "beta_vae": "β-VAE",
    "diffae512": "Diff-AE, 512 units",
    "PCA": "PCA",
    "untrained encoder": "untrained encoder",
    "raw pixels": "raw pixels",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", choices=("train", "curves", "table"))
    options.add_argument("name", nargs="?")
    options.add_argument("data", nargs="?", type=Path)
    options.add_argument("--runs", type=Path, default=Path("runs/few"))
    options.add_argument("--images", type=int, default=24_000)
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    chosen = options.parse_args()
    if chosen.what == "table":
        write_text(RESULTS / "analyse.md", table())
        return
    if chosen.data is None:
        options.error("name the collection and its folder, e.g. hands ../shared/data/hands")
    if chosen.what == "train":
        for seed in chosen.seeds:
            for method in METHODS:
                train(folder(chosen, method, seed), chosen, method, seed)
    else:
        write_json(RESULTS / f"analyse_{chosen.name}.json", curves(chosen))


def folder(chosen: argparse.Namespace, method: str, seed: int) -> Path:
    """Where a run is."""
    return Path(chosen.runs) / f"{method}-{chosen.name}-s{seed}"


def train(out: Path, chosen: argparse.Namespace, method: str, seed: int) -> None:
    """Train to the end of the budget, going on with what is there."""
    words = ["train", str(chosen.data), "--out", str(out)]
    if (out / "run.json").exists():
        words.append("--resume")
    else:
        words += ["--recipe", RECIPE]
        budget = [f"training.images={chosen.images}", f"training.seed={seed}"]
        words += [word for setting in [*METHODS[method], *budget] for word in ("--set", setting)]
    seconds(*words)


def curves(chosen: argparse.Namespace) -> dict[str, Any]:
    """The few-label curves of every seed."""
    found: dict[str, Any] = {}
    for seed in chosen.seeds:
        paths = {method: folder(chosen, method, seed) for method in METHODS}
        others = [str(path) for method, path in paths.items() if method != "closed"]
        out = Path(chosen.runs) / f"analysis-{chosen.name}-s{seed}"
        analyse(paths["closed"], str(chosen.data), out, against=others)
        numbers = read_json(out / "analysis.json")
        probed = numbers["probes"]
        codes = [code["name"].removesuffix(f"-{chosen.name}-s{seed}") for code in probed["codes"]]
        found[str(seed)] = {
            "codes": {
                name: {"dimensions": code["dimensions"], "what": code["what"], **curve}
                for name, code, curve in zip(
                    codes, probed["codes"], probed["columns"]["folder"]["curves"], strict=True
                )
            },
            "active_units": sum(unit["active"] for unit in numbers["units"]),
            "information": numbers["information"]["folder"],
            "looked_at": numbers["looked_at"],
        }
    return {
        "data": {key: numbers["data"][key] for key in ("name", "images", "fingerprint")},
        "resolution": numbers["data"]["resolution"],
        "label": "sub-folder",
        "chance": probed["columns"]["folder"]["chance"],
        "train": probed["train"],
        "test": probed["test"],
        "probes": probed["settings"],
        "recipe": RECIPE,
        "training_images": chosen.images,
        "seeds": found,
        "commands": [
            f"python benchmarks/few_labels.py {what} {chosen.name} ../shared/data/{chosen.name} "
            f"--images {chosen.images} --seeds {' '.join(map(str, chosen.seeds))}"
            for what in ("train", "curves")
        ],
        **provenance(),
    }


def table() -> str:
    """results/analyse.md from the JSON files that are there."""
    parts = [
        "# Few-label curves on real photos",
        "",
        "Made by `benchmarks/few_labels.py`; commands, seeds, versions and every point with its "
        "interval are in the JSON files. How the probes work: "
        "[docs/analyse.md](../docs/analyse.md).",
    ]
    for path in sorted(RESULTS.glob("analyse_*.json")):
        parts += section(path)
    return "\n".join(parts) + "\n"


def section(path: Path) -> list[str]:
    """The table of one collection."""
    found = read_json(path)
    seeds = list(found["seeds"].values())
    first = seeds[0]["codes"]["PCA"]
    sizes = [point["labels"] for point in first["linear"]]
    heads = [f"{probe}, {size:,}" for probe in ("linear", "k-NN") for size in sizes]
    about = (
        f"{found['data']['images']:,} photos at {found['resolution']} px, "
        f"{round(1 / found['chance'])} classes. Balanced "
        f"accuracy in % on {found['test']:,} test photos, guessing gives "
        f"{100 * found['chance']:.0f}. Columns: probe and how many labelled photos it saw. Every "
        f"trained code: recipe `{found['recipe']}`, {found['training_images']:,} images, from "
        f"scratch. Mean over training seeds {', '.join(found['seeds'])}"
        + (" ± the half-width between the lowest and the highest." if len(seeds) > 1 else ".")
        + f" {found['machine'][0].upper()}{found['machine'][1:]}. [JSON]({path.name})"
    )
    rows = [["code", "numbers", *heads]]
    for name, shown in NAMES.items():
        codes = [seed["codes"][name] for seed in seeds]
        cells = []
        for probe in ("linear", "knn"):
            for k in range(len(sizes)):
                values = [100 * code[probe][k]["score"] for code in codes]
                half = (max(values) - min(values)) / 2
                text = f"{sum(values) / len(values):.0f}"
                trained = len(values) > 1 and not math.isclose(half, 0)
                cells.append(f"{text} ± {half:.0f}" if trained else text)
        rows.append([shown, f"{codes[0]['dimensions']:,}", *cells])
    return ["", f"## {found['data']['name']}", "", about, "", *markdown(rows)]


if __name__ == "__main__":
    main()
