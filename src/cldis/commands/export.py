"""`cldis export`: a run as a folder that can be shared."""

from __future__ import annotations

import argparse

from cldis.commands.cli_common import Commands, run_command
from cldis.text import say


def add(commands: Commands) -> None:
    """Add this command to the parser."""
    export = run_command(
        commands, "export", _export, "weights, settings, directions and a model card to share"
    )
    export.add_argument("--out", required=True, metavar="DIR", help="new, empty, or made by export")
    export.add_argument("--licence", metavar="TEXT", help="of the weights (default: unknown)")


def _export(options: argparse.Namespace) -> int:
    from cldis.model import load

    say(load(options.run).save_pretrained(options.out, options.licence) / "README.md")
    return 0
