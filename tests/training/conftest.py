"""Fixtures of the training tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from training.harness import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Runs jobs in processes that may be killed."""
    started = Server()
    yield started
    started.close()


@pytest.fixture(scope="session")
def uninterrupted(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run, trained in one go."""
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert server.run(out) == 0
    return out
