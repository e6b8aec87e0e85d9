"""`cldis bench`: the list, the table, or work."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from cldis.bench.suites import SUITES, find_suite
from cldis.commands.cli_common import INTERRUPTED, Commands, out_folder
from cldis.text import command, say

RESULTS, RUNS = "results", "runs/bench"

if TYPE_CHECKING:
    from cldis.bench.queue import Queue


def add(commands: Commands) -> None:
    """Add these commands to the parser."""
    bench = commands.add_parser("bench", help="methods x data x seeds, over many sessions")
    bench.add_argument("suite", metavar="SUITE", help=", ".join(SUITES))
    bench.add_argument("--results", default=RESULTS, metavar="DIR", help="one JSON per cell")
    bench.add_argument("--runs", default=RUNS, metavar="DIR", help="trainings under way")
    bench.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="cells whose name holds one of these"
    )
    bench.add_argument("--images", type=int, metavar="N", help="another budget for every cell")
    bench.add_argument("--minutes", type=float, metavar="N", help="then save and stop")
    what = bench.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="state of every cell, do nothing")
    what.add_argument("--table", action="store_true", help="write DIR/SUITE.md and its pictures")
    bench.set_defaults(run_command=_bench)


def _bench(options: argparse.Namespace) -> int:
    suite = find_suite(options.suite)
    if options.images is not None:
        suite = suite.with_budget(options.images)
    results, runs = out_folder(options.results, "--results"), out_folder(options.runs, "--runs")
    if options.table:
        from cldis.bench.table import write_table

        say(write_table(suite, results))
        return 0

    from cldis.bench.queue import Queue

    queue = Queue(suite, results, runs, options.only)
    if options.list:
        say(_listed(queue))
        return 0
    if options.minutes is not None and not options.minutes > 0:
        raise ValueError(
            f"--minutes {options.minutes:g} must be above 0, or left out to work to the end"
        )

    from cldis.bench.session import Session

    session = Session(queue, options.minutes)
    session.run()
    session.report(_command(options))
    return INTERRUPTED if session.stopped else 0


def _listed(queue: Queue) -> str:
    """A line per cell: its state, its name, and what is to be said about it."""
    statuses = queue.statuses()
    lines = [f"{s.state:8} {s.cell.name}  {s.note}".rstrip() for s in statuses]
    counts = Counter(s.state for s in statuses)
    return "\n".join([*lines, ", ".join(f"{n} {state}" for state, n in counts.items())])


def _command(options: argparse.Namespace) -> str:
    """`cldis bench SUITE` with the options that were given."""
    words = ["cldis", "bench", options.suite]
    for name, default in (("results", RESULTS), ("runs", RUNS), ("only", []), ("images", None)):
        value = getattr(options, name)
        if value != default:
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return command(*words, *(["--minutes", options.minutes] if options.minutes else []))
