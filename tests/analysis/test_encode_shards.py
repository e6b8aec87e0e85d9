"""Codes of shards by one process, by several, and by several of which one was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cldis.cli import main
from cldis.data import open_data
from cldis.data.shards import Shards
from cldis.editing import encode
from cldis.model import Model, load
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from loop.small import LOOP
from support.shards import EACH, shards
from support.small import RUN
from training.harness import environment

BAD = frozenset({1, 30, 47})


class Counting:
    """A model that counts images by their code, and is killed after so many parts."""

    def __init__(self, model: Model, parts: int = 99) -> None:
        self.model, self.units, self.loop, self.parts = model, model.units, model.loop, parts
        self.seen: list[int] = []

    def encode_source(self, source: Shards, indices: np.ndarray) -> object:
        if self.parts == 0:
            raise KeyboardInterrupt
        self.parts -= 1
        self.seen += indices.tolist()
        return self.model.encode_source(source, indices)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shards(tmp_path_factory.mktemp("data") / "many", 5, BAD)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = open_data(f"stream:{folder}", 16)
    made = RunFolder.create(
        tmp_path_factory.mktemp("runs") / "run", LOOP.with_overrides(RUN), source, str(folder)
    )
    assert train(made, source, resume=False, quiet=True)
    return made.path


def test_each_image_once_by_processes_of_which_one_is_killed(
    folder: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "ROWS", 8)
    model, data = load(run), f"stream:{folder}"

    def part(out: str, rank: int, count: int, parts: int = 99) -> tuple[list[int], Shards]:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(count))
        source, counting = open_data(data, 16), Counting(model, parts)
        assert isinstance(source, Shards)
        key = encode.code_key(counting, source)  # type: ignore[arg-type]
        try:
            encode.encode_resumable(counting, source, tmp_path / out, key, progress=False)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            assert parts < 99
        return counting.seen, source

    alone, source = part("alone.parquet", 0, 1)
    assert sorted(alone) == list(range(5 * EACH))
    table = pq.read_table(tmp_path / "alone.parquet")
    assert table["path"].to_pylist() == [
        f"{k // EACH:03d}.tar/{k:06d}.png" for k in range(5 * EACH) if k not in BAD
    ]
    assert len(source.skipped) == len(BAD)

    killed, _ = part("several.parquet", 1, 3, parts=1)
    assert not (tmp_path / "several.parquet").exists()
    counts = [part("several.parquet", rank, 3) for rank in (1, 2, 0)]
    assert sorted(sum((seen for seen, _ in counts), killed)) == list(range(5 * EACH))
    assert sorted(counts[-1][1].skipped) == sorted(source.skipped)  # also what others found
    several = pq.read_table(tmp_path / "several.parquet")
    assert several.equals(table) and not list(tmp_path.glob("*.parts"))
    again, known = part("several.parquet", 0, 1)
    assert again == [] and sorted(known.skipped) == sorted(source.skipped)
    many = [part("many.parquet", rank, 20) for rank in range(19, -1, -1)]  # more than parts
    assert sorted(sum((seen for seen, _ in many), [])) == list(range(5 * EACH))


def test_under_torchrun(folder: Path, run: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words = ["encode", str(run), f"stream:{folder}", "--out", str(tmp_path / "two.parquet")]
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", "-m", "cldis", *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("57 rows, 3 files skipped") == 1
    assert main([*words[:-1], str(tmp_path / "one.parquet")]) == 0
    two, one = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("two", "one"))
    assert two.equals(one)
    listed = (tmp_path / "two.skipped.tsv").read_text()
    assert listed == (tmp_path / "one.skipped.tsv").read_text() and listed.count("\n") == 4


def test_analysis_wants_every_image(folder: Path, run: Path, tmp_path: Path) -> None:
    """With a cache, bad images are left out; without one they are found too late."""
    words = ["analyse", str(run), "--out", str(tmp_path)]
    assert main([*words, f"stream:{folder}"]) == 2
    assert main([*words, str(folder)]) == 0
    assert pq.read_table(tmp_path / "codes.parquet").num_rows == 5 * EACH - len(BAD)


@pytest.mark.parametrize(("rank", "count"), [("2", "2"), ("x", "2"), ("-1", "4")])
def test_numbers_of_no_process(rank: str, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", count)
    with pytest.raises(ValueError, match="do not number the processes of a run"):
        encode.place()
