"""Commands that take photos, or make new ones: traverse, edit, reconstruct, encode, sample."""

from __future__ import annotations

import argparse

from cldis.commands.cli_common import Commands, data_argument, open_run, out_folder, run_command
from cldis.io import read_json
from cldis.text import MAX_NAME, cut, say


def add(commands: Commands) -> None:
    """Add these commands to the parser."""
    traverse = run_command(commands, "traverse", _traverse, "a grid of pictures per latent unit")
    traverse.add_argument("--images", nargs="+", metavar="PHOTO", help="default: held-out images")
    data_argument(traverse)
    traverse.add_argument("--out", required=True, metavar="DIR")

    edit = run_command(commands, "edit", _edit, "real photo in, edited photo out")
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
    edit.add_argument(
        "--exact",
        action="store_true",
        help="draw the whole picture from the exact inversion, which leaves ghosts of old outlines",
    )
    edit.add_argument("--out", required=True, metavar="DIR")

    reconstruct = run_command(
        commands, "reconstruct", _reconstruct, "photos back from inverted and random x_T"
    )
    reconstruct.add_argument("photos", nargs="+", metavar="PHOTO")
    reconstruct.add_argument("--out", required=True, metavar="DIR")

    encode = run_command(commands, "encode", _encode, "codes of a collection as Parquet")
    encode.add_argument("data", metavar="PATH_OR_NAME")
    encode.add_argument("--out", required=True, metavar="FILE.parquet")

    sample = run_command(commands, "sample", _sample, "new images, from a prior over codes")
    sample.add_argument("--n", type=int, default=64, metavar="N", help="how many (default: 64)")
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    data_argument(sample)
    sample.add_argument("--kid", action="store_true", help="measure them against held-out images")
    sample.add_argument("--out", required=True, metavar="DIR")


def _traverse(options: argparse.Namespace) -> int:
    from cldis.editing.photos import heldout_photos, read_photos
    from cldis.editing.traverse import traverse_units
    from cldis.model import load

    out, model = out_folder(options.out), load(options.run)
    photos = (
        read_photos(options.images, model.resolution)
        if options.images
        else heldout_photos(open_run(options.run), 6, options.data)
    )
    say(traverse_units(model, photos, out))
    return 0


def _edit(options: argparse.Namespace) -> int:
    from cldis.editing.edits import Moves, parse_moves

    shifts, along = parse_moves(options.shift, options.direction)

    from cldis.editing.edit import edit_photos
    from cldis.editing.photos import read_photos
    from cldis.model import load

    out, model = out_folder(options.out), load(options.run)
    moves = Moves.of(model, options.run, shifts, along)
    photos = read_photos(options.photos, model.resolution)
    for path in edit_photos(model, photos, moves, out, exact=options.exact):
        say(path)
    return 0


def _reconstruct(options: argparse.Namespace) -> int:
    from cldis.editing.photos import read_photos
    from cldis.editing.reconstruct import reconstruct_photos
    from cldis.model import load

    out, model = out_folder(options.out), load(options.run)
    scores = reconstruct_photos(model, read_photos(options.photos, model.resolution), out)
    for name, values in scores.items():
        if name in ("steps", "photos"):
            continue
        say(f"{name:9} SSIM {values['mean_ssim']:.3f}  PSNR {values['mean_psnr']:.1f} dB")
    say(out / "reconstructions.png")
    return 0


def _encode(options: argparse.Namespace) -> int:
    import pyarrow.parquet as pq

    from cldis.data import open_data
    from cldis.data.skipped import skipped_table
    from cldis.editing.encode import code_key, encode_resumable
    from cldis.io import user_path, write_text
    from cldis.model import load
    from cldis.training.device import default_device
    from cldis.training.processes import is_main

    path = user_path(options.out)
    if path.suffix != ".parquet":
        raise ValueError(f"--out {path} must end in .parquet")
    model = load(options.run, default_device())
    source = open_data(options.data, model.resolution, progress=is_main())
    encode_resumable(model, source, path, code_key(model, source))
    if not is_main():
        return 0
    if source.skipped:
        write_text(
            path.with_name(cut(path.stem, MAX_NAME - 12) + ".skipped.tsv"),
            skipped_table(source.skipped),
        )
    with path.open("rb") as file:
        rows = pq.read_metadata(file).num_rows
    say(f"{path}: {rows} rows, {len(source.skipped)} files skipped")
    return 0


def _sample(options: argparse.Namespace) -> int:
    from cldis.editing.sample import KID_FILE, sample_images
    from cldis.model import load

    out, model, measure = out_folder(options.out), load(options.run), options.kid
    say(sample_images(model, options.n, out, options.seed, options.data, measure=measure)[0])
    if measure:
        found = read_json(out / KID_FILE)
        say(
            f"KID {found['kid']:.4f} ± {found['deviation']:.4f} ({found['extractor']}) of "
            f"{found['drawn']} images from {found['heldout']} held-out ones; 0: no difference seen"
        )
    return 0
