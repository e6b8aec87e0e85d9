"""What the tests of reports train."""

from __future__ import annotations

import shutil
from pathlib import Path

from cldis.training.run_folder import RunFolder

METHODS = ("closed", "open", "diffusion", "vae")


def copy(run: RunFolder, to: Path) -> RunFolder:
    shutil.copytree(run.path, to)
    return RunFolder.open(to)
