"""How people and photos come into `cldis explore`: password, clipboard, dropped file, webcam."""

from __future__ import annotations

import base64
import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import numpy as np
import pytest

from browsers import grave
from cldis.data.decode import to_photo
from cldis.explorer.door import PAUSE
from cldis.navigation.directions import Directions
from cldis.navigation.store import save_directions
from explorer.visits import Visit, photo, serving, settled, shown

SECRET = "a long pass phrase"
NAME = "told to nobody"
PHOTO = photo((180, 40, 160), "PNG", turned=False)  # a clipboard keeps no EXIF


@pytest.fixture(scope="module")
def guarded(run: Path, tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[str]:
    """An explorer for other machines too, of a run with a named unit."""
    scratch = tmp_path_factory.mktemp("guarded")
    copy = Path(shutil.copytree(run, tmp_path_factory.mktemp("named") / "rooms"))
    save_directions(copy, Directions.identity(16).named(3, NAME))
    password = scratch / "password"
    password.write_text(SECRET + "\n")
    words = ["--host", "0.0.0.0", "--password-file", str(password)]
    with serving(copy, scratch, *words) as address:
        yield address


@pytest.fixture(scope="module")
def guest(browser: Any, guarded: str) -> Iterator[Any]:
    """A page that is signed in, and may read the clipboard and the camera."""
    visit = Visit(browser, guarded)
    page = visit.blank(permissions=["clipboard-read", "clipboard-write", "camera"])
    page.goto(guarded)
    sign_in(page, SECRET)
    settled(page)
    yield page
    page.context.close()
    assert not visit.errors
    assert {urlsplit(url).hostname for url in visit.requests} <= {"127.0.0.1", None}


def sign_in(page: Any, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Open").click()


def arrived(page: Any, name: str) -> None:
    """The test photo is on the stage, as the model is given it."""
    page.locator(f"#stage img[alt='The photo {name}']").wait_for()
    settled(page)
    expected = to_photo(PHOTO, 64).transpose(1, 2, 0)
    assert np.array_equal(shown(page, "Photo"), expected)


def refused(request: str | urllib.request.Request) -> int:
    with pytest.raises(HTTPError) as answer:
        urllib.request.urlopen(request, timeout=30)
    text = answer.value.read().decode()
    assert NAME not in text and "unit" not in text
    return answer.value.code


def test_only_the_password_opens_the_page(browser: Any, guarded: str) -> None:
    visit = Visit(browser, guarded)
    page = visit.blank()
    page.goto(guarded)
    assert grave(page) == []
    assert NAME not in page.content()
    sign_in(page, "a long pass phras")
    page.get_by_role("alert").get_by_text("not the password").wait_for()
    assert not page.context.cookies()
    page.wait_for_timeout(1000 * PAUSE)
    sign_in(page, SECRET)
    settled(page)
    page.locator(".direction", has_text=NAME).wait_for()
    page.reload()
    settled(page)
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and len(cookie["value"]) > 40
    page.context.close()
    other = visit.blank()  # another browser was not let in with it
    other.goto(guarded)
    other.get_by_label("Password").wait_for()
    other.context.close()


@pytest.mark.parametrize(
    "path",
    "/ /?all_endpoints=1 /config /manifest.json /theme.css /openapi.json /gradio_api/info "
    "/gradio_api/app_id /gradio_api/heartbeat/x /gradio_api/queue/data?session_hash=x "
    "/gradio_api/file=pyproject.toml /static/img/logo.svg /assets/x //config /%2e/config".split(),
)
def test_a_stranger_gets_no_file_and_no_api(guarded: str, path: str) -> None:
    assert refused(guarded + path) == 401
    forged = {"Cookie": f"cldis-explorer-{urlsplit(guarded).port}=x; a=\x7f"}
    assert refused(urllib.request.Request(guarded + path, headers=forged)) == 401


@pytest.mark.parametrize("path", ["upload", "queue/join", "run/sample", "cancel", "heartbeat/x"])
def test_a_stranger_sends_nothing(guarded: str, path: str) -> None:
    body = json.dumps({"data": [], "fn_index": 0, "session_hash": "x", "event_id": "x"}).encode()
    address = f"{guarded}/gradio_api/{path}"
    assert refused(urllib.request.Request(address, data=body)) == 401


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
