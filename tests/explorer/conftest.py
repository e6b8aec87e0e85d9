"""A trained run, a server of it and a browser, each made once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cldis.data.rooms import Rooms
from cldis.training.engine import train
from cldis.training.recipes import recipe_config
from cldis.training.run import RunFolder

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged starter, trained for one more step: 16 units that know their rooms."""
    out = tmp_path_factory.mktemp("explored") / "rooms"
    config = recipe_config("demo").with_overrides(["training.images=32", "training.batch=32"])
    source = Rooms(32)
    assert train(RunFolder.create(out, config, source, "rooms"), source, False, quiet=True)
    return out


def chromium() -> str:
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("no chromium; .ci/run installs it")
    if found is None:
        pytest.skip("no chromium (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def server(run: Path, scratch: Path) -> Iterator[str]:
    """The address of `cldis explore` in a process of its own."""
    chromium()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(scratch)}
    words = ["explore", str(run), "--port", str(port)]
    log = scratch / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cldis", *words],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 180
        while "open http" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert "Traceback" not in log.read_text(), log.read_text()[-6000:]
    assert not list(scratch.glob("cldis-explore-*")), "files were left behind"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()
