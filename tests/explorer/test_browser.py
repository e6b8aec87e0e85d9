"""`cldis explore` as a person meets it, in a real browser."""

from __future__ import annotations

import json
import re
import struct
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from browsers import grave
from cldis.data.decode import to_photo
from explorer.visits import (
    Client,
    Visit,
    decoded,
    loaded,
    move,
    photo,
    send,
    settled,
    shown,
    status,
    upload,
)


def test_the_page_opens_with_a_photo_and_a_slider_per_unit(page: Any) -> None:
    assert "rooms" in page.title()
    sliders, folded = (
        page.locator(".sliders input[type=range]"),
        page.get_by_text("next to nothing"),
    )
    assert f"{16 - sliders.count()} that change" in folded.inner_text()
    folded.click()
    page.locator("#slider-15").wait_for()
    assert sliders.count() == page.locator("img.heat").count() == 16
    assert page.locator(".region").count() > 2
    assert page.locator("#stage figure").count() == 4
    assert loaded(page, ".photos") == 12
    photo, alone, after = (shown(page, word) for word in ("Photo", "code alone", "After"))
    assert photo.shape == (64, 64, 3)
    assert 0 < np.abs(photo - alone).mean() < 20  # of 255
    assert np.array_equal(photo, after)


def test_a_photo_goes_in_and_leaves_no_file(page: Any, scratch: Path) -> None:
    data = photo((180, 40, 160))
    upload(page, "my photo.jpg", data)
    expected = to_photo(data, 64).transpose(1, 2, 0)
    assert np.array_equal(shown(page, "Photo"), expected)
    assert not [path for path in scratch.rglob("*") if path.is_file() and path.suffix == ".jpg"]


def test_the_slider_changes_what_its_heat_map_says(page: Any) -> None:
    hot = decoded(page.locator("img.heat").first.get_attribute("src")).sum(axis=2)
    page.evaluate(
        """() => { window.moods = []; new MutationObserver(() => {
        const found = document.querySelector('#stage .stage');
        if (found) window.moods.push(found.className); }).observe(
        document.querySelector('#stage'), {childList: true, subtree: true}); }"""
    )
    page.locator(".photos button").nth(8).click()
    page.locator("#stage img[alt*='352633']").wait_for()
    settled(page)
    move(page, 20)
    changed = np.abs(shown(page, "After") - shown(page, "Photo")).sum(axis=2)
    assert changed.mean() > 3
    inside, outside = hot >= np.quantile(hot, 0.7), hot <= np.quantile(hot, 0.3)
    assert changed[inside].mean() > 1.5 * changed[outside].mean()
    moods = page.evaluate("window.moods")
    assert any("busy" in mood for mood in moods) and "done" in moods[-1]  # a preview came first


def test_undo_and_reset(page: Any) -> None:
    before = shown(page, "After")
    page.locator("#slider-0 input[type=number]").fill("1")  # one step, where keys are many
    status(page, "+1.")
    settled(page)
    once = shown(page, "After")
    page.locator("#slider-1 input[type=number]").fill("1")
    status(page, ", ")
    settled(page)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("document.querySelector('#slider-1 input[type=range]').value == 0")
    page.wait_for_function("!document.querySelector('#status').innerText.includes(', ')")
    settled(page)
    assert np.array_equal(shown(page, "After"), once)
    page.get_by_role("button", name="Reset all").click()
    status(page, "nothing is changed")
    assert np.array_equal(shown(page, "After"), before)


def test_a_name_is_kept_and_seen_by_others(page: Any, visit: Visit, run: Path) -> None:
    page.get_by_role("tab", name="Names").click()
    page.locator("#name-status .done", has_text="Enter").wait_for()
    boxes = page.get_by_label("Name of unit")
    assert loaded(page, ".triples") == 3 * boxes.count() > 6
    boxes.first.fill("7")
    page.get_by_role("button", name="Keep these names").click()
    page.locator("#name-status .bad", has_text="a number").wait_for()
    boxes.first.fill("wall <b>hue</b>")
    boxes.first.press("Enter")
    page.locator("#name-status .done", has_text="wall <b>hue</b>").wait_for()
    page.get_by_role("tab", name="Edit").click()
    page.locator("#slider-0", has_text="wall <b>hue</b>").wait_for()
    page.reload()
    page.locator("#slider-0", has_text="wall <b>hue</b>").wait_for()
    other = visit.page()
    other.locator("#slider-0", has_text="wall <b>hue</b>").wait_for()
    other.context.close()
    stored = json.loads((run / "navigation" / "directions.json").read_text())
    assert list(stored["names"].values()) == ["wall <b>hue</b>"]


def test_what_is_downloaded_is_what_is_shown(page: Any) -> None:
    move(page, 10)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download picture").click()
    assert waiting.value.suggested_filename.endswith("_edited.png")
    taken = np.asarray(Image.open(waiting.value.path()).convert("RGB"))
    assert np.array_equal(taken, shown(page, "After"))
    page.get_by_role("button", name="Strip and animation").click()
    page.get_by_role("button", name="Draw strip").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download animation").click()
    moving = Image.open(waiting.value.path())
    assert moving.format == "GIF" and moving.n_frames > 12


def test_two_people_see_their_own_photos(visit: Visit) -> None:
    one, two = visit.page(), visit.page()
    upload(one, "red.jpg", photo((200, 20, 20)))
    upload(two, "green.jpg", photo((20, 200, 20)))
    move(one, 10)
    move(two, -10)
    assert shown(one, "Photo")[..., 0].mean() > shown(two, "Photo")[..., 0].mean() + 30
    assert "green" not in one.content() and "red.jpg" not in two.content()
    for page in (one, two):
        page.context.close()


def png(width: int, height: int) -> bytes:
    """A black picture, packed well."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(1)
    rows = b"".join([packer.compress(row * 100) for _ in range(height // 100)]) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb() -> bytes:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "boom"}">' for i in range(12))
    return f"<?xml version='1.0'?><!DOCTYPE svg [{entities}]><svg>&e11;</svg>".encode()


HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "bomb.svg": (bomb, "image/svg+xml", "not a picture"),
    "bomb.png": (bomb, "image/png", "not a picture"),
    "huge.png": (lambda: png(30_000, 30_000), "image/png", "pixels"),
    "program.jpg": (lambda: b"\x7fELF" + bytes(range(256)) * 40, "image/jpeg", "not a picture"),
    "script.png": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\nquit\n", "image/png", "not a picture"),
    "half.jpg": (lambda: photo((9, 9, 9))[:900], "image/jpeg", "cannot be decoded"),
}


def test_hostile_uploads_are_refused_in_words(page: Any, scratch: Path) -> None:
    before = shown(page, "Photo")
    for name, (make, mime, words) in HOSTILE.items():
        send(page, name, make(), mime)
        try:
            page.locator("#status .bad", has_text=words).wait_for()
        except Exception:
            raise AssertionError(f"{name}: {page.inner_text('#status')}") from None
        assert np.array_equal(shown(page, "Photo"), before), name
        move(page, 1)
    names = {path.name for path in scratch.rglob("*")}
    assert not names & set(HOSTILE)


def test_a_path_in_a_file_name_leads_nowhere(page: Any, server: str, scratch: Path) -> None:
    name = f"escaped-{uuid.uuid4().hex}"
    seen, client = set(scratch.parent.rglob("*")), Client(server)
    for path in (f"../../../{name}.png", f"..\\..\\{name}.png", f"{scratch}/{name}.png"):
        status, text = client.upload((path, photo((1, 2, 3), "PNG")))
        assert status == 200 and Path(json.loads(text)[0]).name == f"{name}.upload"
    written = set(scratch.parent.rglob(f"*{name}*")) - seen
    assert len(written) == 3
    for path in written:
        assert any(part.name.startswith("cldis-explore-") for part in path.parents)
    send(page, f"..%2F..%2F{name}.jpg", photo((1, 2, 3)))
    page.locator(f"#stage img[alt*='{name}']").wait_for()
    assert not re.search(r"\.\./|%2F", page.locator("#stage").inner_html())


def test_mix_copy_and_collection(page: Any) -> None:
    move(page, 10)
    page.get_by_role("tab", name="Mix").click()
    page.locator(".photos:visible button").nth(3).click()
    page.locator("input[type=checkbox]:visible").first.check()
    page.locator("#mixture figure").nth(2).wait_for()
    page.get_by_role("tab", name="Many photos").click()
    page.get_by_role("button", name="Copy to the sample photos").click()
    page.get_by_role("link", name="Download all 12").wait_for()
    page.get_by_role("tab", name="Collection").click()
    page.locator("#list-status .state", has_text="Lowest and highest").wait_for()
    assert loaded(page, ".map") == 1 and loaded(page, ".found") == 16
    page.get_by_label("outliers").check()
    page.locator("#list-status .state", has_text="Farthest").wait_for()
    page.locator(".photos:visible button").nth(1).click()
    page.locator("#list-status .state", has_text="under Edit now").wait_for()
    page.get_by_role("tab", name="Run").click()
    page.locator(".tiles", has_text="units").wait_for()


def test_a_phone_shows_it_without_sideways_scrolling(visit: Visit) -> None:
    page = visit.page(390, 800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#slider-0").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    page.locator(".direction:visible").last.scroll_into_view_if_needed()
    top = page.locator("#stage img").first.bounding_box()
    assert -1 <= top["y"] < 300, "the picture stays in sight while sliders are moved"
    page.context.close()


def test_accessibility(page: Any) -> None:
    for tab in ("Edit", "Names", "Mix", "Many photos", "Collection", "Run"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        if tab == "Collection":
            loaded(page, ".map")
            loaded(page, ".found")
        assert grave(page) == [], tab
