"""From a run to `report.json` and `report.html`: measure, write the numbers, draw."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from cldis.data.source import ImageSource
from cldis.io import read_json, write_json, write_text
from cldis.model import STEPS, load
from cldis.pages.page import finite
from cldis.pages.report import directions, measure
from cldis.pages.report.page import render
from cldis.pages.report.results import Report, last
from cldis.progress import progress_bar
from cldis.training.device import default_device
from cldis.training.log import read_metrics
from cldis.training.run_data import is_run_data, open_run_data
from cldis.training.run_folder import RunFolder


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
    report = measure_all(run, source, progress, probe_images, device)
    write_json(run.path / "report.json", finite(report.numbers()))
    page = run.path / "report.html"
    write_text(page, render(report))
    return page


def measure_all(
    run: RunFolder,
    source: ImageSource | None,
    progress: bool,
    probe_images: int,
    device: str | None,
) -> Report:
    """All that there is to measure of a run."""
    lines = read_metrics(run.metrics)
    source, missing = (source, "") if source is not None else reopened(run)
    steps = min(STEPS, run.config.diffusion.steps)
    differs = source is not None and not is_run_data(run, source)
    report = Report(run, lines, steps, missing, differs, last(lines, "health"))
    checkpoint = run.latest()
    if checkpoint is None:
        return report
    model = load(run.path, device or default_device())
    health = report.health
    if health is None and source is not None:
        health = measure.measure_health(model, source)
    with progress_bar(None, "report", "parts", not progress) as bar:
        began = time.perf_counter()
        codes = measure.encode(model, source, steps)
        units = measure.affordable(model, time.perf_counter() - began)
        bar.total = len(units) + 4
        bar.update()
        drawn = measure.pictures(model, codes, units, bar.update)
        known = directions.read_known(run, model)
        if known.directions is not None:
            bar.total += min(known.directions.count, directions.MOST)
        shown = directions.show(model, known, codes, bar.update)
        new = measure.new_images(model, run.path, steps)
        factors, why = {}, ""
        if source is not None and source.factor_names:
            try:
                factors = measure.factor_recovery(model, source, probe_images)
            except ValueError as error:  # too few images, or codes that are not finite
                why = str(error)
        bar.update()
    return replace(
        report,
        health=health,
        images_seen=int(checkpoint.name),
        drawn=drawn,
        directions=shown,
        new=new,
        factors=factors,
        factors_missing=why,
    )


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
