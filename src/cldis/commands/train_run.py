"""From a name and a configuration to a trained run with its report."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from cldis.config import Config
from cldis.data import open_data
from cldis.io import write_json
from cldis.text import say
from cldis.training.run_folder import RunFolder


def train_run(data: str, out: Path, config: Config, resume: bool) -> bool:
    """Train, then write the report; False when interrupted (the state is saved).

    Raises:
        ValueError: data or settings that do not fit, or resumed with other data.
        OSError: full disk.
    """
    main = int(os.environ.get("RANK", "0")) == 0
    source = open_data(data, config.model.resolution, progress=main)
    if source.skipped and main:
        say(f"{len(source.skipped)} files could not be used; see {out / 'skipped.tsv'}")
    if resume:
        run = RunFolder.open(out)
        known = run.about["data"]["fingerprint"]
        if source.fingerprint != known:
            raise ValueError(
                f"{data} is not what {out} was trained on (fingerprint {source.fingerprint[:12]}, "
                f"was {known[:12]}); resume with the same images, or start another run"
            )
        run = dataclasses.replace(run, config=config)
    else:
        run = RunFolder(out, config, {})

    from cldis.training.trainer import Trainer

    trainer = Trainer(run, source)  # refuses settings that do not fit, before anything is written
    if resume:
        if main:
            write_json(out / "config.json", config.to_dict())
        trainer.resume()
    elif main:
        run = trainer.run = RunFolder.create(out, config, source, data)
    finished = trainer.fit()
    if finished and main:
        from cldis.pages.report import write_report

        say(write_report(run, source, progress=True))
    return finished


def dry_run(data: str, config: Config) -> str:
    """What training would do: data, sizes, steps; nothing is written but the image cache."""
    from cldis.methods import build
    from cldis.training.recipes import RECIPES

    source = open_data(data, config.model.resolution)
    loop = build(config)
    sizes = ", ".join(
        f"{name} {sum(p.numel() for p in child.parameters()) / 1e6:.2f} M"
        for name, child in loop.named_children()
        if any(True for _ in child.parameters())
    )
    training = config.training
    method = (
        f"loop     arm {config.loop.arm}, feedback {config.feedback.kind}, "
        f"distillation {config.distillation.kind}"
        if config.baseline.method == "none"
        else f"baseline {config.baseline.method}"
    )
    factors = ", ".join(source.factor_names) or "unlabelled"
    return "\n".join(
        [
            f"data     {source.name}: {len(source)} images ({factors}), "
            f"{len(source.skipped)} skipped, at {source.resolution} px",
            f"model    {sizes} parameters; {config.model.units} units, {config.model.conditioning}",
            method,
            f"training {training.images} images, {-(-training.images // training.batch)} steps of "
            f"{training.batch}; recipe {config.recipe}: {RECIPES[config.recipe].cost}",
        ]
    )
