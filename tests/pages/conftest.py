"""Tiny runs of the loop and of its branches, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cldis.data import open_data
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from loop.small import LOOP
from pages.runs import METHODS
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
    """A tiny run per method: `closed` on a folder of photos, the others on rooms."""
    runs = {}
    for method in METHODS:
        data = str(few_photos) if method == "closed" else "rooms"
        source = (
            open_data(data, 16, tmp_path_factory.mktemp("cache"))
            if method == "closed"
            else open_data(data, 32)
        )
        config = LOOP.with_overrides(
            [*RUN, f"method={method}", f"model.resolution={source.resolution}"]
        )
        run = RunFolder.create(tmp_path_factory.mktemp(method) / "run", config, source, data)
        train(run, source, resume=False, quiet=True)
        runs[method] = run
    return runs
