"""Measurements of a run: JSON lines always, TensorBoard where it is installed."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from cldis.io import parse_json, write_text
from cldis.training.contents import LARGEST, MetricsLine, checked


class MetricsLog:
    """Appends to `metrics.jsonl`; lines after the resumed checkpoint are dropped, since the same
    steps come again. A run that starts anew keeps its earlier log under another name."""

    def __init__(self, path: Path, resume_at: int) -> None:
        self.path = path
        kept = [line for line in read_metrics(path) if line["images"] <= resume_at]
        if not resume_at and path.is_file() and path.stat().st_size:
            os.replace(path, _unused_name(path.with_suffix(".earlier.jsonl")))
            kept = []
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        self.board = _board(path.parent / "tensorboard", resume_at)

    def write(self, kind: str, images: int, values: dict[str, Any]) -> None:
        """One line; `kind` is `train` or `health`. Values that are not finite become null."""
        clean = {key: _finite(value) for key, value in values.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "images": images, **clean}) + "\n")
        if self.board is not None:
            for key, value in clean.items():
                if isinstance(value, int | float):
                    self.board.add_scalar(f"{kind}/{key}", value, images)

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a metrics file; a line cut off by a crash is left out.

    Raises:
        ValueError: a whole line that is not one of ours; its number is told.
    """
    if not path.is_file():
        return []
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes; restore it or move it away")
    lines = []
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, text in enumerate(file, 1):
            try:
                line = parse_json(text)
            except ValueError:
                continue
            if isinstance(line, dict) and "images" in line:
                fix = f"mend or remove line {number}"
                lines.append(checked(MetricsLine, line, f"{path}, line {number},", fix))
    return lines


def _unused_name(path: Path) -> Path:
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}.{number}{path.suffix}"), number + 1
    return candidate


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _board(folder: Path, purge_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    try:
        return SummaryWriter(str(folder), purge_step=purge_step or None)
    except UnicodeEncodeError:  # TensorBoard takes no path that is not UTF-8
        return None
