"""Two processes under torchrun on this CPU: one loss curve, one stop, one checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cldis.io import read_json, write_json
from cldis.training.checkpoint import checkpoints, load_tensors
from cldis.training.log import read_metrics
from cldis.training.trainer import accelerator
from training.harness import (
    DRIVER,
    SIGINT,
    TINY,
    Server,
    assert_same,
    config,
    environment,
)

# C stays at zero: its probe takes some rows of every process, so two processes probe more. Dropout
# of activations is drawn by each process for itself.
ALIKE = ["feedback.warmup=1000000", "model.dropout=0", "diffusion.redundancy=0.02"]

MUON = ["training.optimizer=muon", "distillation.warmup=0"]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two processes: alike, whole, halves (stopped by rank 1 alone, then resumed)."""
    folder = tmp_path_factory.mktemp("two")

    def job(name: str, *overrides: str, **more: Any) -> dict[str, Any]:
        out, result = str(folder / name), str(folder / f"{name}.json")
        return {"out": out, "overrides": [*TINY, *overrides], "result": result, **more}

    jobs = [
        job("alike", *ALIKE),
        job("whole"),
        {**job("halves", at=["step", 5, SIGINT], rank=1), "result": str(folder / "first.json")},
        job("halves", resume=True),
        job("odd", "training.batch=9"),
        job("led", "loop.vae_alone=48", "distillation.end=72"),
        job("rate", "method=rate_loop", "loop.vae_alone=32", "loop.rate_from=64", *MUON),
    ]
    write_json(folder / "jobs.json", jobs)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    process = subprocess.Popen(
        [*launcher, "--nproc-per-node", "2", str(DRIVER), str(folder / "jobs.json")],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        errors = process.communicate(timeout=240)[1]
    except subprocess.TimeoutExpired:
        process.terminate()  # the launcher takes its workers with it
        errors = process.communicate()[1]
    assert process.returncode == 0, errors[-4000:]
    return folder


def test_both_processes_take_part(two: Path) -> None:
    for name in ("alike", "whole", "halves", "led", "rate"):
        result = read_json(two / f"{name}.json")
        assert result == {"finished": True, "processes": 2, "error": None}
    assert len(read_json(two / "alike" / "run.json")["data"]["fingerprint"]) == 64


def test_a_process_of_several_leaves_with_its_words_and_status() -> None:
    """The interpreter is not taken down: a handler that would fail at its end is not reached."""
    code = (
        "import atexit, os, torch.distributed as d; from cldis.training.processes import leave\n"
        "leave(5); atexit.register(os.abort)\n"  # alone: nothing happens
        "d.init_process_group('gloo', store=d.HashStore(), rank=0, world_size=1)\n"
        "print('said', end=''); leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True)
    assert (done.returncode, done.stdout) == (3, b"said"), done.stderr[-2000:]


def test_a_command_that_ends_by_an_error_leaves_too() -> None:
    code = (
        "import atexit, os, torch.distributed as d; from cldis.cli import main\n"
        "d.init_process_group('gloo', store=d.HashStore(), rank=0, world_size=1)\n"
        "atexit.register(os.abort); main(['info', 'nowhere'])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True)
    assert done.returncode == 2 and b"nowhere does not exist" in done.stderr


def test_two_processes_train_as_one(server: Server, two: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    assert server.run(one, *ALIKE) == 0
    lines = [read_metrics(out / "metrics.jsonl") for out in (one, two / "alike")]
    curves = [[line for line in found if line["kind"] == "train"] for found in lines]
    assert len(curves[0]) == len(curves[1]) == 12
    for a, b in zip(*curves, strict=True):
        assert b["diffusion"] == pytest.approx(a["diffusion"], rel=1e-4)
        assert b["vae_nll"] == pytest.approx(a["vae_nll"], rel=1e-3)
        assert b["diffusion_gradient_norm"] == pytest.approx(a["diffusion_gradient_norm"], rel=1e-2)
        assert b["lambda_dt"] == a["lambda_dt"]
        assert b["redundancy"] == pytest.approx(a["redundancy"], rel=1e-2)
    weights = [
        load_tensors(checkpoints(out / "checkpoints")[-1] / "model.safetensors")
        for out in (one, two / "alike")
    ]
    # Adam's steps are of the size of the learning rate whatever the gradient's: where that is
    # rounding noise the two differ, but by far less than 12 steps could move them.
    apart = torch.cat([(weights[0][name] - weights[1][name]).flatten() for name in weights[0]])
    assert apart.abs().mean() < 1e-4
    assert apart.abs().max() < 12 * 4e-3


def test_one_process_asked_to_stop_stops_all(two: Path) -> None:
    assert read_json(two / "first.json") == {"finished": False, "processes": 2, "error": None}
    assert_same(two / "whole", two / "halves")


def test_processes_that_do_not_see_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accelerator(config()).num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="announced 2 processes but 1 see each other"):
        accelerator(config())


def test_batch_that_does_not_divide_among_processes(two: Path) -> None:
    error = read_json(two / "odd.json")["error"]
    assert error.startswith("ValueError: training.batch 9 must be a multiple of processes")
