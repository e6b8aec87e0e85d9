"""Photos: the default at 128 and 256 px, EncDiff, pixels, Diff-AE and the beta-VAE.

    python benchmarks/photos.py train hands ../shared/data/hands --space TAESD
    python benchmarks/photos.py measure hands ../shared/data/hands
    python benchmarks/photos.py table

`train` trains what is not there yet, one method after another, each for half an hour of one core or
less. `--space` names the autoencoder, a folder or a name on the Hub. `measure` writes
results/photos/NAME.json, where methods whose runs are gone keep what is there, and a panel of edits
by each of `PANELS`, results/photos/NAME.png. `table` writes results/photos.md.

Every picture is judged at 128 px, whatever its run draws: the pixel run's 64 px are enlarged.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from shared import RESULTS, provenance, seconds
from torch import Tensor

import cldis
from cldis.bench.cell import seconds_until
from cldis.bench.table import markdown
from cldis.data.open import open_data
from cldis.data.source import ImageSource
from cldis.editing.photos import held_out
from cldis.images import captioned, grid, to_model
from cldis.io import read_json, write_bytes, write_json, write_text
from cldis.metrics.image import psnr, ssim
from cldis.model import Model
from cldis.networks.space import at_side
from cldis.pages.analysis import labels, probes
from cldis.pages.analysis.codes import compared, other_run
from cldis.pages.analysis.encode import CollectionCodes
from cldis.training.log import read_metrics

SIDE, PHOTOS, STEPS = 128, 64, 20
SHOWN, SLIDERS, AMOUNT = 12, 6, 3.0  # of the panel: photos, units, standard deviations
PANELS = {"default": ".png", "px256": "256.jpg"}  # what the name of a method's panel ends with

# Budgets that take about as long as the default.
METHODS: dict[str, tuple[str, list[str]]] = {
    "default": ("photos128", []),
    "px256": ("photos256", []),
    "encdiff": (
        "photos128",
        ["method=encdiff", "model.gaussian=false", "training.images=120000"],
    ),
    "pixels": ("taught64", []),
    "diffae": (
        "photos128",
        ["method=diffae", "model.gaussian=false", "model.units=512", "training.images=96000"],
    ),
    "vae": ("taught64", ["method=vae", "training.images=200000"]),
}
NAMES = {
    "default": "default (`photos128`)",
    "px256": "`photos256`: the same at 256 px",
    "encdiff": "EncDiff, the same latents",
    "pixels": "`taught64`: pixels at 64 px",
    "diffae": "Diff-AE, 512 units, the same latents",
    "vae": "β-VAE in pixels at 64 px, C rising to 16 nats",
    "PCA": "PCA",
    "raw pixels": "raw pixels",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", choices=("train", "measure", "table"))
    options.add_argument("name", nargs="?")
    options.add_argument("data", nargs="?", type=Path)
    options.add_argument("--space", help="the autoencoder, where it is no longer the recipe's")
    options.add_argument("--runs", type=Path, default=Path("runs/photos"))
    options.add_argument("--only", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    chosen = options.parse_args()
    if chosen.what == "table":
        write_text(RESULTS / "photos.md", table())
        return
    if chosen.data is None:
        options.error("name the collection and its folder, e.g. hands ../shared/data/hands")
    torch.set_num_threads(1)
    if chosen.what == "train":
        for method in chosen.only:
            train(chosen, method)
    else:
        write_json(RESULTS / "photos" / f"{chosen.name}.json", measure(chosen))


def folder(chosen: argparse.Namespace, method: str) -> Path:
    """Where a run is."""
    return Path(chosen.runs) / f"{method}-{chosen.name}"


def train(chosen: argparse.Namespace, method: str) -> None:
    """Train to the end of the budget, going on with what is there."""
    out = folder(chosen, method)
    words = ["train", str(chosen.data), "--out", str(out)]
    if (out / "run.json").exists():
        words.append("--resume")
    else:
        recipe, settings = METHODS[method]
        if chosen.space and recipe.startswith("photos"):
            settings = [*settings, f"model.space={chosen.space}"]
        words += ["--recipe", recipe]
        words += [word for setting in settings for word in ("--set", setting)]
    seconds(*words, all_cores=False)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Every number of one collection, and its panel."""
    there = [method for method in METHODS if folder(chosen, method).is_dir()]
    if not there:
        raise SystemExit(f"no run of {chosen.name} in {chosen.runs}; train one first")
    source = open_data(str(chosen.data), SIDE, progress=True)
    paths = [source.label(k) for k in range(len(source))]
    label = labels.gather(source, paths, None).columns[0]
    parts = probes.split(label.known)
    photos = to_model(source.batch(held_out(source, PHOTOS)))
    known = RESULTS / "photos" / f"{chosen.name}.json"
    runs: dict[str, Any] = read_json(known)["runs"] if known.exists() else {}
    for method in there:
        path = folder(chosen, method)
        model = cldis.load(path)
        code = other_run(str(path), str(chosen.data), paths, parts)
        own = open_data(str(chosen.data), model.resolution, progress=True)
        drawn = random_start(model, to_model(own.batch(held_out(own, PHOTOS))))
        assert model.origin is not None and model.origin.checkpoint is not None
        images = int(Path(model.origin.checkpoint).name)
        runs[method] = {
            "settings": METHODS[method],
            "images": images,
            "processor_seconds": seconds_until(read_metrics(path / "metrics.jsonl"), images),
            "units": code.code.shape[1],
            "shown_units": len(model.shown_units),
            **quality(drawn, photos),
            "few_labels": probes.curves(code.code, label, parts),
            "git": provenance()["git"],
        }
        print(method, flush=True)
        if method in PANELS:
            panel(model, own, RESULTS / "photos" / f"{chosen.name}{PANELS[method]}")
        if method == "default":
            again = model.space.to_images(model.space.to_space(photos))
            runs["autoencoder"] = quality(again, photos)
    for control in compared(model, CollectionCodes(paths, None, None, None), source, parts, []):
        if control.name in NAMES:
            runs[control.name] = {
                "units": control.code.shape[1],
                "few_labels": probes.curves(control.code, label, parts, control.one_scale),
            }
    return {
        "data": {"name": chosen.name, "images": len(source), "classes": len(label.classes)},
        "photos": len(photos),
        "steps": STEPS,
        "test": len(parts.test),
        "probes": probes.SETTINGS,
        "runs": runs,
        "commands": [
            f"python benchmarks/photos.py {what} {chosen.name} ../shared/data/{chosen.name}"
            for what in ("train", "measure")
        ],
        **provenance(),
    }


def random_start(model: Model, photos: Tensor) -> Tensor:
    """The photos drawn again from their codes and a random x_T; by the VAE where that is all."""
    return at_side(model.decode(model.encode(photos).z, None, STEPS), SIDE)


def quality(drawn: Tensor, photos: Tensor) -> dict[str, float]:
    """Mean SSIM, and PSNR in dB."""
    return {
        "ssim": float(ssim(drawn, photos).mean()),
        "psnr": float(psnr(drawn, photos).mean()),
    }


def panel(model: Model, source: ImageSource, path: Path) -> None:
    """Held-out photos, each with the units that change it most, moved down and up."""
    photos = to_model(source.batch(held_out(source, SHOWN)))
    start = model.start(photos, STEPS)
    change = []
    for unit in model.shown_units:
        ends = model.traverse_from(start, unit, (-2.0, 2.0))
        change.append((float((ends[:, 0] - ends[:, 1]).abs().mean()), unit))
    units = [unit for _, unit in sorted(change, reverse=True)[:SLIDERS]]
    columns = [photos]
    for unit in units:
        columns += list(model.traverse_from(start, unit, (-AMOUNT, AMOUNT)).unbind(1))
    names = [f"unit {unit} {sign}{AMOUNT:g}" for unit in units for sign in "-+"]
    page, buffer = captioned(grid(torch.stack(columns, dim=1)), ["photo", *names]), BytesIO()
    page.save(buffer, "JPEG" if path.suffix == ".jpg" else "PNG", quality=90)
    write_bytes(path, buffer.getvalue())


def table() -> str:
    """results/photos.md from the JSON files that are there."""
    parts = [
        "# Photos at 128 and 256 px",
        "",
        "Made by `benchmarks/photos.py`; commands, versions and every point with its interval are "
        "in the JSON files. One seed. About half an hour of one core each.",
    ]
    for path in sorted((RESULTS / "photos").glob("*.json")):
        parts += section(path)
    return "\n".join(parts) + "\n"


def section(path: Path) -> list[str]:
    """The tables and the panel of one collection."""
    found = read_json(path)
    runs = found["runs"]
    ceiling = runs["autoencoder"]
    about = (
        f"{found['data']['images']:,} photos, {found['data']['classes']} classes. SSIM and PSNR: "
        f"{found['photos']} held-out photos, drawn again from their code and a random x_T in "
        f"{found['steps']} steps, at 128 px (the autoencoder alone: SSIM {ceiling['ssim']:.2f}, "
        f"{ceiling['psnr']:.1f} dB). Right: balanced accuracy in % of a linear probe with so many "
        f"labelled photos, on {found['test']:,} test photos; guessing gives "
        f"{100 / found['data']['classes']:.0f}. [JSON](photos/{path.name})"
    )
    sizes = [point["labels"] for point in runs["PCA"]["few_labels"]["linear"]]
    rows = [
        [
            "code",
            "units",
            "images",
            "minutes",
            "SSIM",
            "PSNR",
            *(f"{size:,} labels" for size in sizes),
        ]
    ]
    for name, shown in NAMES.items():
        if name not in runs:
            continue
        run = runs[name]
        trained = "ssim" in run
        drawn = (
            [
                f"{run['images']:,}",
                f"{run['processor_seconds'] / 60:.0f}",
                f"{run['ssim']:.2f}",
                f"{run['psnr']:.1f}",
            ]
            if trained
            else ["", "", "", ""]
        )
        scores = [f"{100 * point['score']:.0f}" for point in run["few_labels"]["linear"]]
        rows.append([shown, f"{run['units']:,}", *drawn, *scores])
    return [
        "",
        f"## {found['data']['name']}",
        "",
        about,
        "",
        *markdown(rows),
        "",
        f"{SHOWN} held-out photos; the {SLIDERS} units that change them most, each moved by "
        f"{AMOUNT:g} standard deviations down and up:",
        "",
        *(
            f"![edits of held-out photos](photos/{path.stem}{end})"
            for method, end in PANELS.items()
            if method in runs
        ),
    ]


if __name__ == "__main__":
    main()
