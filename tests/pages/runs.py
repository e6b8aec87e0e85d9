"""What the tests of reports train."""

from __future__ import annotations

import shutil
from pathlib import Path

from cldis.training.run_folder import RunFolder

TINY = (
    "model.resolution=16 model.units=4 model.width=8 model.encoder_width=8 model.vae_width=8 "
    "model.embed=8 model.attention=[] training.batch=16 training.images=64 training.log_every=16 "
    "training.sample_every=32 training.checkpoint_every=64 training.precision=no "
    "distillation.warmup=16 feedback.warmup=16 diffusion.steps=12"
).split()
METHODS = ("closed", "open", "diffusion", "vae")


def copy(run: RunFolder, to: Path) -> RunFolder:
    shutil.copytree(run.path, to)
    return RunFolder.open(to)
