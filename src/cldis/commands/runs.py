"""Commands that look at a run: info and report."""

from __future__ import annotations

import argparse
import json

from cldis.commands.cli_common import Commands, data_argument, open_run, run_command
from cldis.text import say


def add(commands: Commands) -> None:
    """Add these commands to the parser."""
    info = run_command(commands, "info", _info, "what is in a run")
    info.add_argument("--json", action="store_true", help="everything, as JSON")

    report = run_command(commands, "report", _report, "write RUN/report.html again")
    data_argument(report)


def _info(options: argparse.Namespace) -> int:
    from cldis.training.info import info_text, run_info

    info = run_info(open_run(options.run))
    say(json.dumps(info, indent=2) if options.json else info_text(info))
    return 0


def _report(options: argparse.Namespace) -> int:
    from cldis.pages.report import write_report
    from cldis.training.lock import run_lock

    run = open_run(options.run)
    with run_lock(run.path):
        source = None
        if options.data is not None:
            from cldis.training.run_data import open_run_data

            source = open_run_data(run, options.data, progress=True)
            run = open_run(options.run)
        say(write_report(run, source, progress=True))
    return 0
