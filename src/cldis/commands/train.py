"""`cldis train` and `cldis recipes`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cldis.commands.cli_common import INTERRUPTED, Commands, open_run
from cldis.config import Config, settings_of
from cldis.methods import METHODS
from cldis.text import command, say


def add(commands: Commands) -> None:
    """Add these commands to the parser."""
    train = commands.add_parser("train", help="train on a folder of images or a named data set")
    train.add_argument(
        "data", metavar="PATH_OR_NAME", help="folder, name (docs/data.md), or hf:NAME"
    )
    train.add_argument("--out", required=True, metavar="RUN", help="run folder to write")
    train.add_argument(
        "--recipe", help="see `cldis recipes` (default: taught64; for photos what suits their size)"
    )
    train.add_argument("--resolution", type=int, metavar="PX", help="side in pixels")
    train.add_argument(
        "--images", type=int, metavar="N", help="total images to see; phases keep their share"
    )
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        dest="overrides",
        help=f"any setting; method=NAME takes {', '.join(METHODS)}",
    )
    train.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    train.add_argument("--dry-run", action="store_true", help="say what would happen, write no run")
    train.set_defaults(run_command=_train)

    recipes = commands.add_parser("recipes", help="named recipes: size, cost, purpose")
    recipes.set_defaults(run_command=_recipes)


def _train(options: argparse.Namespace) -> int:
    from cldis.commands.train_run import dry_run, train_run

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
        say(dry_run(options.data, config))
        return 0
    finished = train_run(options.data, out, config, options.resume)
    if not finished:
        again = command("cldis", "train", options.data, "--out", out, "--resume")
        say(f"stopped and saved; go on with: {again}", error=True)
        return INTERRUPTED
    return 0


def _requested(options: argparse.Namespace) -> Config:
    from cldis.training.choice import choose, enlarged, side_of
    from cldis.training.processes import is_main
    from cldis.training.recipes import recipe_config, resized, stretched

    def tell(words: str) -> None:
        if words and is_main():
            say(words)

    recipe, side = options.recipe, side_of(options.data)
    if recipe is None:
        choice = choose(side, options.resolution, settings_of(options.overrides))
        recipe = choice.recipe
        tell(choice.words)  # before the settings are refused for what does not suit it
    config = recipe_config(recipe)
    if options.images is not None:
        config = stretched(config, options.images)
    if options.resolution is not None:
        config = resized(config, options.resolution)
    config = config.with_overrides(options.overrides)
    tell(enlarged(side, config))
    return config


def _resumed(out: Path, images: int | None) -> Config:
    config = open_run(out).config
    return config if images is None else config.with_overrides([f"training.images={images}"])


def _recipes(options: argparse.Namespace) -> int:
    from cldis.training.recipes import DEFAULT, RECIPES

    for name, recipe in RECIPES.items():
        config = recipe.config(name)
        mark = " (default)" if name == DEFAULT else ""
        say(
            f"{name}{mark}: {recipe.purpose}\n"
            f"    {config.model.resolution} px, {config.model.units} units, "
            f"{config.model.conditioning}, method {config.method}, "
            f"{config.training.images:,} images; {recipe.cost}"
        )
    return 0
