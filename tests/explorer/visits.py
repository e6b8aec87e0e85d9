"""How tests of the explorer serve it, open its page and use it."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WAIT = 90_000  # milliseconds; a busy machine is slow
SLIDER = "#slider-0 input[type=range]"


class Visit:
    """Opens pages, and notes every request and complaint of them."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address
        self.contexts: list[Any] = []
        self.requests: list[str] = []
        self.errors: list[str] = []

    def page(self, width: int = 1300, height: int = 900) -> Any:
        page = self.blank(viewport={"width": width, "height": height})
        page.goto(self.address)
        settled(page)
        return page

    def blank(self, **options: Any) -> Any:
        """An empty page in a context of its own."""
        context = self.browser.new_context(**options)
        self.contexts.append(context)
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        page = context.new_page()
        page.set_default_timeout(WAIT)
        return page


@contextmanager
def serving(run: Path, scratch: Path, *words: str) -> Iterator[str]:
    """The address of `cldis explore RUN WORDS` in a process of its own, its files in `scratch`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "cldis", "explore", str(run), "--port", str(port), *words]
    log = scratch / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=subprocess.STDOUT
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


def settled(page: Any) -> None:
    page.wait_for_selector("#status .state.done")
    page.wait_for_selector("#stage .stage.done")


def status(page: Any, words: str) -> None:
    page.locator("#status .state", has_text=words).wait_for()


def shown(page: Any, caption: str) -> np.ndarray:
    """A picture of the stage, [H, W, 3]."""
    figures = page.locator("#stage figure").filter(has_text=caption)
    return decoded(figures.first.locator("img").get_attribute("src"))


def loaded(page: Any, place: str) -> int:
    """How many pictures can be seen in a place; none of them is a broken one."""
    page.locator(f"{place}:visible img").first.wait_for()
    widths = f"[...document.querySelectorAll('{place} img')].filter(i => i.offsetParent)"
    page.wait_for_function(f"{widths}.every(i => i.complete && i.naturalWidth > 0)")
    return int(page.locator(f"{place}:visible img").count())


def decoded(address: str) -> np.ndarray:
    data = base64.b64decode(address.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def move(page: Any, steps: int, slider: str = SLIDER) -> None:
    """With the keyboard, as everything else on the page can be done."""
    page.locator(slider).focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
    text = page.locator(slider.split()[0] + " input[type=number]").input_value()
    status(page, f"{float(text):+g}.")
    settled(page)


def photo(colour: tuple[int, int, int], kind: str = "JPEG", turned: bool = True) -> bytes:
    """A room-like photo of 300 x 200 pixels; `turned`: upright only once its EXIF is read."""
    image = Image.new("RGB", (200, 300), colour)
    image.paste((240, 240, 240), (0, 0, 200, 120))
    image.paste((30, 90, 200), (70, 110, 130, 190))
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def send(page: Any, name: str, data: bytes, mime: str = "image/jpeg") -> None:
    part = page.locator(".image-container input[type=file], [data-testid=file-upload]").first
    part.set_input_files([{"name": name, "mimeType": mime, "buffer": data}])


def upload(page: Any, name: str, data: bytes) -> None:
    send(page, name, data)
    stem = name.split(".")[0].replace(" ", "_")
    page.locator(f"#stage img[alt*='{stem}']").wait_for()
    settled(page)
