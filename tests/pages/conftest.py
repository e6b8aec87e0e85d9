"""Tiny runs of every arm, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cldis.config import Config
from cldis.data import open_data
from cldis.training import trainer as engine
from cldis.training.run_folder import RunFolder
from pages.runs import ARMS
from support.photos import write_photos
from support.small import RUN


@pytest.fixture(scope="session")
def few_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So few that one alone is held out, and health cannot be measured."""
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 24)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, few_photos: Path) -> dict[str, RunFolder]:
    """A tiny run per arm: `closed` on a folder of photos, the others on rooms."""
    runs = {}
    for arm in ARMS:
        data = str(few_photos) if arm == "closed" else "rooms"
        source = (
            open_data(data, 16, tmp_path_factory.mktemp("cache"))
            if arm == "closed"
            else open_data(data, 32)
        )
        config = Config().with_overrides(
            [*RUN, f"loop.arm={arm}", f"model.resolution={source.resolution}"]
        )
        run = RunFolder.create(tmp_path_factory.mktemp(arm) / "run", config, source, data)
        engine.train(run, source, resume=False, quiet=True)
        runs[arm] = run
    return runs
