"""How tests of the explorer serve it, open its page and use it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

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
def serving(run: Path, scratch: Path, *words: str, ending: int = signal.SIGTERM) -> Iterator[str]:
    """The address that `cldis explore RUN WORDS` prints, a process of its own with its files in
    `scratch`; it is told to end by the signal `ending`."""
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
        while "Ctrl-C" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        printed = re.findall(r"open (http\S+)", log.read_text())
        assert f"http://127.0.0.1:{port}/?token=" in printed[0]
        yield printed[0]
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(ending)
        process.wait(timeout=60)
    assert "Traceback" not in log.read_text(), log.read_text()[-6000:]
    assert not list(scratch.glob("cldis-explore-*")), "files were left behind"


class Client:
    """A program that was let in by the address with the token, as a browser is; or `stranger`."""

    def __init__(self, address: str, stranger: bool = False) -> None:
        self.base = address.split("/?")[0]
        self.headers: dict[str, str] = {}
        if not stranger:
            with urllib.request.urlopen(address, timeout=30) as answer:
                self.headers["Cookie"] = answer.headers["Set-Cookie"].split(";")[0]

    def ask(
        self, path: str, data: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, str]:
        """Status and text; `X_Y="z"` is the header `X-Y: z`."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        request = urllib.request.Request(
            self.base + path, data, {**self.headers, **named}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def upload(self, *files: tuple[str, bytes]) -> tuple[int, str]:
        kind = "multipart/form-data; boundary=x"
        return self.ask("/gradio_api/upload", form(*files), Content_Type=kind)

    def functions(self) -> dict[str, int]:
        """What the page can ask for, by the name in `Page`."""
        text = self.ask("/")[1]
        found = re.search(r"window\.gradio_config = (\{.*?\});</script>", text, re.DOTALL)
        assert found
        return {one["api_name"]: one["id"] for one in json.loads(found[1])["dependencies"]}

    def join(
        self, function: object, data: object, index: object = None, page: object = "page"
    ) -> tuple[int, str]:
        asked = {"fn_index": function, "data": data, "session_hash": page}
        asked["event_data"] = {"index": index, "value": None}
        return self.ask(
            "/gradio_api/queue/join", json.dumps(asked).encode(), Content_Type="application/json"
        )

    def results(self, page: str = "page") -> str:
        """All that comes back until nothing is computed any more."""
        return self.ask(f"/gradio_api/queue/data?session_hash={page}")[1]


def form(*files: tuple[str, bytes]) -> bytes:
    """Files as a browser sends them, with boundary `x`."""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + data
        for name, data in files
    ]
    return b"\r\n".join([*parts, b"--x--\r\n"])


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
