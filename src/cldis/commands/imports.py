"""`cldis import-diffae`: a run from weights that others trained."""

from __future__ import annotations

import argparse

from cldis.commands.cli_common import Commands
from cldis.text import say


def add(commands: Commands) -> None:
    """Add this command to the parser."""
    made = commands.add_parser(
        "import-diffae", help="a run from a checkpoint of the official Diff-AE code"
    )
    made.add_argument("checkpoint", metavar="FILE", help="its last.ckpt; nothing in it is run")
    made.add_argument(
        "--data",
        required=True,
        metavar="PATH_OR_NAME",
        help="images such as the model was trained on: shifts are measured on them",
    )
    made.add_argument("--out", required=True, metavar="DIR", help="a folder that does not exist")
    made.set_defaults(run_command=_import)


def _import(options: argparse.Namespace) -> int:
    from cldis.training.import_diffae import import_diffae

    say(import_diffae(options.checkpoint, options.data, options.out, progress=True).path)
    return 0
