"""What `cldis bench` does: the list, the table, or work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cldis.bench.queue import Queue, Session, say
from cldis.bench.suite import Suite
from cldis.io import user_path
from cldis.text import command as quoted


def list_cells(queue: Queue) -> str:
    """A line per cell: its state, its name, and what is to be said about it."""
    found = [queue.status(cell) for cell in queue.cells]
    lines = [f"{s.state:8} {s.cell.name}{f'  {s.note}' if s.note else ''}" for s in found]
    counts = {s.state: sum(o.state == s.state for o in found) for s in found}
    return "\n".join([*lines, ", ".join(f"{n} {state}" for state, n in counts.items())])


def work(queue: Queue, minutes: float | None, again: str) -> bool:
    """Work on the queue and say how it ended; False when stopped before its end.

    Args:
        again: the command that goes on.

    Raises:
        RuntimeError: cells failed; the others were worked on.
        ValueError: `minutes` is not positive, or a result of another format.
        OSError: the disk is full.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes {minutes:g} must be above 0, or left out to work to the end")
    session = Session(queue, minutes)
    session.run()
    found = [queue.status(cell) for cell in queue.cells]
    done = sum(status.state == "done" for status in found)
    say(f"{queue.suite.name}: {done} of {len(found)} cells done, {session.finished} just now")
    for status in found:
        if status.state == "running":
            say(f"{status.cell.name} is at work in another process")
        if status.state == "differs":
            say(f"{status.note}: made with other settings; move the file away to run it again")
    if session.stopped:
        say(f"stopped and saved; go on with: {again}")
        return False
    if session.failed:
        raise RuntimeError(
            f"{len(session.failed)} of {len(found)} cells failed: {', '.join(session.failed)}; "
            f"the reasons are above, go on with: {again}"
        )
    return True


def command(suite: Suite, options: Mapping[str, Any]) -> str:
    """`cldis bench SUITE` with the options that were given."""
    words = [
        word
        for name, value in options.items()
        if value
        for word in (name, *(value if isinstance(value, list) else [value]))
    ]
    return quoted("cldis", "bench", suite.name, *words)


def paths(results: str, runs: str) -> tuple[Path, Path]:
    """The two folders.

    Raises:
        ValueError: one is a file.
    """
    found = user_path(results), user_path(runs)
    for option, path in zip(("--results", "--runs"), found, strict=True):
        if path.exists() and not path.is_dir():
            raise ValueError(f"{option} {path} is a file; give a folder")
    return found
