"""The command that looks at a collection through a run: analyse."""

from __future__ import annotations

import argparse
from pathlib import Path

from cldis.commands.cli_common import Commands, out_folder, run_command
from cldis.text import say


def add(commands: Commands) -> None:
    """Add this command to the parser."""
    analyse = run_command(
        commands, "analyse", _analyse, "what varies in a collection, what its code knows, and drift"
    )
    analyse.add_argument("data", metavar="PATH_OR_NAME")
    analyse.add_argument(
        "--out", required=True, metavar="DIR", help="run it again to go on where it was interrupted"
    )
    analyse.add_argument(
        "--labels", metavar="FILE.csv", help="a column `file` and any others; default: sub-folders"
    )
    analyse.add_argument("--compare", metavar="PATH_OR_NAME", help="which units shift there")
    analyse.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="RUN",
        help="another run whose code is probed along; may be given again",
    )


def _analyse(options: argparse.Namespace) -> int:
    from cldis.pages.analysis import analyse
    from cldis.training.processes import is_main

    table = Path(options.labels) if options.labels else None
    out = out_folder(options.out)
    page = analyse(options.run, options.data, out, table, options.compare, options.against)
    if is_main():
        say(page)
    return 0
