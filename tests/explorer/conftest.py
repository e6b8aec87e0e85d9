"""A trained run, a server of it and visits to it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cldis.data.rendered.rooms import Rooms
from cldis.navigation.directions import Directions
from cldis.navigation.store import save_directions
from cldis.training.recipes import recipe_config
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from explorer.visits import Visit, serving

NAME = "told to nobody"  # of a unit


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged starter, trained for one more step: 16 units that know their rooms."""
    out = tmp_path_factory.mktemp("explored") / "rooms"
    config = recipe_config("demo").with_overrides(["training.images=32", "training.batch=32"])
    source = Rooms(config.model.resolution)
    assert train(RunFolder.create(out, config, source, "rooms"), source, False, quiet=True)
    return out


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def server(run: Path, scratch: Path, chromium: str) -> Iterator[str]:
    """The address of `cldis explore`, on this machine only."""
    with serving(run, scratch) as address:
        yield address


@pytest.fixture(scope="session")
def guarded_scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="session")
def guarded(
    run: Path, tmp_path_factory: pytest.TempPathFactory, guarded_scratch: Path
) -> Iterator[str]:
    """An explorer for other machines too, of a run with a named unit; its terminal is closed."""
    copy = Path(shutil.copytree(run, tmp_path_factory.mktemp("named") / "rooms"))
    save_directions(copy, Directions.identity(16).named(3, NAME))
    with serving(copy, guarded_scratch, "--host", "0.0.0.0", ending=signal.SIGHUP) as address:
        yield address


@pytest.fixture(scope="module")
def visit(browser: Any, server: str) -> Iterator[Visit]:
    made = Visit(browser, server)
    yield made
    assert not made.errors
    # After all tests: nothing was asked of any other machine.
    asked = {urlsplit(url) for url in made.requests}
    assert len(asked) > 20
    strange = [u.geturl() for u in asked if u.scheme not in ("data", "blob")]
    assert not [url for url in strange if urlsplit(url).hostname != "127.0.0.1"]


@pytest.fixture
def page(visit: Visit) -> Iterator[Any]:
    made = visit.page()
    yield made
    made.context.close()
