"""From a name and a configuration to a trained run with its report."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

from cldis.config import Config
from cldis.data import open_data
from cldis.text import say
from cldis.training.lock import run_lock
from cldis.training.processes import is_main
from cldis.training.run_data import is_run_data, record_place
from cldis.training.run_folder import RunFolder
from cldis.training.space import check_space


def train_run(data: str, out: Path, config: Config, resume: bool) -> bool:
    """Train, then write the report; False when interrupted (the state is saved).

    Raises:
        ValueError: data or settings that do not fit, resumed with other data or from an incomplete
            checkpoint, or another process writes into the run.
        OSError: full disk.
    """
    main = is_main()
    if not resume:
        check_space(config)  # before all images are decoded
    source = open_data(data, config.model.resolution, progress=main)
    if source.skipped and main:
        say(f"{len(source.skipped)} files could not be used; see {out / 'skipped.tsv'}")
    run = RunFolder.open(out) if resume else RunFolder.plan(out, config, source, data)
    if "imported" in run.about:
        raise ValueError(
            f"{out} was imported and has no state of a training to resume; start another run from "
            f"its weights, with its model settings and --set training.start_from={out}"
        )
    if not is_run_data(run, source):
        raise ValueError(
            f"{data} is not what {out} was trained on (fingerprint {source.fingerprint[:12]}, "
            f"was {run.about['data']['fingerprint'][:12]}); resume with the same images, or start "
            f"another run"
        )

    from cldis.training.trainer import Trainer

    with ExitStack() as stack:
        if resume:
            run = dataclasses.replace(run, config=config)
            if main:
                stack.enter_context(run_lock(out))
        trainer = Trainer(run, source)  # refuses settings that do not fit; nothing is written yet
        if resume:
            trainer.resume()
            if main:
                trainer.run = run = record_place(run, data)
                run.write_settings()
                if trainer.images >= config.training.images:
                    say(
                        f"{out} has seen all its {config.training.images:,} images: nothing is "
                        f"left to train; more with --images"
                    )
                if not trainer.images:
                    say(f"{out} has no checkpoint yet: training starts at 0", error=True)
        elif main:
            stack.enter_context(run_lock(out))
            run.write(source)
        known = len(source.skipped)
        finished = trainer.fit()
        if main and len(source.skipped) > known:  # shards are decoded as they are read
            more = len(source.skipped) - known
            say(f"{more} images could not be decoded; they are listed in {out / 'skipped.tsv'}")
        if finished and main:
            from cldis.pages.report import write_report

            say(write_report(run, source, progress=True))
    return finished


def dry_run(data: str, config: Config) -> str:
    """What training would do: data, sizes, steps; nothing is written but the image cache."""
    from cldis.methods.build import build
    from cldis.training.recipes import RECIPES

    space = check_space(config)
    source = open_data(data, config.model.resolution)
    loop = build(config)
    sizes = ", ".join(
        f"{name} {sum(p.numel() for p in child.parameters()) / 1e6:.2f} M"
        for name, child in loop.named_children()
        if any(True for _ in child.parameters())
    )
    training, recipe = config.training, RECIPES[config.recipe]
    method = f"method   {config.method}"
    if config.uses_feedback:
        method += f", feedback {config.feedback.kind}"
    if config.distils:
        method += f", distillation {config.distillation.kind}"
    factors = ", ".join(source.factor_names) or "unlabelled"
    return "\n".join(
        [
            f"data     {source.name}: {len(source)} images ({factors}), "
            f"{len(source.skipped)} skipped, at {source.resolution} px",
            f"model    {sizes} parameters; {config.model.units} units, {config.model.conditioning}",
            f"space    {space}",
            method,
            f"training {training.images} images, {-(-training.images // training.batch)} steps of "
            f"{training.batch}",
            f"recipe   {config.recipe}: {recipe.cost} for its own "
            f"{recipe.config(config.recipe).training.images:,} images",
        ]
    )
