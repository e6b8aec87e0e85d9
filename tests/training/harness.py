"""What the tests of training share: a tiny run, killable processes, comparisons of runs."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cldis.config import Config
from cldis.data.rendered.rooms import Rooms
from cldis.data.source import ImageSource
from cldis.training.checkpoint import checkpoints, load_tensors, read_state
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer
from loop.small import LOOP
from support.small import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("driver.py")

# 12 steps, checkpoints after 4, 8 and 12; everything that can carry state does so: C moves from
# the second step on, the code is pulled, rows are dropped.
TINY = [
    *NETWORKS,
    "model.resolution=32",
    "model.multipliers=[1]",
    "model.dropout=0.1",
    "distillation.warmup=16",
    "feedback.warmup=16",
    "feedback.memory=64",
    "feedback.bins=4",
    "feedback.rate=1.0",
    "training.images=96",
    "training.batch=8",
    "training.learning_rate=4e-3",
    "training.learning_rate_warmup=40",
    "training.checkpoint_every=32",
    "training.sample_every=1000000",
    "training.log_every=8",
    "training.keep=1",
]


class TwoFactors:
    """100 rooms that differ only in the hues of floor and wall."""

    name, resolution, fingerprint = "two-factors", 32, "two-factors"
    factor_names: tuple[str, ...] = ("floor_hue", "wall_hue")
    factor_sizes: tuple[int, ...] = (10, 10)
    skipped: list[tuple[str, str]] = []

    def __init__(self) -> None:
        self.rooms = Rooms(32)
        self.grid = np.array([[floor, wall] for floor in range(10) for wall in range(10)])
        fixed = np.tile([0, 4, 0, 7], (100, 1))
        self.rows = self.rooms.index(np.concatenate([self.grid, fixed], axis=1))

    def __len__(self) -> int:
        return 100

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        return self.rooms.batch(self.rows[indices])

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        return self.grid[indices]

    def label(self, index: int) -> str:
        return self.rooms.label(int(self.rows[index]))


def config(*overrides: str) -> Config:
    return LOOP.with_overrides([*TINY, *overrides])


def trainer(out: Path, *overrides: str, source: ImageSource | None = None) -> Trainer:
    """A trainer with a fresh run in `out`."""
    source = source or Rooms(32)
    run = RunFolder.create(out, config(*overrides), source, source.name)
    return Trainer(run, source, quiet=True)


def resumed(out: Path, *overrides: str) -> Trainer:
    """A trainer that goes on with the run in `out`."""
    run = dataclasses.replace(RunFolder.open(out), config=config(*overrides))
    made = Trainer(run, Rooms(32), quiet=True)
    made.resume()
    return made


class Server:
    """A process that has loaded everything once and forks for every job (see driver.py)."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def run(self, out: Path, *overrides: str, **job: Any) -> int:
        """The exit status of a run: 0 finished, 3 stopped, 4 failed, negative: a signal."""
        assert self.process.stdin is not None and self.process.stdout is not None
        line = {"out": str(out), "overrides": [*TINY, *overrides], **job}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return os.waitstatus_to_exitcode(json.loads(self.process.stdout.readline())["status"])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def environment(**more: str) -> dict[str, str]:
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def assert_same(one: Path, other: Path) -> None:
    """Two runs ended alike, bit by bit: weights, averages, optimiser, feedback, logged steps."""
    a, b = (checkpoints(out / "checkpoints")[-1] for out in (one, other))
    assert a.name == b.name
    for name in ("model", "ema", "optimizer"):
        assert_equal(
            load_tensors(a / f"{name}.safetensors"), load_tensors(b / f"{name}.safetensors")
        )
    assert read_state(a) == read_state(b)
    assert logged(one, "train") == logged(other, "train")
    assert logged(one, "health") == logged(other, "health")
    assert left_over(other) == []


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def logged(out: Path, kind: str) -> list[int]:
    """The images column of the metrics."""
    return [line["images"] for line in read_metrics(out / "metrics.jsonl") if line["kind"] == kind]


def left_over(out: Path) -> list[Path]:
    """Temporary files and folders, and checkpoints that are not whole."""
    folder = out / "checkpoints"
    whole = set(checkpoints(folder))
    broken = [path for path in folder.iterdir() if path not in whole] if folder.exists() else []
    return [*out.rglob("*.tmp"), *broken]


SIGINT, SIGTERM, SIGKILL = int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGKILL)
