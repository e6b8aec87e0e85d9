"""`cldis bench`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cldis.bench.suites import SUITES, find_suite
from cldis.commands.cli_common import INTERRUPTED
from cldis.text import say

RESULTS, RUNS = "results", "runs/bench"

if TYPE_CHECKING:
    from cldis.commands.cli_common import Commands


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
    from cldis.bench import app
    from cldis.bench.queue import Queue

    suite = find_suite(options.suite)
    if options.images is not None:
        suite = suite.with_budget(options.images)
    results, runs = app.paths(options.results, options.runs)
    if options.table:
        from cldis.bench.table import write_table

        say(write_table(suite, results))
        return 0
    queue = Queue(suite, results, runs, options.only)
    if options.list:
        say(app.list_cells(queue))
        return 0
    given = {
        "--results": options.results if options.results != RESULTS else None,
        "--runs": options.runs if options.runs != RUNS else None,
        "--only": options.only,
        "--images": options.images,
        "--minutes": options.minutes,
    }
    return 0 if app.work(queue, options.minutes, app.command(suite, given)) else INTERRUPTED
