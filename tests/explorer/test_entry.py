"""How people and photos come into `cldis explore`: token, clipboard, dropped file, webcam."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from cldis.data.decode import to_photo
from explorer.conftest import NAME
from explorer.visits import Visit, photo, settled, shown

PHOTO = photo((180, 40, 160), "PNG", turned=False)  # a clipboard keeps no EXIF


@pytest.fixture(scope="module")
def guest(browser: Any, guarded: str) -> Iterator[Any]:
    """A page that was let in, and may read the clipboard and the camera."""
    visit = Visit(browser, guarded)
    page = visit.blank(permissions=["clipboard-read", "clipboard-write", "camera"])
    page.goto(guarded)
    settled(page)
    yield page
    page.context.close()
    assert not visit.errors
    assert {urlsplit(url).hostname for url in visit.requests} <= {"127.0.0.1", None}


def arrived(page: Any, name: str) -> None:
    """The test photo is on the stage, as the model is given it."""
    page.locator(f"#stage img[alt='The photo {name}']").wait_for()
    settled(page)
    expected = to_photo(PHOTO, 64).transpose(1, 2, 0)
    assert np.array_equal(shown(page, "Photo"), expected)


def test_the_address_lets_a_browser_in_and_leaves_no_token(browser: Any, guarded: str) -> None:
    visit = Visit(browser, guarded)
    page = visit.page()
    assert "token" not in page.url
    page.locator(".direction", has_text=NAME).wait_for()
    page.reload()
    settled(page)
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and len(cookie["value"]) > 60
    page.context.close()
    other = visit.blank()  # another browser was not let in with it
    other.goto(guarded.split("?")[0])
    assert "Open the address that cldis explore printed" in other.content()
    assert NAME not in other.content() and not other.context.cookies()
    other.context.close()


def pasted(page: Any, name: str) -> Any:
    """The test photo as a browser holds it while it is pasted or dragged: a `DataTransfer`."""
    return page.evaluate_handle(
        """async ([address, name]) => {
        const data = await (await fetch(address)).blob();
        const held = new DataTransfer();
        held.items.add(new File([data], name, {type: "image/png"}));
        return held; }""",
        [f"data:image/png;base64,{base64.b64encode(PHOTO).decode()}", name],
    )


def test_a_picture_is_pasted_with_the_keys(guest: Any) -> None:
    held = pasted(guest, "keys.png")
    guest.evaluate(
        """held => document.body.dispatchEvent(new ClipboardEvent("paste",
        {clipboardData: held, bubbles: true, cancelable: true}))""",
        held,
    )
    arrived(guest, "keys")


def test_a_picture_is_pasted_with_the_button(guest: Any) -> None:
    guest.evaluate(
        """async held => navigator.clipboard.write(
        [new ClipboardItem({"image/png": held.files[0]})])""",
        pasted(guest, "any.png"),
    )
    guest.get_by_role("button", name="Paste from clipboard").first.click()
    arrived(guest, "clipboard")


def test_a_file_is_dropped(guest: Any) -> None:
    held = pasted(guest, "dropped.png")
    place = guest.get_by_role("button", name="Drop an image file here").first
    for event in ("dragenter", "dragover", "drop"):
        place.dispatch_event(event, {"dataTransfer": held})
    arrived(guest, "dropped")


def test_the_webcam_takes_a_photo(guest: Any) -> None:
    """Chromium's own test picture: green, with a yellow disc that turns."""
    guest.get_by_role("button", name="Capture from camera").first.click()
    guest.get_by_text("Click to Access Webcam").first.click()
    guest.get_by_role("button", name="capture photo").first.wait_for()
    guest.wait_for_function("[...document.querySelectorAll('video')].some(v => v.videoWidth > 0)")
    guest.get_by_role("button", name="capture photo").first.click()
    guest.locator("#stage img[alt='The photo image']").wait_for()
    settled(guest)
    taken = shown(guest, "Photo")
    assert taken[..., 1].mean() > taken[..., 2].mean() + 40  # green, not blue
    assert taken.std(axis=(0, 1)).max() > 10
    guest.get_by_text("Click to Access Webcam").first.wait_for()  # and it is off again
