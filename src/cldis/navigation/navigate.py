"""Navigation of a run: learns directions, drops those that nothing recognises, stores the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.model import Model, load
from cldis.navigation.decoder import few_step_decoder
from cldis.navigation.directions import Directions
from cldis.navigation.recognition import Recognition
from cldis.navigation.store import folder_of, has_directions, load_directions, save_directions
from cldis.navigation.train import STATE, Init, NavigationConfig, Navigator, Scene, read_config
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
        codes=model.encode_source(source, chosen).z,
        held_out=model.encode_source(source, heldout).z,
        unit_std=model.unit_std,
        resolution=model.resolution,
        start_shape=model.start_shape,
        device=model.device,
        checkpoint=checkpoint.name,
    )


def config_for(
    model: Model, directions: int | None, init: Init | None, images: int | None
) -> NavigationConfig:
    """The default config with what was asked for; as many directions as units, 16 at the most."""
    config = NavigationConfig(min(model.units, MOST) if directions is None else directions)
    asked: dict[str, Any] = {"init": init, "images": images}
    return replace(config, **{name: value for name, value in asked.items() if value is not None})


def navigate_run(
    path: str | Path,
    directions: int | None = None,
    init: Init | None = None,
    images: int | None = None,
    resume: bool = False,
    progress: bool = True,
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
            config = read_config(folder)
        elif (folder / STATE).exists():
            raise ValueError(
                f"{folder} holds an unfinished navigation; go on with "
                f"`{command('cldis', 'navigate', run.path, '--resume')}`, or remove "
                f"{folder / STATE} to start afresh"
            )
        else:
            config = config_for(model, directions, init, images)
        source = open_run_data(run, data, progress)
        scene = scene_of(run, model, source, config.steps)
        navigator = Navigator(scene, config, folder, progress)
        if resume:
            navigator.resume()
        if not navigator.fit():
            return None
        recognition = navigator.recognise()
        try:
            recognised, about = outcome(navigator, recognition)
        except RuntimeError:
            (folder / STATE).unlink()  # there is nothing to go on with; trying again starts anew
            raise
        stored = save_directions(run, recognised, about)
        (folder / STATE).unlink()
        return summary(recognition, stored)


def outcome(navigator: Navigator, recognition: Recognition) -> tuple[Directions, dict[str, Any]]:
    """The directions worth keeping, and what there is to say about all of them.

    Raises:
        RuntimeError: none is recognised.
    """
    chosen, config = recognition.recognised(), navigator.config
    if not chosen:
        raise RuntimeError(
            f"nothing recognises any of {config.directions} directions (best accuracy "
            f"{max(recognition.accuracy):.2f}, chance {recognition.chance:.2f}, mean change of a "
            f"pixel {max(recognition.change):.4f} of 2): the decoder does not listen to the code "
            f"yet; train the run longer, or give more --images"
        )

    def facts(k: int) -> dict[str, float]:
        return {
            "accuracy": recognition.accuracy[k],
            "sign_accuracy": recognition.sign[k],
            "change": recognition.change[k],
            "called_when_still": recognition.no_shift_rate[k],
        }

    dropped = sorted(set(range(config.directions)) - set(chosen))
    matrix = navigator.matrix.weight.detach().cpu()
    about = {
        "init": config.init,
        "learned": config.learn,
        "pairs": navigator.step * config.batch,
        "decoder_steps": config.steps,
        "shifts": [config.least, config.reach],
        "checkpoint": navigator.scene.checkpoint,
        "seed": config.seed,
        "chance": recognition.chance,
        "held_out_shifts": recognition.shifts,
        "kept": [facts(k) for k in chosen],
        "dropped": [{**facts(k), "column": matrix[:, k].tolist()} for k in dropped],
    }
    return navigator.directions(chosen, recognition.accuracy), about


def keep_names(run: RunFolder) -> None:
    """Raises ValueError: directions have names, which navigating again would make void."""
    names = load_directions(run).names if has_directions(run) else {}
    if names:
        given = ", ".join(f"{number} {name!r}" for number, name in sorted(names.items()))
        raise ValueError(
            f"{run.path} has named directions ({given}), and navigating again would number them "
            f"anew; move {folder_of(run)} elsewhere first"
        )


def summary(recognition: Recognition, path: Path) -> str:
    """A table for people: one line per kept direction, one about the dropped ones."""
    chosen = recognition.recognised()
    lines = ["direction  accuracy  sign  no shift  change"]
    lines += [
        f"{number:9}  {recognition.accuracy[k]:8.2f}  {recognition.sign[k]:4.2f}  "
        f"{recognition.no_shift_rate[k]:8.2f}  {recognition.change[k]:6.3f}"
        for number, k in enumerate(chosen)
    ]
    count = len(recognition.accuracy)
    lines.append(
        f"{len(chosen)} of {count} directions recognised on held-out images (chance "
        f"{recognition.chance:.2f}); {count - len(chosen)} dropped"
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
