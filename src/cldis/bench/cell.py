"""One cell: train (or go on), score at the points of the suite, and give back the result."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cldis.bench import score
from cldis.bench.record import FORMAT, Record, differences, settings
from cldis.bench.suite import CONTROLS, Cell, Suite
from cldis.config import Config
from cldis.data import open_data
from cldis.data.source import ImageSource
from cldis.io import write_text
from cldis.metrics.suite import SettingName
from cldis.text import say
from cldis.training.checkpoint import checkpoints
from cldis.training.device import default_device
from cldis.training.flops import mfu, training_flops
from cldis.training.lock import run_lock
from cldis.training.log import read_metrics
from cldis.training.precision import cpuinfo
from cldis.training.run_folder import RunFolder, git_revision, versions
from cldis.training.trainer import Trainer


class Stopped(Exception):
    """Asked to stop: what was trained is saved, and the cell goes on from there next time."""


def run_cell(suite: Suite, cell: Cell, folder: Path, deadline: float | None) -> Record:
    """Train and score a cell in `folder`, going on with what is there.

    Args:
        deadline: `time.monotonic()` at which to stop; None: never.

    Returns:
        The record (see `record.KEYS`).

    Raises:
        Stopped: by Ctrl-C, SIGTERM or the deadline.
        RuntimeError: the training diverged.
        ValueError: the data set is not there, or has no known factors.
        OSError: the disk is full.
    """
    config = suite.config(cell)
    source = open_data(cell.data, config.model.resolution, progress=sys.stderr.isatty())
    if not source.factor_names:
        raise ValueError(f"{cell.data} has no known factors, so nothing can be scored on it")
    device = torch.device(default_device())
    indices = score.pool(source, suite.pool)
    images = score.batches(source, indices, device)

    def point(seen: int, seconds: float, codes: dict[str, Any], last: bool) -> dict[str, Any]:
        settings: tuple[SettingName, ...] = ("fast",)
        if last and suite.standard:
            settings += ("standard",)
        scored = score.scores(codes, source, indices, settings)
        return {"images": seen, "seconds": round(seconds, 2), "codes": scored}

    if cell.method in CONTROLS:
        start = time.perf_counter()
        codes = score.control_codes(cell.method, config, source, images)
        curve = [point(0, time.perf_counter() - start, codes, last=True)]
        return record(suite, cell, config, source, git_revision(), curve, [])

    run = open_run(folder, config, source, cell.data)
    beginning = suite.beginning(cell)
    if beginning is not None:
        other, shared = beginning
        begin_at(run, folder.parent / other.name, shared)
    config = run.config  # with the precision that this machine, or the first, settled on
    train(run, source, deadline)
    lines, curve = read_metrics(run.metrics), []
    points = suite.curve(cell, config.training.batch)
    for seen in points:
        codes = score.trained_codes(config, run.checkpoints / f"{seen:012d}", images)
        curve.append(point(seen, seconds_until(lines, seen), codes, last=seen == points[-1]))
    return record(suite, cell, config, source, run.about["git"], curve, lines)


def open_run(folder: Path, config: Config, source: ImageSource, data: str) -> RunFolder:
    """The run in `folder` where one can go on, else a new one in its place.

    A run without a checkpoint, with other settings or on other data begins again.
    """
    if (folder / "run.json").exists():
        run = RunFolder.open(folder)
        other = differences(settings(run.config), settings(config))
        if run.about["data"]["fingerprint"] != source.fingerprint:
            other = f"the images of {data}"
        if run.latest() is not None and not other:
            same = f"training.precision={run.config.training.precision}"
            return RunFolder(folder, config.with_overrides([same]), run.about)
        if other:
            say(f"{folder} was made with other settings ({other}): begins again", error=True)
    shutil.rmtree(folder, ignore_errors=True)
    return RunFolder.create(folder, config, source, data)


def begin_at(run: RunFolder, other: Path, images: int) -> None:
    """Let a run without a checkpoint begin with those of another run up to `images`, if that one
    has it: the earlier ones are scored too.

    Raises:
        OSError: the disk is full; nothing is left behind.
    """
    shared = [path for path in checkpoints(other / "checkpoints") if int(path.name) <= images]
    if run.latest() is not None or not shared or int(shared[-1].name) != images:
        return
    lines = [line for line in read_metrics(other / "metrics.jsonl") if line["images"] <= images]
    write_text(run.metrics, "".join(json.dumps(line) + "\n" for line in lines))
    temporary = run.path / f".checkpoints.{os.getpid()}.tmp"
    for path in shared:
        shutil.copytree(path, temporary / path.name)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    os.replace(temporary, run.checkpoints)


def train(run: RunFolder, source: ImageSource, deadline: float | None) -> None:
    """Train to the end of the budget.

    Raises:
        Stopped: before the end; a checkpoint is written.
        ValueError: another process writes into the run.
    """
    with run_lock(run.path):
        _train(run, source, deadline)


def _train(run: RunFolder, source: ImageSource, deadline: float | None) -> None:
    trainer = Trainer(run, source, quiet=not sys.stderr.isatty())  # no bar in a log
    trainer.resume()
    timer = None
    if deadline is not None:
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), trainer.ask_to_stop)
        timer.daemon = True
        timer.start()
    try:
        finished = trainer.fit()
    finally:
        if timer is not None:
            timer.cancel()
    if not finished:
        raise Stopped


def remove_unscored(folder: Path, points: Sequence[int]) -> None:
    """Remove the checkpoints of a finished cell but those that were scored.

    What is left is a run that every command opens.
    """
    scored = {f"{point:012d}" for point in points}
    for checkpoint in (folder / "checkpoints").glob("*"):
        if checkpoint.name not in scored:
            shutil.rmtree(checkpoint, ignore_errors=True)


def seconds_until(lines: list[dict[str, Any]], images: int) -> float:
    """Training time until `images` were seen, from metrics.jsonl.

    One thread on a CPU counts its processor time, where the log has it: other work on the same core
    does not count. Everything else counts the time on the clock. Sessions add up: a resumed run
    drops the lines after its checkpoint, so work that was done twice counts once. Checkpoints and
    sample grids are inside; starting up is not.
    """
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    seconds, before = 0.0, 0
    for line in lines:
        if line["kind"] == "train" and before < images:
            passed = (line["images"] - before) / line["images_per_second"]
            if alone:
                passed = line.get("processor_seconds", passed)
            end = min(line["images"], images)
            seconds += passed * (end - before) / (line["images"] - before)
            before = end
    return seconds


def machine() -> dict[str, Any]:
    """What a duration depends on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    processor = cpuinfo("model name") or platform.processor() or platform.machine()
    return {"processor": processor, "threads": torch.get_num_threads(), "gpu": gpu}


def record(
    suite: Suite,
    cell: Cell,
    config: Config,
    source: ImageSource,
    trained_from: str,
    curve: list[dict[str, Any]],
    lines: list[dict[str, Any]],
) -> Record:
    """The result of a cell as plain data."""
    train = [line for line in lines if line["kind"] == "train"]
    health = [line for line in lines if line["kind"] == "health"]
    seconds = curve[-1]["seconds"]
    return {
        "format": FORMAT,
        "suite": cell.suite,
        "method": cell.method,
        "data": cell.data,
        "seed": cell.seed,
        "images": cell.images,
        "resolution": config.model.resolution,
        "config": config.to_dict(),
        "scoring": suite.scoring(),
        "git": {"trained": trained_from, "scored": git_revision()},
        "versions": versions(),
        "machine": machine(),
        "seconds": seconds,
        "images_per_second": round(curve[-1]["images"] / seconds, 2) if seconds else None,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "fingerprint": source.fingerprint,
        "curve": curve,
        "last": train[-1] if train else None,
        "health": health[-1] if health else None,
        "capacity": [[line["images"], line.get("capacity")] for line in train],
        "speed": speed(config, train, seconds) if train else None,
    }


def speed(config: Config, train: list[dict[str, Any]], seconds: float) -> dict[str, float]:
    """GFLOP per image, and on a GPU the MFU and the most memory in GB; what is unknown is left out.

    The MFU is that of this cell: cells that share a GPU share its operations.
    """
    flops, gpu = training_flops(config), machine()["gpu"]
    found = {
        "gflop_per_image": flops / config.training.images / 1e9,
        "mfu": mfu(flops, seconds, config.training.precision, gpu),
        "memory_gb": max((line.get("memory_gb", 0.0) for line in train), default=0.0) or None,
    }
    return {name: round(value, 4) for name, value in found.items() if value is not None}
