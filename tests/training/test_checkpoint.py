"""Checkpoints appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch

import cldis.io
from cldis.config import TrainingConfig
from cldis.training.checkpoint import (
    checkpoints,
    clean,
    load_into,
    load_optimizer,
    load_tensors,
    optimizer_tensors,
    read_state,
    write_checkpoint,
)
from cldis.training.optimizer import build_optimizer, in_order, set_steps, slots
from training.harness import assert_equal

STATE = {
    "averaged": 3,
    "feedback": {"capacity": 1.5, "signal": 2.0},
    "units": {"mean": [0.5], "std": [1.0]},
}


def save(folder: Path, images: int, keep: int = 2, size: int = 4) -> Path:
    """A checkpoint of about 16 * size bytes whose tensors hold `images`."""
    tensors = {"weight": torch.full((size,), float(images))}
    return write_checkpoint(folder, images, tensors, tensors, tensors, STATE, keep)


def held(folder: Path) -> list[int]:
    """What every checkpoint holds; all its files are read."""
    found = []
    for path in checkpoints(folder):
        values = [load_tensors(path / f"{name}.safetensors")["weight"] for name in NAMES]
        assert len({float(value.mean()) for value in values}) == 1
        assert read_state(path) == {**STATE, "images": int(values[0][0])}
        found.append(int(values[0][0]))
    return found


NAMES = ("model", "ema", "optimizer")


def test_written_and_read(tmp_path: Path) -> None:
    path = save(tmp_path / "checkpoints", 64)
    assert path.name == "000000000064"
    assert sorted(file.name for file in path.iterdir()) == [
        "ema.safetensors",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    assert held(tmp_path / "checkpoints") == [64]


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_only_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    for images in (8, 16, 24, 2**35):
        save(tmp_path, images, keep)
    assert held(tmp_path) == [8, 16, 24, 2**35][-keep:]
    assert len(list(tmp_path.iterdir())) == min(keep, 4)


def test_the_same_step_again(tmp_path: Path) -> None:
    save(tmp_path, 8)
    save(tmp_path, 16)
    save(tmp_path, 16, size=9)
    assert held(tmp_path) == [8, 16]
    (tmp_path / "000000000016" / "state.json").unlink()
    assert held(tmp_path) == [8]
    save(tmp_path, 16)
    assert held(tmp_path) == [8, 16]


def test_tensors_that_share_or_stride(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    tensors = {"whole": base, "turned": base.t(), "row": base[1], "one": base[2, 3]}
    path = write_checkpoint(tmp_path, 8, tensors, tensors, tensors, STATE, 1)
    assert_equal(load_tensors(path / "model.safetensors"), tensors)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_full_disk(small_disk: Path) -> None:
    save(small_disk, 8, size=4_000)  # 48 kB
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            save(small_disk, 16, size=14_000)  # 168 kB
        assert caught.value.errno == errno.ENOSPC
        assert held(small_disk) == [8]
        assert [path.name for path in small_disk.iterdir()] == ["000000000008"]
    save(small_disk, 24, size=4_000)
    assert held(small_disk) == [8, 24]


@pytest.mark.parametrize("file", range(4))
def test_disk_full_at_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: int) -> None:
    save(tmp_path, 8)
    real, calls = os.fsync, iter(range(100))

    def fsync(descriptor: int) -> None:
        if next(calls) == 2 * file:  # a file, then its folder
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(cldis.io.os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left"):
            save(tmp_path, 16)
    assert held(tmp_path) == [8]
    assert [path.name for path in tmp_path.iterdir()] == ["000000000008"]


def test_clean_removes_what_a_kill_left(tmp_path: Path) -> None:
    save(tmp_path, 8)
    (tmp_path / ".000000000016.77.tmp").mkdir()
    (tmp_path / ".000000000016.77.tmp" / ".model.safetensors.x.tmp").write_bytes(b"half")
    (tmp_path / ".run.json.x.tmp").write_bytes(b"half")
    (tmp_path / "note.tmp").write_text("not ours")
    clean(tmp_path)
    clean(tmp_path / "missing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000008", "note.tmp"]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "header", "text"])
def test_damaged_tensors(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path, 8) / "ema.safetensors"
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        worse = {"empty": b"", "cut": data[:-5], "header": b"\xff" * 16 + data[16:], "text": b"hi"}
        path.write_bytes(worse[damage])
    with pytest.raises(ValueError, match="cannot be read") as caught:
        load_tensors(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert "use an older checkpoint" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"images": 8}'])
def test_damaged_state(tmp_path: Path, text: str) -> None:
    path = save(tmp_path, 8)
    (path / "state.json").write_text(text)
    with pytest.raises(ValueError, match="state.json") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_other_architecture() -> None:
    module = torch.nn.Linear(3, 2)
    good = {name: tensor + 1 for name, tensor in module.state_dict().items()}
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for wrong in (
        {**good, "weight": torch.zeros(2, 4)},
        {**good, "extra": torch.zeros(1)},
        {"weight": good["weight"]},
        {},
    ):
        with pytest.raises(ValueError, match="RUN does not fit this model") as caught:
            load_into(module, wrong, "RUN")
        assert "\n" not in str(caught.value)
        assert_equal(module.state_dict(), before)
    load_into(module, good, "RUN")
    assert_equal(module.state_dict(), good)


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_optimizer_comes_back(kind: Literal["adam", "muon"]) -> None:
    config = TrainingConfig(optimizer=kind, learning_rate=0.1)

    def made() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.Linear(8, 2))
        return network, build_optimizer(config, network.parameters())

    def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        network(torch.ones(5, 12)).pow(2).sum().backward()
        optimizer.step()

    (one, first), (other, second) = made(), made()
    names = in_order(first, one)
    assert sorted(names) == sorted(name for name, _ in one.named_parameters())
    assert optimizer_tensors(first, names) == {}
    for _ in range(3):
        step(one, first)
    tensors = optimizer_tensors(first, names)
    assert set(tensors) == {
        f"{name}|{slot}" for name, kept in zip(names, slots(first), strict=True) for slot in kept
    }
    if kind == "muon":
        assert [name for name in tensors if "momentum" in name] == ["0.weight|momentum_buffer"]
    load_into(other, one.state_dict(), "one")
    load_optimizer(second, names, {name: tensor.clone() for name, tensor in tensors.items()}, "one")
    set_steps(second, 3)
    assert_equal(optimizer_tensors(second, names), tensors)
    step(one, first)
    step(other, second)
    assert_equal(other.state_dict(), one.state_dict())
    missing = {name: tensor for name, tensor in tensors.items() if name != f"{names[0]}|exp_avg"}
    if kind == "adam":
        with pytest.raises(ValueError, match="lacks a part of the state of"):
            load_optimizer(second, names, missing, "one")
    wrong = {"adam": "momentum_buffer", "muon": "step"}[kind]
    with pytest.raises(ValueError, match="does not fit this model"):
        load_optimizer(second, names, {f"{names[0]}|{wrong}": torch.zeros(())}, "one")
