"""From a run and a collection to `analysis.json`, `index.html` and `codes.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cldis.data.open import open_data
from cldis.data.skipped import skipped_table
from cldis.data.source import ImageSource
from cldis.editing.encode import code_key, encode_resumable
from cldis.io import user_path, write_json, write_text
from cldis.model import Model, load
from cldis.pages.analysis import labels, measure
from cldis.pages.analysis.codes import method_words, other_run
from cldis.pages.analysis.encode import CollectionCodes, read_codes
from cldis.pages.analysis.page import render
from cldis.pages.analysis.results import Analysis
from cldis.pages.page import finite
from cldis.text import say
from cldis.training.device import default_device
from cldis.training.processes import is_main
from cldis.training.run_folder import RunFolder

MIN_IMAGES = 10


def analyse(
    run: str | Path,
    data: str,
    out: Path,
    table: Path | None = None,
    second: str | None = None,
    against: Sequence[str] = (),
    progress: bool = True,
    cache_dir: Path | None = None,
) -> Path:
    """Analyse a collection; an interrupted analysis goes on when it is called again.

    Args:
        run: a run folder, of any method.
        data: a folder of images or another name of `open_data`.
        out: folder for the results.
        table: CSV file of labels.
        second: another collection, to compare with.
        against: other runs, whose codes are probed along.
        progress: show bars, and say what is being done.
        cache_dir: of decoded images.

    Returns:
        The path of the page.

    Raises:
        ValueError: no such run or data, fewer than `MIN_IMAGES` images, labels that fit no image,
            or codes that are not finite.
        OSError: the disk is full; parts that are finished are kept.
    """
    out, folder, progress = user_path(out), RunFolder.open(run), progress and is_main()
    side = folder.config.model.resolution
    source = _opened(data, side, progress, cache_dir)
    known = labels.gather(source, [source.label(k) for k in range(len(source))], table)
    other = _opened(second, side, progress, cache_dir) if second is not None else None
    model = load(run, default_device())
    out.mkdir(parents=True, exist_ok=True)
    if not is_main():  # one of several processes that only helps to encode
        for name, images in (("codes", source), ("codes_compare", other)):
            if images is not None:
                key = code_key(model, images)
                encode_resumable(model, images, out / f"{name}.parquet", key)
        return out / "index.html"
    codes = _encoded(model, source, out / "codes.parquet", progress)

    _say("units", progress)
    units = measure.measure_units(model, source, codes)
    _say("labels", progress)
    by_label = measure.measure_labels(
        model,
        source,
        codes,
        units.shown,
        known,
        lambda parts: [other_run(name, data, codes.paths, parts, cache_dir) for name in against],
    )
    _say("outliers and near-duplicates", progress)
    oddities = measure.measure_oddities(source, codes, units.shown)
    comparison = None
    if other is not None:
        _say("comparison", progress)
        theirs = _encoded(model, other, out / "codes_compare.parquet", progress)
        comparison = measure.measure_comparison(codes, units.shown, other, theirs)
    analysis = Analysis(_about_run(folder), source, codes, units, by_label, oddities, comparison)

    for name, images in (("skipped.tsv", source), ("skipped_compare.tsv", other)):
        if images is not None and images.skipped:
            write_text(out / name, skipped_table(images.skipped))
    _say("page", progress)
    write_json(out / "analysis.json", finite(analysis.numbers()))
    write_text(out / "index.html", render(analysis))
    return out / "index.html"


def _opened(name: str, side: int, progress: bool, cache_dir: Path | None) -> ImageSource:
    source = open_data(name, side, cache_dir, progress=progress)
    if len(source) < MIN_IMAGES:
        raise ValueError(
            f"{name} has {len(source)} usable images ({len(source.skipped)} skipped), too few to "
            f"say anything; give at least {MIN_IMAGES}"
        )
    return source


def _encoded(model: Model, source: ImageSource, path: Path, progress: bool) -> CollectionCodes:
    encode_resumable(model, source, path, code_key(model, source), progress)
    sem = model.loop.semantic is not None
    codes = read_codes(path, gaussian=model.config.model.gaussian or not sem)
    if len(codes) != len(source):  # shards that are read where they lie
        raise ValueError(
            f"{len(source) - len(codes)} images of {source.name} cannot be decoded (first: "
            f"{': '.join(source.skipped[-1])}); give it without stream:, then they are left out"
        )
    return codes


def _about_run(run: RunFolder) -> dict[str, Any]:
    latest = run.used()
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


def _say(what: str, progress: bool) -> None:
    if progress:
        say(f"analyse: {what}", error=True)
