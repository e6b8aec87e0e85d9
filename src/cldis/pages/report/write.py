"""Gathers what a run has to show, and writes `report.html` and `report.json`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cldis.data.source import ImageSource
from cldis.editing.drawing import Start, held_out, start
from cldis.images import to_model
from cldis.io import read_json, write_json, write_text
from cldis.model import STEPS, Model, load
from cldis.pages.page import finite
from cldis.pages.report import directions, measure, pages, plots
from cldis.progress import progress_bar
from cldis.training.log import read_metrics
from cldis.training.run_data import is_run_data, open_run_data
from cldis.training.run_folder import RunFolder

FORMAT = 1


def write_report(
    run: RunFolder,
    source: ImageSource | None = None,
    progress: bool = False,
    probe_images: int = 2000,
    device: str | None = None,
) -> Path:
    """Write `report.html`, one self-contained page, and `report.json`, its numbers.

    What a run does not have (checkpoint, health, samples, its data) is said in a sentence where it
    would be, and the rest is shown.

    Args:
        run: of any method, finished or not.
        source: the images it was trained on; None looks where the run says that they are.
        progress: show a progress bar.
        probe_images: how many random images the factor probe reads, on labelled data.
        device: for the model; default CUDA where there is one.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: `source` has another resolution than the run, the newest checkpoint is damaged,
            or the images are not found and a report that shows them would be lost.
        OSError: the page cannot be written; an older one is kept.
    """
    side = run.config.model.resolution
    if source is not None and source.resolution != side:
        raise ValueError(
            f"the images are {source.resolution} px but {run.path} is of {side} px; "
            f"open them with open_data(name, {side})"
        )
    numbers, pictures = gather(run, source, progress, probe_images, device)
    write_json(run.path / "report.json", finite(numbers))
    page = run.path / "report.html"
    write_text(page, pages.render(run, numbers, pictures))
    return page


def gather(
    run: RunFolder,
    source: ImageSource | None,
    progress: bool,
    probe_images: int,
    device: str | None,
) -> tuple[dict[str, Any], pages.Pictures]:
    """The numbers of `report.json`, and the pictures of the page."""
    lines = read_metrics(run.metrics)
    source, missing = (source, "") if source is not None else reopened(run)
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "method": run.config.method,
        "code": "z_sem" if "diffusion" in run.config.branches else "z_disen",
        "images_seen": 0,
        "steps": min(STEPS, run.config.diffusion.steps),
        "data_missing": missing,
        "data_differs": source is not None and not is_run_data(run, source),
        "health": last(lines, "health"),
        "training": last(lines, "train"),
    }
    pictures = pages.Pictures(curves=plots.draw_all(run.config, lines))
    checkpoint = run.latest()
    if checkpoint is None:
        return numbers, pictures
    numbers["images_seen"] = int(checkpoint.name)
    model = load(run.path, device or default_device())
    with progress_bar(None, "report", "parts", not progress) as bar:
        begin = look(model, source, numbers, pictures, bar)
        found = directions.known(run, model)
        if found.directions is not None:
            bar.total += min(found.directions.count, directions.MOST)
        pictures.directions = directions.show(model, begin, found, numbers["steps"], bar.update)
        if found.directions is not None:
            numbers["directions"] = {
                "origin": found.directions.origin,
                "navigation": {k: v for k, v in found.about.items() if k not in ("kept", "dropped")}
                if found.navigated
                else {},
                "tracking": tracking_of(found.scores),
                "notes": found.notes,
                "directions": pictures.directions.rows,
            }
        if source is not None and source.factor_names:
            try:
                numbers["factors"] = measure.factor_recovery(model, source, probe_images)
            except ValueError as error:  # too few images, or codes that are not finite
                numbers["factors_missing"] = str(error)
        bar.update()
    return numbers, pictures


def look(
    model: Model,
    source: ImageSource | None,
    numbers: dict[str, Any],
    pictures: pages.Pictures,
    bar: Any,
) -> Start:
    """Draw with the model; fills `numbers` and `pictures`, and returns where pictures start."""
    images, steps = None, numbers["steps"]
    if source is not None:
        chosen = held_out(source, measure.IMAGES)
        images = to_model(source.batch(chosen))
        numbers["held_out"] = [source.label(int(index)) for index in chosen]
        if numbers["health"] is None:
            numbers["health"] = measure.measure_health(model, source)
    began = time.perf_counter()
    begin = start(model, images, steps)
    units = measure.affordable(model, time.perf_counter() - began)
    bar.total = len(units) + 4
    bar.update()
    first = begin.rows(slice(measure.ROWS))
    found = measure.traversals(model, first, units, steps, tick=bar.update)
    pictures.traversals = found
    std, mean = model.unit_std.tolist(), model.unit_mean.tolist()
    change = {item.unit: item.change for item in found}
    numbers["units"] = [
        {"unit": unit, "mean": mean[unit], "std": std[unit], "change": change.get(unit)}
        for unit in range(model.units)
    ]
    if images is not None:
        pictures.originals = images
        pictures.reconstructions = measure.reconstructions(model, begin, steps)
        numbers["reconstruction"] = {
            item.key: {"ssim": item.ssim, "psnr": item.psnr} for item in pictures.reconstructions
        }
        bar.update()
        strongest = [item.unit for item in found[: measure.EDITED_UNITS]]
        others = begin.rows(slice(-measure.ROWS, None))
        pictures.edits = measure.edits(model, others, strongest, steps)
        bar.update()
    return begin


def tracking_of(scores: dict[str, Any] | None) -> dict[str, Any] | None:
    """What content tracking says of the run, without its directions."""
    return None if scores is None else {k: v for k, v in scores.items() if k != "directions"}


def reopened(run: RunFolder) -> tuple[ImageSource | None, str]:
    """The run's own data, or None and why not.

    Raises:
        ValueError: it is not found, and a report that shows it would be lost.
    """
    try:
        return open_run_data(run), ""
    except (ValueError, OSError, ImportError) as error:
        if shows_images(run):
            raise ValueError(
                f"{error}. {run.path / 'report.html'} shows them and is kept; for a report without "
                f"them, move it and report.json away"
            ) from None
        return None, f"{error}."


def shows_images(run: RunFolder) -> bool:
    """Whether there is a report with images that the run was trained on."""
    path = run.path / "report.json"
    try:
        known = read_json(path) if path.is_file() else None
    except ValueError:  # whoever wrote that, it is no report
        return False
    return isinstance(known, dict) and "held_out" in known and not known.get("data_differs")


def last(lines: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """The newest line of a kind."""
    return next((line for line in reversed(lines) if line.get("kind") == kind), None)


def default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
