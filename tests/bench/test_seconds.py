"""The time of a cell: that of the processor on one thread, else that on the clock."""

from __future__ import annotations

import pytest
import torch

from cldis.bench.cell import seconds_until


def line(images: int, rate: float, **more: float) -> dict[str, object]:
    return {"kind": "train", "images": images, "images_per_second": rate, **more}


OLD = [line(100, 10.0), {"kind": "health", "images": 100}, line(300, 20.0)]
NEW = [line(100, 10.0, processor_seconds=4.0), line(300, 20.0, processor_seconds=6.0)]


@pytest.mark.parametrize(
    ("threads", "lines", "images", "seconds"),
    [
        (1, OLD, 100, 10.0),
        (1, OLD, 200, 15.0),
        (1, NEW, 100, 4.0),
        (1, NEW, 200, 7.0),
        (1, NEW, 300, 10.0),
        (2, NEW, 200, 15.0),
    ],
)
def test_seconds_until(
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    lines: list[dict[str, object]],
    images: int,
    seconds: float,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert seconds_until(lines, images) == pytest.approx(seconds)
