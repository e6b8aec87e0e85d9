"""One process at work on a queue, until it is empty or the time is up."""

from __future__ import annotations

import time

from cldis import text
from cldis.bench.cell import Stopped, remove_unscored, run_cell
from cldis.bench.queue import Queue
from cldis.bench.record import path_of, write_record
from cldis.bench.suite import Cell


class Session:
    """The work of one process, and how it went."""

    def __init__(self, queue: Queue, minutes: float | None = None) -> None:
        self.queue = queue
        self.start = time.monotonic()
        self.deadline = None if minutes is None else self.start + 60 * minutes
        self.failed: list[str] = []  # names of cells
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

    def report(self, again: str) -> None:
        """Say how it ended.

        Args:
            again: the command that goes on.

        Raises:
            RuntimeError: cells failed; the others were worked on.
        """
        found = self.queue.statuses()
        done = sum(status.state == "done" for status in found)
        say(f"{self.queue.suite.name}: {done} of {len(found)} cells done, {self.finished} just now")
        for status in found:
            if status.state == "running":
                say(f"{status.cell.name} is at work in another process")
            if status.state == "differs":
                say(f"{status.note}: made with other settings; move the file away to run it again")
        if self.stopped:
            say(f"stopped and saved; go on with: {again}")
        elif self.failed:
            raise RuntimeError(
                f"{len(self.failed)} of {len(found)} cells failed: {', '.join(self.failed)}; "
                f"the reasons are above, go on with: {again}"
            )

    def _next(self) -> bool:
        """Work on the first cell that is free; False when there is none."""
        for cell in self.queue.cells:
            if cell.name in self.failed or self._has_result(cell):
                continue
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.stopped = True
                return False
            with self.queue.locked(cell, tries=10) as mine:
                if mine and not self._has_result(cell):  # another process may just have finished it
                    self._work(cell)
                    return True
        return False

    def _has_result(self, cell: Cell) -> bool:
        return self.queue.stored(cell).state in ("done", "differs")

    def _work(self, cell: Cell) -> None:
        status, folder = self.queue.stored(cell), self.queue.folder(cell)
        say(f"{cell.name}: {status.note or 'begins'}{self._outlook()}")
        before = self.queue.trained(cell)
        try:
            record = run_cell(self.queue.suite, cell, folder, self.deadline)
        except Stopped:
            self.stopped = True
            say(f"{cell.name}: stopped and saved at {self.queue.trained(cell):,} images")
        except (ValueError, RuntimeError) as error:
            self.failed.append(cell.name)
            say(f"{cell.name}: failed: {' '.join(str(error).split())}")
        else:
            write_record(path_of(self.queue.results, cell), record)
            remove_unscored(folder, [point["images"] for point in record["curve"]])
            self.finished += 1
            self.images += cell.images - before

    def _outlook(self) -> str:
        """What is left, and how long it takes this process alone at its rate so far."""
        left = [cell for cell in self.queue.cells if self.queue.stored(cell).state != "done"]
        words = f" ({len(left)} of {len(self.queue.cells)} left"
        if self.images:
            rate = self.images / (time.monotonic() - self.start)
            images = sum(cell.images - self.queue.trained(cell) for cell in left)
            words += f", about {images / rate / 60:.0f} min at {rate:.0f} images/s, scores included"
        return words + ")"


def say(words: str) -> None:
    text.say(words, error=True)
