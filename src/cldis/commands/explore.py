"""`cldis explore`: the run as a page to try on photos."""

from __future__ import annotations

import argparse

from cldis.commands.cli_common import Commands, data_argument, run_command


def add(commands: Commands) -> None:
    """Add this command to the parser."""
    explore = run_command(
        commands, "explore", _explore, "a page with a slider per direction, for your own photos"
    )
    data_argument(explore)
    explore.add_argument("--port", type=int, metavar="N", help="default: the first free from 7860")
    explore.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="default: 127.0.0.1, this machine only",
    )


def _explore(options: argparse.Namespace) -> int:
    from cldis.explorer.server import explore

    explore(options.run, options.host, options.port, options.data)
    return 0
