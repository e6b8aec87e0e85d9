"""The queue: which cells are done, whose turn it is, and who is at work on what.

There is no list on disk. A cell is done when its result file is whole, and taken while a process
holds the lock beside its run folder; the kernel lets go of a lock when its process dies. So a
queue survives anything, and several processes, or machines with one file system, may share it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cldis import text
from cldis.bench.record import (
    Damaged,
    differences,
    path_of,
    read_record,
    record_settings,
    settings,
    write_record,
)
from cldis.bench.suite import Cell, Suite
from cldis.training.checkpoint import checkpoints

State = Literal["done", "running", "open", "damaged", "differs"]


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
        kept = self.kept(cell)
        if kept.state in ("done", "differs") or not self.lock(cell).exists():
            return kept
        with self.taken(cell) as mine:
            if not mine:
                return Status(cell, "running", self._words(cell))
        return kept

    def kept(self, cell: Cell) -> Status:
        """As `status`, from files alone: a cell at work counts as open."""
        path = path_of(self.results, cell)
        if not path.exists():
            return Status(cell, "open", self._words(cell))
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

    def seen(self, cell: Cell) -> int:
        """Images of a started training that are saved."""
        found = checkpoints(self.folder(cell) / "checkpoints")
        return int(found[-1].name) if found else 0

    def _words(self, cell: Cell) -> str:
        seen = self.seen(cell)
        return f"{seen:,} of {cell.images:,} images" if seen else ""

    @contextmanager
    def taken(self, cell: Cell, tries: int = 1) -> Iterator[bool]:
        """Hold the cell's lock; False when another process has it.

        A look at the list holds locks for an instant, so whoever wants to work tries again.
        """
        path = self.lock(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            while tries:
                tries -= 1
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.02 if tries else 0)
                else:
                    yield True
                    return
            yield False


class Session:
    """One process at work on a queue, until it is empty or the time is up."""

    def __init__(self, queue: Queue, minutes: float | None = None) -> None:
        self.queue = queue
        self.start = time.monotonic()
        self.deadline = None if minutes is None else self.start + 60 * minutes
        self.failed: dict[str, str] = {}  # cell -> why
        self.finished = 0  # cells
        self.images = 0  # trained on in this session
        self.stopped = False

    def run(self) -> None:
        """Work on open cells, one after another.

        A cell that fails is reported and left open; the others go on. Ctrl-C, SIGTERM and the
        deadline save the training and set `stopped`.

        Raises:
            OSError: the disk is full; what was written whole is kept.
            ValueError: a result of another format.
        """
        try:
            while not self.stopped and self._next():
                pass
        except KeyboardInterrupt:  # between trainings, or asked twice: nothing is half-written
            self.stopped = True

    def _next(self) -> bool:
        """Work on the first cell that is free; False when there is none."""
        for cell in self.queue.cells:
            if cell.name in self.failed or self._settled(cell):
                continue
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.stopped = True
                return False
            with self.queue.taken(cell, tries=10) as mine:
                if mine and not self._settled(cell):  # another process may just have finished it
                    self._work(cell)
                    return True
        return False

    def _settled(self, cell: Cell) -> bool:
        return self.queue.kept(cell).state in ("done", "differs")

    def _work(self, cell: Cell) -> None:
        from cldis.bench.cell import Stopped, clear, run_cell

        status, folder = self.queue.kept(cell), self.queue.folder(cell)
        say(f"{cell.name}: {status.note or 'begins'}{self._outlook()}")
        before = self.queue.seen(cell)
        try:
            record = run_cell(self.queue.suite, cell, folder, self.deadline)
        except Stopped:
            self.stopped = True
            say(f"{cell.name}: stopped and saved at {self.queue.seen(cell):,} images")
        except (ValueError, RuntimeError) as error:
            self.failed[cell.name] = " ".join(str(error).split())
            say(f"{cell.name}: failed: {self.failed[cell.name]}")
        else:
            write_record(path_of(self.queue.results, cell), record)
            clear(folder, [point["images"] for point in record["curve"]])
            self.finished += 1
            self.images += cell.images - before

    def _outlook(self) -> str:
        """What is left, and how long it takes this process alone at its rate so far."""
        left = [cell for cell in self.queue.cells if self.queue.kept(cell).state != "done"]
        words = f" ({len(left)} of {len(self.queue.cells)} left"
        spent = time.monotonic() - self.start
        if self.images:
            rate = self.images / spent
            images = sum(cell.images - self.queue.seen(cell) for cell in left)
            words += f", about {images / rate / 60:.0f} min at {rate:.0f} images/s, scores included"
        return words + ")"


def say(words: str) -> None:
    text.say(words, error=True)
