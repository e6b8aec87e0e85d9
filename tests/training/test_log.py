"""The metrics of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cldis.training.log import MetricsLog, read_metrics


def write(path: Path, *images: int) -> None:
    log = MetricsLog(path, 0)
    for n in images:
        log.write("train", n, {"loss": 1.0 / n})
    log.close()


def test_lines_come_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    log.write("train", 8, {"loss": 0.1 + 0.2})
    log.write("health", 8, {"gap": 0.5, "warnings": ["ä"], "kl_per_unit": [1.0, 2.0]})
    log.close()
    assert read_metrics(path) == [
        {"kind": "train", "images": 8, "loss": 0.1 + 0.2},
        {"kind": "health", "images": 8, "gap": 0.5, "warnings": ["ä"], "kl_per_unit": [1.0, 2.0]},
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null(tmp_path: Path, value: float) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    log.write("train", 8, {"loss": value, "kl_per_unit": [1.0, value]})
    log.close()
    text = path.read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert read_metrics(path) == [
        {"kind": "train", "images": 8, "loss": None, "kl_per_unit": [1.0, None]}
    ]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_line_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 8, 16)
    path.write_bytes(path.read_bytes()[:-cut])
    whole = [8] if cut > 1 else [8, 16]  # without its line break it is still whole
    assert [line["images"] for line in read_metrics(path)] == whole
    log = MetricsLog(path, 16)
    log.write("train", 24, {"loss": 0.0})
    log.close()
    assert [line["images"] for line in read_metrics(path)] == [*whole, 24]


@pytest.mark.parametrize("junk", [b"\0\0\0\0", b"17\n", b"null", b'"\xff', b"[]\n", b"{}\n"])
def test_what_is_no_line_of_ours_is_left_out(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 8)
    path.write_bytes(path.read_bytes() + junk)
    assert [line["images"] for line in read_metrics(path)] == [8]
    MetricsLog(path, 8).close()
    assert path.read_text().count("\n") == 1


def test_resume_drops_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 8, 16, 24, 32)
    MetricsLog(path, 24).close()
    assert [json.loads(line)["images"] for line in path.read_text().splitlines()] == [8, 16, 24]
    MetricsLog(path, 0).close()
    assert path.read_text() == ""


def test_tensorboard_reads_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(tmp_path / "metrics.jsonl", 8, 16)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in board.Scalars("train/loss")] == [(8, 0.125), (16, 0.0625)]


def test_no_file_no_lines(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
