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
    """What a browser would make of the page, as far as the tests ask."""

    VOID = {"meta", "link", "img", "br", "source", "input", "hr"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.drawings: list[dict[str, str | None]] = []  # <svg>
        self.links: list[str] = []
        self.fetched: list[str] = []  # what a browser asks for by itself
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.misplaced: list[str] = []  # end tags of what was not open
        self.language: str | None = None
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.images += [given] if tag == "img" else []
        self.drawings += [given] if tag == "svg" else []
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        if tag == "html":
            self.language = given.get("lang")
        if tag != "link" or given.get("rel") not in ("canonical", "next", "prev"):
            asked = given.get("src") or (given.get("href") if tag == "link" else None)
            self.fetched += [asked] if asked else []

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1:] == [tag]:
            self.open.pop()
        elif tag not in self.VOID:
            self.misplaced.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


def check_page(path: Path) -> Page:
    """The page, after what must hold for every page that cldis writes."""
    text = path.read_text("utf-8")
    page = Page(text)
    assert page.open == page.misplaced == [] and page.language == "en"
    assert len(set(page.ids)) == len(page.ids)
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "https://" not in text and "@import" not in text
    assert "url(" not in text.replace("url(#", "") and "script" not in page.tags
    for link in page.links:
        assert link.startswith("data:") or link[0] == "#" and link[1:] in page.ids, link[:80]
    assert all(image["alt"] for image in page.images)
    assert all(drawing.get("aria-label") for drawing in page.drawings)
    return page


def check_report(path: Path) -> tuple[Page, dict[str, Any]]:
    """The report's page and its numbers, after what must hold for every report."""
    page = check_page(path)
    assert set(SECTIONS.split()) <= set(page.ids)
    for image in page.images:
        assert len(image["alt"] or "") > 10 and (image["src"] or "").startswith("data:image/")
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
