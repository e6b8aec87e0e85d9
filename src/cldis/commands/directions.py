"""Commands about directions: navigate, name, track, select."""

from __future__ import annotations

import argparse
from pathlib import Path

from cldis.commands.cli_common import INTERRUPTED, Commands, data_argument, out_folder, run_command
from cldis.text import command, say


def add(commands: Commands) -> None:
    """Add these commands to the parser."""
    navigate = run_command(
        commands, "navigate", _navigate, "find directions without labels, keep them in the run"
    )
    navigate.add_argument(
        "--directions", type=int, metavar="K", help="default: one per unit, at most 16"
    )
    navigate.add_argument(
        "--init", choices=("identity", "random", "pca"), help="where to start (default: identity)"
    )
    navigate.add_argument("--images", type=int, metavar="N", help="total image pairs to see")
    data_argument(navigate)
    navigate.add_argument("--resume", action="store_true", help="go on after an interruption")

    name = run_command(commands, "name", _name, "give a direction a name")
    name.add_argument("direction", metavar="NUMBER", help="or its present name")
    name.add_argument("name", metavar="NAME")

    track = run_command(commands, "track", _track, "score every direction without labels")
    track.add_argument("--data", metavar="PATH_OR_NAME", help="default: held-out images of the run")
    track.add_argument("--images", type=int, metavar="N", help="how many (default: 64)")
    track.add_argument("--out", metavar="DIR", help="default: RUN/tracking")

    select = commands.add_parser("select", help="rank runs by content tracking, without labels")
    select.add_argument("runs", nargs="+", metavar="RUN")
    select.add_argument("--out", default="select.json", metavar="FILE.json")
    select.set_defaults(run_command=_select)


def _navigate(options: argparse.Namespace) -> int:
    from cldis.navigation.navigate import navigate_run

    asked = {"directions": options.directions, "init": options.init, "images": options.images}
    text = navigate_run(options.run, **asked, resume=options.resume, data=options.data)
    if text is None:
        again = command("cldis", "navigate", options.run, "--resume")
        say(f"stopped and saved; go on with: {again}", error=True)
        return INTERRUPTED
    say(text)
    track, report = (command("cldis", name, options.run) for name in ("track", "report"))
    say(f"next: {track} scores them, {report} shows them")
    return 0


def _name(options: argparse.Namespace) -> int:
    from cldis.navigation.navigate import name_direction

    say(name_direction(options.run, options.direction, options.name))
    return 0


def _track(options: argparse.Namespace) -> int:
    from cldis.tracking.pictures import table
    from cldis.tracking.track import IMAGES, track_to_folder

    out = out_folder(options.out) if options.out is not None else None
    images = IMAGES if options.images is None else options.images
    scores, folder = track_to_folder(options.run, options.data, images, out)
    for warning in scores["warnings"]:
        say(f"cldis: warning: {warning}", error=True)
    say(table(scores))
    say(folder / "gallery.png")
    if out is None:
        say(f"to put them into the report: {command('cldis', 'report', options.run)}")
    return 0


def _select(options: argparse.Namespace) -> int:
    from cldis.tracking.select import select_runs, table

    if Path(options.out).suffix != ".json":
        raise ValueError(f"--out {options.out} must end in .json")
    result = select_runs(options.runs, options.out)
    for warning in result["warnings"]:
        say(f"cldis: warning: {warning}", error=True)
    say(table(result))
    return 0
