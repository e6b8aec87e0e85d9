"""The queue: which cells are done, and which are at work.

There is no list on disk. A cell is done when its result file is whole, and at work while a process
holds the lock beside its run folder; the kernel drops a lock when its process dies. So a
queue survives anything, and several processes, or machines with one file system, may share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cldis.bench.record import (
    Damaged,
    differences,
    path_of,
    read_record,
    record_settings,
    settings,
)
from cldis.bench.suite import Cell, Suite
from cldis.training.checkpoint import checkpoints
from cldis.training.lock import lock_file

State = Literal["done", "running", "to do", "damaged", "differs"]


@dataclass(frozen=True)
class Status:
    """Where a cell stands, and why in words."""

    cell: Cell
    state: State
    note: str = ""


class Queue:
    """The cells of a suite with their results and run folders.

    Raises:
        ValueError: `only` fits no cell.
    """

    def __init__(self, suite: Suite, results: Path, runs: Path, only: Sequence[str] = ()) -> None:
        self.suite, self.results, self.runs = suite, results, runs
        cells = suite.cells()
        self.cells = [c for c in cells if not only or any(part in c.name for part in only)]
        if not self.cells:
            raise ValueError(
                f"--only {' '.join(only)} fits no cell of {suite.name}; names look like "
                f"{cells[0].name}, see `cldis bench {suite.name} --list`"
            )

    def folder(self, cell: Cell) -> Path:
        return self.runs / cell.suite / cell.name

    def lock(self, cell: Cell) -> Path:
        return self.folder(cell).with_suffix(".lock")

    def status(self, cell: Cell) -> Status:
        """Where the cell stands now.

        Raises:
            ValueError: its result has another format.
        """
        stored = self.stored(cell)
        if stored.state in ("done", "differs") or not self.lock(cell).exists():
            return stored
        with self.locked(cell) as mine:
            return stored if mine else Status(cell, "running", self._progress(cell))

    def statuses(self) -> list[Status]:
        """`status` of every cell."""
        return [self.status(cell) for cell in self.cells]

    def stored(self, cell: Cell) -> Status:
        """As `status`, from files alone: a cell at work counts as to do."""
        path = path_of(self.results, cell)
        if not path.exists():
            return Status(cell, "to do", self._progress(cell))
        try:
            record = read_record(path)
        except Damaged as error:
            return Status(cell, "damaged", str(error))
        expected = {**settings(self.suite.config(cell)), "scoring": self.suite.scoring()}
        try:
            other = differences(record_settings(record), expected)
        except ValueError as error:  # a setting that is gone
            other = str(error)
        return Status(cell, "differs", f"{path}: {other}") if other else Status(cell, "done")

    def trained(self, cell: Cell) -> int:
        """Images that a started training saw up to its last checkpoint."""
        found = checkpoints(self.folder(cell) / "checkpoints")
        return int(found[-1].name) if found else 0

    def _progress(self, cell: Cell) -> str:
        trained = self.trained(cell)
        return f"{trained:,} of {cell.images:,} images" if trained else ""

    @contextmanager
    def locked(self, cell: Cell, tries: int = 1) -> Iterator[bool]:
        """Hold the cell's lock; False when another process has it.

        A look at the list holds locks for an instant, so whoever wants to work tries again.
        """
        path = self.lock(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock_file(path, tries) as mine:
            yield mine
