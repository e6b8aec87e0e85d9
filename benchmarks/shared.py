"""What the scripts share: where results lie, what a number depends on, the time of a command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from cldis.io import write_bytes
from cldis.model import Model
from cldis.training.checkpoint import read_state
from cldis.training.run_folder import RunFolder, git_revision, versions
from cldis.training.weights import open_networks

RESULTS = Path(__file__).parent.parent / "results"


def provenance() -> dict[str, Any]:
    """What a number depends on beside its settings: entries for a result."""
    threads = torch.get_num_threads()
    return {
        "git": git_revision(),
        "versions": versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU, "
        + ("one thread" if threads == 1 else f"{threads} threads"),
    }


def model_at(run: Path, checkpoint: Path) -> Model:
    """The averaged weights of one checkpoint of a run."""
    loop = open_networks(RunFolder.open(run).config, checkpoint / "ema.safetensors", checkpoint)
    units = read_state(checkpoint)["units"]
    return Model(loop, torch.tensor(units["mean"]), torch.tensor(units["std"]), batch=128)


def cached(path: Path, about: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors in a file, made anew where it is not there or not of `about`."""
    if path.is_file():
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("about") == about:
                return {name: file.get_tensor(name) for name in file.keys()}
    tensors = make()
    write_bytes(path, save(tensors, metadata={"about": about}))
    print(path.stem, flush=True)
    return tensors


def last_line(lines: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """The last line of one kind in the metrics of a run."""
    return next((line for line in reversed(lines) if line["kind"] == kind), None)


def seconds(*words: str, all_cores: bool = True) -> float:
    """Wall time of one `cldis` command, start included."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if all_cores:
        del environment["OMP_NUM_THREADS"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cldis", *words], check=True, env=environment)
    return round(time.perf_counter() - start, 2)
