"""A page as a browser would make of it, and what must hold for every page of cldis."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

SECTIONS = "verdict traversals directions reconstructions edits curves health factors samples about"


class Page(HTMLParser):
    """What a browser would make of the page, as far as these tests ask."""

    VOID = {"meta", "link", "img", "br", "source"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        if tag == "html":
            assert found["lang"] == "en"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


def check(path: Path) -> tuple[Page, dict[str, Any]]:
    """The page and its numbers, after what must hold for every report."""
    text = path.read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert set(SECTIONS.split()) <= set(page.ids) and len(set(page.ids)) == len(page.ids)
    assert "http://" not in text and "https://" not in text and "@import" not in text
    assert "url(" not in text and "script" not in page.tags
    for link in page.links:
        assert link.startswith("data:") or link[0] == "#" and link[1:] in page.ids, link[:80]
    for image in page.images:
        assert image["alt"] and len(image["alt"]) > 10
        assert (image["src"] or "").startswith("data:image/")
        assert int(image["width"] or 0) > 0 and int(image["height"] or 0) > 0
    numbers = json.loads((path.parent / "report.json").read_text("utf-8"))
    assert all(math.isfinite(value) for value in floats(numbers))
    assert list(path.parent.glob(".*.tmp")) == []
    return page, numbers


def floats(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from floats(item)
    elif isinstance(value, int | float):
        yield float(value)
