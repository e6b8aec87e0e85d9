"""What every test shares: one thread, one cache folder, calm property tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsers import FLAGS, find_chromium
from support.photos import write_photos
from support.small import TRAIN

# The suite may run under nohup, which makes children ignore what some tests send them.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent

# Set before cldis is imported anywhere. A fixed folder, so that the workers of pytest-xdist, and
# the next session, find the rooms that one of them rendered.
os.environ["CLDIS_CACHE"] = str(ROOT / ".pytest_cache" / "cldis")
os.environ["OMP_NUM_THREADS"] = "1"
# No test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# One thread per worker: sums are then formed in one order, and workers do not fight for cores.
torch.set_num_threads(1)

# Renders and first calls of torch are slow once; a deadline would only measure that.
settings.register_profile(
    "cldis",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("cldis")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos beside the checkout (`hands/`, `clothing/`), or a skip."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "hands").is_dir():
        pytest.skip("no real photos beside this checkout (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 pictures in `discs/`, and a broken one. Not to be changed."""
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder / "discs", 80)
    (folder / "discs" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cldis train` leaves on `photos` after 192 images. Not to be changed."""
    return _trained(photos, tmp_path_factory.mktemp("runs") / "discs")


@pytest.fixture(scope="session")
def vae_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of method `vae`. Not to be changed."""
    return _trained(photos, tmp_path_factory.mktemp("runs") / "vae", "--set", "method=vae")


def _trained(photos: Path, out: Path, *more: str) -> Path:
    from cldis.cli import main

    assert main(["train", str(photos), "--out", str(out), *TRAIN, *more]) == 0
    return out


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium."""
    return find_chromium()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium without a window, and with a camera that shows a test picture."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()
