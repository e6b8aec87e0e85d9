"""A browser for tests, and what axe says of the page that it shows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream "
    "--use-fake-ui-for-media-stream"
).split()


def find_chromium() -> str:
    """Its path; a skip where there is none, but a failure in CI."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("no chromium; .ci/run installs it")
    if found is None:
        pytest.skip("no chromium (Debian: apt-get install chromium)")
    return found


def grave(page: Any) -> list[tuple[str, list[str]]]:
    """What axe calls a serious or critical violation: its rule, and where it is broken."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [
        (found["id"], [node["html"][:150] for node in found["nodes"]][:4])
        for found in axe.run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


# Every element with words of its own, a picture or a diagram, that takes no room or is not drawn.
# What only moves (`.screen`) has its still picture beside it.
UNSEEN = """() => [...document.body.querySelectorAll("*")].filter((part) => {
  const words = [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!words && !["IMG", "svg"].includes(part.tagName)) return false;
  if (part.closest("nav, .skip, .screen, style, svg title")) return false;
  const box = part.getBoundingClientRect();
  const drawn = part.checkVisibility({opacityProperty: true, visibilityProperty: true});
  return !drawn || box.width < 1 || box.height < 1;
}).map((part) => part.outerHTML.slice(0, 150))"""


def assert_readable(browser: Any, file: Path) -> None:
    """A page on the disk, light, dark and printed: no grave violation, nothing left out on paper,
    and nothing asked of anyone."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(file.as_uri())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert grave(page) == [], scheme
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(UNSEEN) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("data:", "blob:", file.as_uri()))] == []
