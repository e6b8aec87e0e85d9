"""Navigation of a run: learns directions, drops those that nothing recognises, stores the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.model import Model, load
from cldis.navigation.decoder import codes_of, few_step_decoder
from cldis.navigation.directions import Directions
from cldis.navigation.recognition import Recognition
from cldis.navigation.store import folder_of, has_directions, load_directions, save_directions
from cldis.navigation.train import STATE, Init, Navigator, Recipe, Scene, read_recipe
from cldis.text import command
from cldis.training.lock import run_lock
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

CODES = 4096  # training images whose codes are moved
MOST = 16  # directions, where nobody says how many


def scene_of(run: RunFolder, model: Model, source: ImageSource, steps: int) -> Scene:
    """Decoder and codes of a run."""
    train, heldout = split(len(source))
    chosen = np.sort(np.random.default_rng(0).permutation(train)[:CODES])
    checkpoint = run.used()
    return Scene(
        decode=few_step_decoder(model, steps),
        codes=codes_of(model, source, chosen),
        held_out=codes_of(model, source, heldout),
        unit_std=model.unit_std,
        resolution=model.resolution,
        device=model.device,
        checkpoint=checkpoint.name,
    )


def recipe_for(
    model: Model, directions: int | None, init: Init | None, images: int | None
) -> Recipe:
    """The default recipe with what was asked for; as many directions as units, 16 at the most."""
    recipe = Recipe(min(model.units, MOST) if directions is None else directions)
    asked: dict[str, Any] = {"init": init, "images": images}
    return replace(recipe, **{name: value for name, value in asked.items() if value is not None})


def navigate_run(
    path: str | Path,
    directions: int | None = None,
    init: Init | None = None,
    images: int | None = None,
    resume: bool = False,
    quiet: bool = False,
    data: str | None = None,
) -> str | None:
    """Learn and store directions; a table in words, or None when interrupted (all is saved).

    Args:
        directions, init, images: None takes the default, or what `resume` goes on with.
        data: where the images of the run are; None looks where the run says.

    Raises:
        ValueError: no such run, its images are gone, another process writes into it, more
            directions than units, named directions that would be lost,
            an unfinished navigation without `resume`, or none with it.
        RuntimeError: no direction is recognised; what was stored before is kept.
    """
    run, model = RunFolder.open(path), load(path)
    with run_lock(run.path):
        folder = folder_of(run)
        keep_names(run)
        if resume and (directions, init, images) != (None, None, None):
            raise ValueError(
                "--resume takes its settings from the interrupted navigation; leave out "
                "--directions, --init and --images"
            )
        if resume:
            recipe = read_recipe(folder)
        elif (folder / STATE).exists():
            raise ValueError(
                f"{folder} holds an unfinished navigation; go on with "
                f"`{command('cldis', 'navigate', run.path, '--resume')}`, or remove "
                f"{folder / STATE} to start afresh"
            )
        else:
            recipe = recipe_for(model, directions, init, images)
        source = open_run_data(run, data, progress=not quiet)
        navigator = Navigator(scene_of(run, model, source, recipe.steps), recipe, folder, quiet)
        if resume:
            navigator.resume()
        if not navigator.fit():
            return None
        found = navigator.recognise()
        try:
            kept = outcome(navigator, found)
        except RuntimeError:
            (folder / STATE).unlink()  # there is nothing to go on with; trying again starts anew
            raise
        stored = save_directions(run, *kept)
        (folder / STATE).unlink()
        return summary(found, stored)


def outcome(navigator: Navigator, found: Recognition) -> tuple[Directions, dict[str, Any]]:
    """The directions worth keeping, and what there is to say about all of them.

    Raises:
        RuntimeError: none is recognised.
    """
    chosen, recipe = found.recognised(), navigator.recipe
    if not chosen:
        raise RuntimeError(
            f"nothing recognises any of {recipe.directions} directions (best accuracy "
            f"{max(found.accuracy):.2f}, chance {found.chance:.2f}, mean change of a pixel "
            f"{max(found.change):.4f} of 2): the decoder does not listen to the code yet; train "
            f"the run longer, or give more --images"
        )

    def facts(k: int) -> dict[str, float]:
        return {
            "accuracy": found.accuracy[k],
            "sign_accuracy": found.sign[k],
            "change": found.change[k],
            "called_when_still": found.still[k],
        }

    dropped = sorted(set(range(recipe.directions)) - set(chosen))
    matrix = navigator.matrix.weight.detach().cpu()
    about = {
        "init": recipe.init,
        "learned": recipe.learn,
        "pairs": navigator.step * recipe.batch,
        "decoder_steps": recipe.steps,
        "shifts": [recipe.least, recipe.reach],
        "checkpoint": navigator.scene.checkpoint,
        "seed": recipe.seed,
        "chance": found.chance,
        "held_out_shifts": found.shifts,
        "kept": [facts(k) for k in chosen],
        "dropped": [{**facts(k), "column": matrix[:, k].tolist()} for k in dropped],
    }
    return navigator.directions(chosen, found.accuracy), about


def keep_names(run: RunFolder) -> None:
    """Raises ValueError: directions have names, which navigating again would make void."""
    names = load_directions(run).names if has_directions(run) else {}
    if names:
        given = ", ".join(f"{number} {name!r}" for number, name in sorted(names.items()))
        raise ValueError(
            f"{run.path} has named directions ({given}), and navigating again would number them "
            f"anew; move {folder_of(run)} elsewhere first"
        )


def summary(found: Recognition, path: Path) -> str:
    """A table for people: one line per kept direction, one about the dropped ones."""
    chosen = found.recognised()
    lines = ["direction  accuracy  sign  still  change"]
    lines += [
        f"{number:9}  {found.accuracy[k]:8.2f}  {found.sign[k]:4.2f}  {found.still[k]:5.2f}  "
        f"{found.change[k]:6.3f}"
        for number, k in enumerate(chosen)
    ]
    count = len(found.accuracy)
    lines.append(
        f"{len(chosen)} of {count} directions recognised on held-out images (chance "
        f"{found.chance:.2f}); {count - len(chosen)} dropped"
    )
    return "\n".join([*lines, str(path)])


def name_direction(path: str | Path, key: str, name: str) -> str:
    """Give a stored direction a name; returns what was done in words.

    Raises:
        ValueError: no directions, no such direction, a name that cannot be used, or another process
            writes into the run.
    """
    run = RunFolder.open(path)
    with run_lock(run.path):
        stored = load_directions(run)
        number = stored.number(key)
        named = stored.named(number, name)
        save_directions(run, named)
    return f"direction {number} is now {named.names[number]!r}"
