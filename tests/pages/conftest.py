"""Tiny runs of the loop and of its branches, trained once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cldis.data import open_data
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from loop.small import LOOP
from pages.runs import METHODS, TINY


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of few unlabelled images, one of them broken."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for index in range(24):
        coarse = Image.fromarray(random.integers(0, 255, (4, 4, 3), dtype=np.uint8))
        coarse.resize((40, 30), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> dict[str, RunFolder]:
    """A tiny run per method: `closed` on a folder of photos, the others on rooms."""
    runs = {}
    for method in METHODS:
        data = str(photos) if method == "closed" else "rooms"
        source = (
            open_data(data, 16, tmp_path_factory.mktemp("cache"))
            if method == "closed"
            else open_data(data, 32)
        )
        config = LOOP.with_overrides(
            [*TINY, f"method={method}", f"model.resolution={source.resolution}"]
        )
        run = RunFolder.create(tmp_path_factory.mktemp(method) / "run", config, source, data)
        train(run, source, resume=False, quiet=True)
        runs[method] = run
    return runs
