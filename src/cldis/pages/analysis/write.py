"""From a run and a collection to `index.html`, `analysis.json` and `codes.parquet`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.skipped import skipped_table
from cldis.data.source import ImageSource, open_data
from cldis.io import write_json, write_text
from cldis.model import Model, load
from cldis.pages.analysis import compare as comparing
from cldis.pages.analysis import dependence, labels, outliers, probes, units
from cldis.pages.analysis.codes import Compared, compared, method_words, other_run
from cldis.pages.analysis.encode import CollectionCodes, code_key, encode_resumable, read_codes
from cldis.pages.analysis.page import Material, render
from cldis.pages.page import finite
from cldis.training.run_folder import RunFolder, versions

FORMAT = 1
SEED = 0
MIN_IMAGES = 10
MAX_UNITS = 32  # shown with pictures and in matrices; of more, those that vary most
MAX_PICTURES = 10_000  # photos whose pixels are averaged
MAX_DUPLICATES, MAX_OUTLIERS = 200, 200  # listed in analysis.json


def analyse(
    run: str | Path,
    data: str,
    out: Path,
    table: Path | None = None,
    second: str | None = None,
    against: Sequence[str] = (),
    quiet: bool = False,
    cache_dir: Path | None = None,
) -> Path:
    """Analyse a collection; an interrupted analysis goes on when it is called again.

    Args:
        run: a run folder, of any arm.
        data: a folder of images or another name of `open_data`.
        out: folder for the results.
        table: CSV file of labels.
        second: another collection, to compare with.
        against: other runs, whose codes are probed along.
        quiet: no bars and no notes.
        cache_dir: of decoded images.

    Returns:
        The path of the page.

    Raises:
        ValueError: no such run or data, fewer than `MIN_IMAGES` images, labels that fit no image,
            or codes that are not finite.
        OSError: the disk is full; shards that are finished are kept.
    """
    folder = RunFolder.open(run)
    side = folder.config.model.resolution
    source = _opened(data, side, quiet, cache_dir)
    early = labels.gather(source, [source.label(k) for k in range(len(source))], table)
    other = _opened(second, side, quiet, cache_dir) if second is not None else None
    model = load(run, _device())
    out.mkdir(parents=True, exist_ok=True)
    codes = _encoded(model, folder, source, out / "codes.parquet", quiet)
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "run": _about_run(folder),
        "data": _about_data(source),
        "versions": versions(),
        "code": codes.name,
    }
    material = Material(model, source, codes, numbers)
    _say("units", quiet)
    _units(material)
    _say("labels", quiet)
    _labels(material, early, data, against, cache_dir)
    _say("outliers and near-duplicates", quiet)
    _odd(material)
    if other is not None:
        _say("comparison", quiet)
        material.other = other
        material.other_codes = _encoded(model, folder, other, out / "codes_compare.parquet", quiet)
        numbers["compare"] = {"data": _about_data(other), **_compared(material)}
    for name, found in (("skipped.tsv", source), ("skipped_compare.tsv", other)):
        if found is not None and found.skipped:
            write_text(out / name, skipped_table(found.skipped))
    _say("page", quiet)
    page = render(material)
    write_json(out / "analysis.json", finite(numbers))
    write_text(out / "index.html", page)
    return out / "index.html"


def _opened(name: str, side: int, quiet: bool, cache_dir: Path | None) -> ImageSource:
    source = open_data(name, side, cache_dir, progress=not quiet)
    if len(source) < MIN_IMAGES:
        raise ValueError(
            f"{name} has {len(source)} usable images ({len(source.skipped)} skipped), too few to "
            f"say anything; give at least {MIN_IMAGES}"
        )
    return source


def _encoded(
    model: Model, run: RunFolder, source: ImageSource, path: Path, quiet: bool
) -> CollectionCodes:
    encode_resumable(model, source, path, code_key(run, source), quiet)
    sem = model.loop.semantic is not None
    return read_codes(path, gaussian=model.config.model.gaussian or not sem)


def _units(material: Material) -> None:
    """What every unit does; fills `units`, `shown` and the mean photos."""
    codes, numbers = material.codes, material.numbers
    numbers["units"] = units.describe(codes.main, codes.scale)
    shown = units.varying(codes.main, MAX_UNITS)
    numbers["looked_at"] = shown
    if not shown:
        return
    chosen = _some(len(codes), MAX_PICTURES)
    averages = units.average_pictures(codes.main[:, shown], material.read, chosen)
    material.averages = dict(zip(shown, averages.pictures, strict=True))
    for unit, share in zip(shown, averages.share, strict=True):
        numbers["units"][unit]["pixel_share"] = share


def _labels(
    material: Material,
    found: labels.Labels,
    data: str,
    against: Sequence[str],
    cache_dir: Path | None,
) -> None:
    """Probes, information and association; what cannot be done is a sentence in `notes`."""
    numbers, codes = material.numbers, material.codes
    notes = list(found.notes)
    shown = numbers["looked_at"]
    numbers["labels"] = {
        "notes": notes,
        "columns": [
            {
                "name": label.name,
                "kind": label.kind,
                "classes": list(label.classes),
                "images": int(label.known.sum()),
            }
            for label in found.columns
        ],
    }
    numbers["probes"] = {"settings": probes.SETTINGS, "codes": [], "columns": {}}
    numbers["information"], numbers["associations"] = {}, []
    if not found.columns:
        return
    material.labels = found.columns
    parts = probes.split(np.any([label.known for label in found.columns], axis=0))
    if len(parts.images) < probes.MIN_LABELLED:
        notes.append(
            f"{len(parts.images)} labelled images are too few for probes; "
            f"{probes.MIN_LABELLED} are needed."
        )
    else:
        others = [other_run(run, data, codes.paths, parts, cache_dir) for run in against]
        every = compared(material.model, codes, material.source, parts, others)
        _probes(numbers["probes"], every, found.columns, parts, notes)
        numbers["probes"]["train"], numbers["probes"]["test"] = len(parts.pool), len(parts.test)
        material.own = (codes.sem is not None) + (codes.disen is not None)
        material.others = len(others)
    if shown:
        for label in found.columns:
            if label.known.sum() >= probes.MIN_LABELLED:
                numbers["information"][label.name] = dependence.unit_information(
                    codes.main[:, shown], label
                )
    pairs: list[dict[str, Any]] = [
        {"first": a.name, "second": b.name, **dependence.association(a, b)}
        for k, a in enumerate(found.columns)
        for b in found.columns[k + 1 :]
    ]
    for pair, p in zip(pairs, dependence.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p"] = p
    numbers["associations"] = sorted(pairs, key=lambda pair: -pair["v"])


def _probes(
    numbers: dict[str, Any],
    every: Sequence[Compared],
    columns: Sequence[labels.Label],
    parts: probes.Split,
    notes: list[str],
) -> None:
    numbers["codes"] = [
        {"name": item.name, "what": item.what, "dimensions": item.code.shape[1]} for item in every
    ]
    for label in columns:
        try:
            curves = [probes.curves(item.code, label, parts, item.one_scale) for item in every]
        except ValueError as error:
            notes.append(f"No probe for {error}.")
            continue
        numbers["columns"][label.name] = {"chance": probes.chance(label), "curves": curves}


def _odd(material: Material) -> None:
    numbers, codes = material.numbers, material.codes
    shown = numbers["looked_at"]
    numbers["outliers"], numbers["duplicates"] = None, None
    if not shown:
        return
    looked = codes.main[:, shown]
    found = outliers.outliers(looked)
    order = np.argsort(-found["distance"], kind="stable")[:MAX_OUTLIERS]
    material.outliers = order
    numbers["outliers"] = {
        **{key: found[key] for key in ("line", "beyond", "expected")},
        "median": float(np.median(found["distance"])),
        "furthest": [
            {"path": codes.paths[k], "distance": float(found["distance"][k])} for k in order
        ],
    }
    pairs = outliers.near_duplicates(looked, material.read)
    material.duplicates = pairs
    numbers["duplicates"] = {
        "pairs": len(pairs),
        "images": len({pair[side] for pair in pairs for side in ("first", "second")}),
        "closest": [
            {
                "first": codes.paths[pair["first"]],
                "second": codes.paths[pair["second"]],
                "pixels": pair["pixels"],
                "code": pair["code"],
            }
            for pair in pairs[:MAX_DUPLICATES]
        ],
    }


def _compared(material: Material) -> dict[str, Any]:
    """Shifts of units from the first collection to the second, the largest first."""
    assert material.other_codes is not None
    shown = material.numbers["looked_at"]
    if not shown:
        return {"units": [], "told_apart": None, "note": "No unit varies in the first collection."}
    a, b = material.codes.main[:, shown], material.other_codes.main[:, shown]
    rows = [{"unit": unit, **row} for unit, row in zip(shown, comparing.shifts(a, b), strict=True)]
    try:
        apart, note = comparing.told_apart(a, b), ""
    except ValueError as error:
        apart, note = None, f"Not probed: {error}."
    return {
        "units": sorted(rows, key=lambda row: -abs(row["d"])),
        "told_apart": apart,
        "note": note,
    }


def _about_run(run: RunFolder) -> dict[str, Any]:
    latest = run.latest()
    assert latest is not None
    return {
        "name": run.path.resolve().name,
        "method": method_words(run.config),
        "units": run.config.model.units,
        "resolution": run.config.model.resolution,
        "images_seen": int(latest.name),
        "seed": run.config.training.seed,
        "data": run.about["data"]["name"],
        "git": run.about["git"],
    }


def _about_data(source: ImageSource) -> dict[str, Any]:
    return {
        "name": source.name,
        "images": len(source),
        "resolution": source.resolution,
        "fingerprint": source.fingerprint,
        "skipped": len(source.skipped),
        "skipped_first": [list(item) for item in source.skipped[:20]],
    }


def _some(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of 0..count-1, at random, rising."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    chosen = np.random.default_rng(SEED).choice(count, most, replace=False)
    return np.sort(chosen).astype(np.int64)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _say(what: str, quiet: bool) -> None:
    if not quiet:
        print(f"analyse: {what}", file=sys.stderr, flush=True)
