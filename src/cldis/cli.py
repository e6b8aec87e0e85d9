"""The command line: a thin face. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cldis import __version__
from cldis.bench.suites import SUITES, find_suite
from cldis.config import Config

if TYPE_CHECKING:
    from cldis.training.run import RunFolder

RESULTS, RUNS = "results", "runs/bench"
USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, 2 for a mistake of the user, 1 for a failure, 130 for Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        return options.run_command(options)
    except ValueError as error:
        return _complain(error, USER_ERROR)
    except OSError as error:
        return _complain(_system_words(error), USER_ERROR)
    except RuntimeError as error:
        return _complain(error, FAILURE)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


def parser() -> argparse.ArgumentParser:
    root = Parser(prog="cldis", description="Closed-loop unsupervised disentanglement (CL-Dis).")
    root.add_argument("--version", action="version", version=f"cldis {__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    train = commands.add_parser("train", help="train on a folder of images or a named data set")
    train.add_argument(
        "data", metavar="PATH_OR_NAME", help="folder, name (docs/data.md), or hf:NAME"
    )
    train.add_argument("--out", required=True, metavar="RUN", help="run folder to write")
    train.add_argument("--recipe", help="see `cldis recipes` (default: cpu64)")
    train.add_argument("--resolution", type=int, metavar="PX", help="side in pixels")
    train.add_argument("--images", type=int, metavar="N", help="total images to see")
    train.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", dest="overrides"
    )
    train.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    train.add_argument("--dry-run", action="store_true", help="say what would happen, write no run")
    train.set_defaults(run_command=_train)

    traverse = _run_command(commands, "traverse", _traverse, "a grid of pictures per latent unit")
    traverse.add_argument("--images", nargs="+", metavar="PHOTO", help="default: held-out images")
    traverse.add_argument("--out", required=True, metavar="DIR")

    edit = _run_command(commands, "edit", _edit, "real photo in, edited photo out")
    edit.add_argument("photos", nargs="+", metavar="PHOTO")
    edit.add_argument(
        "--shift",
        action="append",
        default=[],
        metavar="UNIT=AMOUNT",
        help="move a unit by standard deviations, e.g. 3=+2.0; may be given again",
    )
    edit.add_argument(
        "--direction",
        action="append",
        default=[],
        metavar="NUMBER_OR_NAME=AMOUNT",
        help="move along a direction of `cldis navigate`, e.g. smile=+2.0; may be given again",
    )
    edit.add_argument("--out", required=True, metavar="DIR")

    navigate = _run_command(
        commands, "navigate", _navigate, "find directions without labels, keep them in the run"
    )
    navigate.add_argument(
        "--directions", type=int, metavar="K", help="default: one per unit, at most 16"
    )
    navigate.add_argument(
        "--init", choices=("identity", "random", "pca"), help="where to start (default: identity)"
    )
    navigate.add_argument("--images", type=int, metavar="N", help="total image pairs to see")
    navigate.add_argument("--resume", action="store_true", help="go on after an interruption")

    name = _run_command(commands, "name", _name, "give a direction a name")
    name.add_argument("direction", metavar="NUMBER", help="or its present name")
    name.add_argument("name", metavar="NAME")

    reconstruct = _run_command(
        commands, "reconstruct", _reconstruct, "photos back from inverted and random x_T"
    )
    reconstruct.add_argument("photos", nargs="+", metavar="PHOTO")
    reconstruct.add_argument("--out", required=True, metavar="DIR")

    encode = _run_command(commands, "encode", _encode, "codes of a collection as Parquet")
    encode.add_argument("data", metavar="PATH_OR_NAME")
    encode.add_argument("--out", required=True, metavar="FILE.parquet")

    info = _run_command(commands, "info", _info, "what is in a run")
    info.add_argument("--json", action="store_true", help="everything, as JSON")

    _run_command(commands, "report", _report, "write RUN/report.html again")

    track = _run_command(commands, "track", _track, "score every direction without labels")
    track.add_argument("--data", metavar="PATH_OR_NAME", help="default: held-out images of the run")
    track.add_argument("--images", type=int, metavar="N", help="how many (default: 64)")
    track.add_argument("--out", metavar="DIR", help="default: RUN/tracking")

    select = commands.add_parser("select", help="rank runs by content tracking, without labels")
    select.add_argument("runs", nargs="+", metavar="RUN")
    select.add_argument("--out", default="select.json", metavar="FILE.json")
    select.set_defaults(run_command=_select)

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

    recipes = commands.add_parser("recipes", help="named recipes: size, cost, purpose")
    recipes.set_defaults(run_command=_recipes)
    return root


class Parser(argparse.ArgumentParser):
    """Usage mistakes in the style of all other errors: one line, exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(USER_ERROR, f"{self.prog}: error: {message}; see `{self.prog} --help`\n")


def _run_command(commands, name, function, text) -> argparse.ArgumentParser:  # type: ignore
    made: argparse.ArgumentParser = commands.add_parser(name, help=text)
    made.add_argument("run", metavar="RUN")
    made.set_defaults(run_command=function)
    return made


def _train(options: argparse.Namespace) -> int:
    from cldis.apps.train import dry_run, train_run

    out = Path(options.out)
    if options.resume:
        if options.recipe or options.resolution or options.overrides:
            raise ValueError(
                "--resume takes its settings from the run; leave out --recipe, --resolution and "
                "--set (only --images may change)"
            )
        config = _resumed(out, options.images)
    else:
        config = _requested(options)
    if options.dry_run:
        print(dry_run(options.data, config))
        return 0
    finished = train_run(options.data, out, config, options.resume)
    if not finished:
        print(
            f"stopped and saved; go on with: cldis train {options.data} --out {out} --resume",
            file=sys.stderr,
        )
        return INTERRUPTED
    return 0


def _requested(options: argparse.Namespace) -> Config:
    from cldis.training.recipes import DEFAULT, recipe_config

    overrides = list(options.overrides)
    if options.resolution is not None:
        overrides.append(f"model.resolution={options.resolution}")
    if options.images is not None:
        overrides.append(f"training.images={options.images}")
    return recipe_config(options.recipe or DEFAULT).with_overrides(overrides)


def _resumed(out: Path, images: int | None) -> Config:
    config = _open(out).config
    return config if images is None else config.with_overrides([f"training.images={images}"])


def _open(run: str | Path) -> RunFolder:
    from cldis.training.run import RunFolder

    return RunFolder.open(run)


def _out_folder(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out {text} is a file; give a folder")
    return path


def _traverse(options: argparse.Namespace) -> int:
    from cldis.apps.photos import heldout_photos, read_photos
    from cldis.apps.traverse import traverse_units
    from cldis.model import load

    out, model = _out_folder(options.out), load(options.run)
    photos = (
        read_photos(options.images, model.resolution)
        if options.images
        else heldout_photos(_open(options.run), 6)
    )
    print(traverse_units(model, photos, out))
    return 0


def _edit(options: argparse.Namespace) -> int:
    from cldis.apps.moves import Moves, parse_moves

    shifts, along = parse_moves(options.shift, options.direction)

    from cldis.apps.edit import edit_photos
    from cldis.apps.photos import read_photos
    from cldis.model import load

    out, model = _out_folder(options.out), load(options.run)
    moves = Moves.of(model, options.run, shifts, along)
    for path in edit_photos(model, read_photos(options.photos, model.resolution), moves, out):
        print(path)
    return 0


def _navigate(options: argparse.Namespace) -> int:
    from cldis.apps.navigate import navigate_run

    asked = {"directions": options.directions, "init": options.init, "images": options.images}
    text = navigate_run(options.run, **asked, resume=options.resume)
    again = f"stopped and saved; go on with: cldis navigate {options.run} --resume"
    print(text or again, file=sys.stdout if text else sys.stderr)
    return 0 if text else INTERRUPTED


def _name(options: argparse.Namespace) -> int:
    from cldis.apps.navigate import name_direction

    print(name_direction(options.run, options.direction, options.name))
    return 0


def _reconstruct(options: argparse.Namespace) -> int:
    from cldis.apps.photos import read_photos
    from cldis.apps.reconstruct import reconstruct_photos
    from cldis.model import load

    out, model = _out_folder(options.out), load(options.run)
    scores = reconstruct_photos(model, read_photos(options.photos, model.resolution), out)
    for name in ("inverted", "random"):
        found = scores[name]
        print(f"{name:9} SSIM {found['mean_ssim']:.3f}  PSNR {found['mean_psnr']:.1f} dB")
    print(out / "reconstructions.png")
    return 0


def _encode(options: argparse.Namespace) -> int:
    from cldis.apps.encode import encode_collection
    from cldis.data import open_data
    from cldis.data.skipped import skipped_table
    from cldis.io import write_text
    from cldis.model import load

    path = Path(options.out)
    if path.suffix != ".parquet":
        raise ValueError(f"--out {path} must end in .parquet")
    model = load(options.run)
    source = open_data(options.data, model.resolution, progress=True)
    count = encode_collection(model, source, path)
    if source.skipped:
        write_text(path.with_suffix(".skipped.tsv"), skipped_table(source.skipped))
    print(f"{path}: {count} rows, {len(source.skipped)} files skipped")
    return 0


def _info(options: argparse.Namespace) -> int:
    from cldis.apps.info import info_text, run_info

    found = run_info(_open(options.run))
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else info_text(found))
    return 0


def _report(options: argparse.Namespace) -> int:
    from cldis.apps.report import write_report

    print(write_report(_open(options.run), progress=True))
    return 0


def _track(options: argparse.Namespace) -> int:
    from cldis.apps.track import IMAGES, track_to_folder
    from cldis.apps.track_pictures import table

    out = _out_folder(options.out) if options.out is not None else None
    images = IMAGES if options.images is None else options.images
    scores, folder = track_to_folder(options.run, options.data, images, out)
    for warning in scores["warnings"]:
        print(f"cldis: warning: {warning}", file=sys.stderr)
    print(table(scores))
    print(folder / "gallery.png")
    return 0


def _select(options: argparse.Namespace) -> int:
    from cldis.apps.select import select_runs, table

    if Path(options.out).suffix != ".json":
        raise ValueError(f"--out {options.out} must end in .json")
    result = select_runs(options.runs, options.out)
    for warning in result["warnings"]:
        print(f"cldis: warning: {warning}", file=sys.stderr)
    print(table(result))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from cldis.bench import app
    from cldis.bench.queue import Queue

    suite = find_suite(options.suite)
    if options.images is not None:
        suite = suite.with_budget(options.images)
    results, runs = app.paths(options.results, options.runs)
    if options.table:
        from cldis.bench.table import write_table

        print(write_table(suite, results))
        return 0
    queue = Queue(suite, results, runs, options.only)
    if options.list:
        print(app.list_cells(queue))
        return 0
    given = {
        "--results": options.results if options.results != RESULTS else None,
        "--runs": options.runs if options.runs != RUNS else None,
        "--only": options.only,
        "--images": options.images,
        "--minutes": options.minutes,
    }
    return 0 if app.work(queue, options.minutes, app.command(suite, given)) else INTERRUPTED


def _recipes(options: argparse.Namespace) -> int:
    from cldis.training.recipes import DEFAULT, RECIPES

    for name, recipe in RECIPES.items():
        config = recipe.config(name)
        mark = " (default)" if name == DEFAULT else ""
        print(
            f"{name}{mark}: {recipe.purpose}\n"
            f"    {config.model.resolution} px, {config.model.units} units, "
            f"{config.model.conditioning}, arm {config.loop.arm}, "
            f"{config.training.images:,} images; {recipe.cost}"
        )
    return 0


def _system_words(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"the disk is full ({error}); what was written whole is kept, nothing is half-written: "
            f"free some space and run the command again, a training with --resume"
        )
    return str(error)


def _complain(message: object, code: int) -> int:
    print(f"cldis: error: {' '.join(str(message).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
