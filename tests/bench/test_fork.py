"""Arms that share a beginning: a forked cell ends as the same cell from scratch."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import pytest

from cldis.bench import score
from cldis.bench.cell import run_cell
from cldis.bench.suite import Cell, Fork, Suite
from cldis.training.log import read_metrics
from support.bench_suite import SETTINGS, SMALL, quick_scores
from training.harness import assert_same

METHODS = {
    "closed": (*SETTINGS, "method=closed"),
    # After 48 images the distillation weighs more: until then nothing is distilled.
    "heavier": (*SETTINGS, "method=closed", "distillation.weight=1e-3"),
}
SUITE: Suite = dataclasses.replace(
    SMALL,
    methods={name: (*given, "distillation.warmup=48") for name, given in METHODS.items()},
    pairs=(("heavier", "closed"),),
    shares=(Fraction(1, 4), Fraction(1, 2), Fraction(1)),
    forks={"heavier": Fork("closed", 48)},
)


def test_a_method_may_have_its_own_budget() -> None:
    suite = dataclasses.replace(SUITE, budgets={"heavier": 192}, seeds=(0,))
    assert [cell.name for cell in suite.cells()] == ["closed-rooms-96-s0", "heavier-rooms-192-s0"]
    assert suite.beginning(suite.cells()[1]) == (suite.cells()[0], 48)
    assert suite.beginning(suite.cells()[0]) is None
    assert suite.curve(suite.cells()[1], 8) == [24, 48, 96, 192]
    assert {cell.images for cell in suite.with_budget(32).cells()} == {32}


def test_a_forked_cell_ends_as_one_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "scores", quick_scores)
    trained, curves = [], []

    def ran(method: str, folder: Path) -> Path:
        record = run_cell(SUITE, Cell("small", method, "rooms", 96, 0), folder, None)
        curves.append([point["codes"] for point in record["curve"]])
        return folder

    closed = ran("closed", tmp_path / "a" / "closed-rooms-96-s0")
    at_the_fork = closed / "checkpoints" / f"{48:012d}" / "model.safetensors"
    os.utime(at_the_fork, (1, 1))
    forked = ran("heavier", tmp_path / "a" / "heavier-rooms-96-s0")
    scratch = ran("heavier", tmp_path / "b" / "heavier-rooms-96-s0")
    for run in (forked, scratch):
        trained.append((run / "checkpoints" / f"{48:012d}" / "model.safetensors").stat().st_mtime)
    assert trained[0] == 1 < trained[1]  # one copied the beginning, the other trained it
    assert_same(forked, scratch)
    assert len(curves[1]) == 3 and curves[1] == curves[2]  # points before the fork, too
    shared = [line for line in read_metrics(closed / "metrics.jsonl") if line["images"] <= 48]
    assert read_metrics(forked / "metrics.jsonl")[: len(shared)] == shared  # its time counts
