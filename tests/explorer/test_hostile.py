"""Requests that no page sends, to the running explorer: nothing is read, removed or kept."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio")

from cldis.data.decode import to_photo  # noqa: E402
from cldis.explorer.inbox import LONGEST  # noqa: E402
from cldis.explorer.pictures import picture  # noqa: E402
from cldis.explorer.received import AGE, ALL, EACH, Received  # noqa: E402
from cldis.explorer.sessions import key_of  # noqa: E402
from cldis.explorer.uploads import MAX_BYTES  # noqa: E402
from cldis.images import png_uri, to_model  # noqa: E402
from explorer.conftest import NAME  # noqa: E402
from explorer.visits import Client, form, photo  # noqa: E402
from support.command import refused

TAKERS = {"uploaded": lambda f: [f], "second_uploaded": lambda f: [f, []], "copied": lambda f: [f]}
PNG = photo((20, 160, 90), "PNG")


@pytest.fixture(scope="module")
def client(guarded: str) -> Client:
    return Client(guarded)


@pytest.fixture(scope="module")
def functions(client: Client) -> dict[str, int]:
    return client.functions()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A picture that nobody sent; it is still there after."""
    path = tmp_path / "canary.png"
    path.write_bytes(PNG)
    yield path
    assert path.read_bytes() == PNG


def shape_of(path: Path) -> list[object]:
    """Every way to name a file, in requests that a page does not send."""
    meta = {"_type": "gradio.FileData"}
    data = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    named = [{"path": at} for at in (str(path), f"file://{path}", data, "http://127.0.0.1/x.png")]
    named += [{"path": str(path), "meta": meta}, {"path": str(path), "url": data, "meta": meta}]
    named += [{"path": "x", "url": str(path)}, {"path": {"path": str(path)}}, {"path": None}, {}]
    named += [{"path": str(path), "is_stream": True, "meta": meta}, {"path": "\0"}, {"path": 7}]
    return [*named, str(path), 3, [[{"path": str(path)}]]]


@pytest.mark.parametrize("name", TAKERS)
def test_a_file_that_was_not_sent_is_neither_read_nor_removed(
    client: Client, functions: dict[str, int], canary: Path, guarded_scratch: Path, name: str
) -> None:
    (folder,) = guarded_scratch.glob("cldis-explore-*")
    inside = folder / "theirs.png"  # in the server's folder, but no upload
    inside.write_bytes(PNG)
    up = folder / "uploads" / ".." / os.path.relpath(canary, folder)
    link = folder / "link.png"
    link.symlink_to(canary)
    for path in (canary, up, inside, link):
        for shape in shape_of(path):
            for value in (shape, [shape]):
                status, text = client.join(functions[name], TAKERS[name](value))
                assert status == 422, text
                assert any(said in text for said in ("Send it again", "list of files")), text
                assert "canary" not in text
    assert inside.read_bytes() == PNG and link.is_symlink()
    inside.unlink()
    link.unlink()


def test_an_upload_is_read_once_by_its_own_browser_alone(
    guarded: str, client: Client, functions: dict[str, int]
) -> None:
    (path,) = json.loads(client.upload(("mine.png", PNG))[1])
    other = Client(guarded)
    for shape in shape_of(Path(path)):
        assert other.join(functions["uploaded"], [shape])[0] == 422
    for address in ("file=", "file/", "stream/"):
        assert client.ask(f"/gradio_api/{address}{path}")[0] == 404
    assert Path(path).read_bytes() == PNG
    assert client.join(functions["uploaded"], [{"path": path}])[0] == 200
    expected = png_uri(picture(to_model(to_photo(PNG, 64)[None])[0]))
    shown = client.results()
    assert "The photo mine" in shown and expected in shown
    assert not Path(path).exists() and not Path(path).parent.exists()
    assert client.join(functions["uploaded"], [{"path": path}])[0] == 422


@pytest.mark.parametrize(
    ("name", "words"), [("second_uploaded", "Choose a second"), ("copied", "Done: 1")]
)
def test_an_upload_named_twice_is_taken_once(
    client: Client, functions: dict[str, int], name: str, words: str
) -> None:
    (path,) = json.loads(client.upload(("twice.png", PNG))[1])
    file = {"path": path, "meta": {"_type": "gradio.FileData"}, "url": "http://127.0.0.1/x.png"}
    asked = [[file, file]] if name == "copied" else [file, []]
    assert client.join(functions[name], asked, page="twice")[0] == 200
    text = client.results("twice")
    assert words in text and ("twice: This is not a file" in text) == (name == "copied")
    assert not Path(path).exists()


def test_a_page_is_reached_by_its_own_browser_alone(
    guarded: str, client: Client, functions: dict[str, int]
) -> None:
    """Even if the other knows what the page calls itself."""
    (path,) = json.loads(client.upload(("private.png", PNG))[1])
    assert client.join(functions["uploaded"], [{"path": path}], page="known")[0] == 200
    other = Client(guarded)
    assert other.join(functions["draw"], [0], page="known")[0] == 200
    theirs, mine = other.results("known"), client.results("known")
    assert "Choose a photo first" in theirs and "private" not in theirs
    assert "The photo private" in mine


WORDS = "is no place|none of the|is not taken|values here|no function|letters and digits"


@pytest.mark.parametrize("name", ["sample", "second", "from_list", "from_map"])
def test_a_bad_place_is_refused_in_words(
    client: Client, functions: dict[str, int], name: str
) -> None:
    data = [[]] if name == "second" else []
    places: list[object] = [-1, 10**9, 10**30, 1.5, float("nan"), None, "0", "x", True, {}, []]
    places += [[1], [1, 2, 3], [float("inf"), 0], ["a", "b"], [1e300, 0], [None, None]]
    if name != "from_map":
        places.append([1, 2])
    for place in places:
        status, text = client.join(functions[name], data, place)
        if status == 200:
            text = client.results()
            assert '"success":true' in text and "process_completed" in text
        else:
            assert status == 422
        assert any(words in text for words in WORDS.split("|")), (place, text[:400])


def test_bad_values_are_refused_in_words(client: Client, functions: dict[str, int]) -> None:
    zeros = [0.0] * 16
    bad = [1e9, -3.1, float("nan"), float("inf"), "1", None, True, [1], {"value": 1}, 10**400]
    asked: list[tuple[object, object]] = []
    for name in ("preview", "follow", "undone", "settle", "settle_1"):
        asked += [(functions[name], [value, *zeros[1:]]) for value in bad]
        asked += [(functions[name], data) for data in ([], zeros[1:], [*zeros, 0.0], {}, "x", 7)]
    rows: list[object] = [-1, 16, 0.5, float("nan"), "0", None, True, [0], {}]
    for name in ("draw", "mapped"):
        asked += [(functions[name], [row]) for row in rows]
    boxes = re.search(r"sends (\d+) values", client.join(functions["renamed"], [])[1])
    assert boxes
    texts: list[object] = ["wall"] * int(boxes[1])
    bad_texts: list[object] = [None, 7, "x" * 61, ["a"]]
    asked += [(functions["renamed"], [*texts[1:], text]) for text in bad_texts]
    asked += [(functions["renamed"], data) for data in ([], [*texts, "x"], "x")]
    asked += [(functions["mixed"], [rows]) for rows in (None, 0, [16], [-1], [True], [0] * 17, "0")]
    asked += [(functions["listed"], [what, 0, []]) for what in ("codes", None, 0, ["outliers"])]
    asked += [(number, []) for number in (-1, 10**6, None, "0", 0.5, True, [0])]
    for function, data in asked:
        status, text = client.join(function, data)
        assert status == 422 and any(words in text for words in WORDS.split("|")), (data, text)
    for page in (None, 7, "", "a/b", "a-b", "../x", "x" * 65):
        status, text = client.join(functions["first"], [], page=page)
        assert status == 422 and "letters and digits" in text


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 10**5, b"9" * 10**5])
def test_no_request_at_all_is_refused_in_words(client: Client, body: bytes) -> None:
    status, text = client.ask("/gradio_api/queue/join", body)
    assert status == 422 and "not JSON" in text


def test_a_request_is_bounded(client: Client) -> None:
    status, text = client.ask("/gradio_api/queue/join", bytes(LONGEST + 1))
    assert status == 422 and "at most 8 MB" in text
    status, text = client.ask("/gradio_api/queue/data?session_hash=a-b")
    assert status == 422 and "letters and digits" in text
    assert client.ask("/gradio_api/heartbeat/a-b")[0] == 422


def test_a_page_that_asked_for_nothing_is_told_so(client: Client) -> None:
    """The server's log holds no traceback: `serving` looks when it ends."""
    status, text = client.ask("/gradio_api/queue/data?session_hash=nobody")
    assert status == 404 and "asked for nothing" in text


def test_what_a_page_sent_is_forgotten_when_it_is_closed(
    client: Client, functions: dict[str, int]
) -> None:
    at = urlsplit(client.base)
    with socket.create_connection((at.hostname, at.port), timeout=60) as line:
        asked = f"GET /gradio_api/heartbeat/open HTTP/1.1\r\nHost: {at.netloc}\r\n"
        line.sendall(f"{asked}Cookie: {client.headers['Cookie']}\r\n\r\n".encode())
        assert b" 200 " in line.recv(200)
        (path,) = json.loads(client.upload(("short.png", PNG))[1])
        assert client.join(functions["uploaded"], [{"path": path}], page="open")[0] == 200
        assert "The photo short" in client.results("open")
    deadline, text = time.monotonic() + 30, ""
    while "Choose a photo first" not in text:
        assert time.monotonic() < deadline, text[:400]
        assert client.join(functions["settle"], [0.0] * 16, page="open")[0] == 200
        text = client.results("open")


def test_gradio_takes_nothing_from_a_request_but_its_values(
    client: Client, functions: dict[str, int]
) -> None:
    asked = {"fn_index": functions["draw"], "data": [0], "session_hash": "plain"}
    more = {"batched": True, "simple_format": True, "event_id": "x", "trigger_id": 1}
    status, _ = client.ask("/gradio_api/queue/join", json.dumps({**asked, **more}).encode())
    assert status == 200 and "Choose a photo first" in client.results("plain")


UNUSED = """GET /config|GET /gradio_api/info|GET /gradio_api/openapi.json|GET /gradio_api/deep_link
GET /gradio_api/file=x.png|GET /gradio_api/file/x.png|GET /gradio_api/proxy=http://127.0.0.1/
POST /gradio_api/process_recording|POST /gradio_api/run/sample|POST /gradio_api/call/sample
POST /gradio_api/call/v2/sample|POST /gradio_api/api/sample|POST /gradio_api/component_server
POST /gradio_api/reset|POST /gradio_api/cancel|POST /gradio_api/stream/x|GET /gradio_api/runs
POST /gradio_api/vibe-edit|GET /gradio_api/queue/status|GET /monitoring|GET /manifest.json
GET /pwa_icon|POST /login|GET /gradio_api/token|GET /gradio_api/upload_progress|POST /
GET /gradio_api/upload|GET /gradio_api/queue/join|PUT /gradio_api/upload|OPTIONS /|DELETE /
GET //config|GET /%2e/config|GET /assets/../config|GET /gradio_api/startup-events/"""


def test_what_the_page_does_not_use_is_not_there(client: Client, guarded_scratch: Path) -> None:
    before = set(guarded_scratch.rglob("*"))
    body = form(("video.mp4", PNG))
    for asked in UNUSED.replace("\n", "|").split("|"):
        method, path = asked.split()
        sent = body if method in ("POST", "PUT") else None
        kind = "multipart/form-data; boundary=x"
        status, _ = client.ask(path, sent, method, Content_Type=kind)
        assert status == 404, asked
    assert set(guarded_scratch.rglob("*")) == before


def test_a_stranger_gets_nothing_and_sends_nothing(guarded: str, guarded_scratch: Path) -> None:
    stranger, before = Client(guarded, stranger=True), set(guarded_scratch.rglob("*"))
    for path in (
        "/",
        "/theme.css",
        "/gradio_api/queue/data?session_hash=x",
        "/assets/x",
        "/?token=x",
    ):
        status, text = stranger.ask(path)
        assert status == 401 and NAME not in text and "unit" not in text
    assert stranger.upload(("a.png", PNG))[0] == 401
    assert stranger.join(0, [])[0] == 401
    assert set(guarded_scratch.rglob("*")) == before


def test_other_names_and_pages_are_not_let_in(client: Client) -> None:
    assert client.ask("/", Host="evil.example")[0] == 400
    assert client.ask("/", Origin="http://evil.example")[0] == 403
    forged = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https"}
    status, text = client.ask("/", X_Forwarded_For="evil.example", **forged)
    assert status == 200 and "evil" not in text and "https://127" not in text


def test_an_upload_that_is_too_large_is_cut_off_on_its_way(
    client: Client, guarded_scratch: Path
) -> None:
    at = urlsplit(client.base)
    head = form(("endless.jpg", b"")).removesuffix(b"\r\n--x--\r\n")
    lines = [
        "POST /gradio_api/upload HTTP/1.1",
        f"Host: {at.netloc}",
        f"Cookie: {client.headers['Cookie']}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {10**11}",
    ]
    sent, chunk, deadline = 0, bytes(2**18), time.monotonic() + 60
    with socket.create_connection((at.hostname, at.port), timeout=60) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode() + head)
        while not select.select([line], [], [], 0)[0]:
            line.sendall(chunk)
            sent += len(chunk)
            assert time.monotonic() < deadline
        answer = b""
        while b"MB" not in answer:
            answer += line.recv(2000)
    assert b" 413 " in answer and b"at most 20 MB" in answer
    assert MAX_BYTES <= sent < 2 * MAX_BYTES
    assert not list(guarded_scratch.rglob("endless*"))


def test_too_many_files_at_once_are_refused(client: Client, guarded_scratch: Path) -> None:
    status, text = client.upload(*[(f"many{i}.png", b"x") for i in range(EACH[1] + 1)])
    assert status == 413 and "Send fewer" in text
    assert not list(guarded_scratch.rglob("many*"))
    for kind in ("", "text/plain", "multipart/form-data"):
        status, text = client.ask("/gradio_api/upload", form(("no.png", PNG)), Content_Type=kind)
        assert status == 413 and "as a form" in text
    broken = form(("no.png", PNG)).replace(b"--x\r\n", b"--y\r\n")
    kind = "multipart/form-data; boundary=x"
    assert client.ask("/gradio_api/upload", broken, Content_Type=kind)[0] == 413
    assert not list(guarded_scratch.rglob("no*"))


def test_all_that_waits_together_is_bounded(tmp_path: Path) -> None:
    received, each = Received(tmp_path / "in"), EACH[0] // MAX_BYTES
    for visitor in range(ALL[0] // (each * MAX_BYTES)):
        for _ in range(each):
            received.grow(received.begin(f"v{visitor}", "a.png"), MAX_BYTES)
        with pytest.raises(ValueError, match="256 MB of yours"):
            received.grow(received.begin(f"v{visitor}", "a.png"), MAX_BYTES)
    with pytest.raises(ValueError, match="1024 MB in all"):
        for _ in range(each):
            received.grow(received.begin("new", "a.png"), MAX_BYTES)
    other = Received(tmp_path / "other")
    refused(lambda: other.grow(other.begin("v", "a.png"), MAX_BYTES + 1), "at most 20 MB")


def test_uploads_nobody_reads_leave_and_only_listed_files_ever_do(
    tmp_path: Path, canary: Path
) -> None:
    now = [0.0]
    received = Received(tmp_path / "in", lambda: now[0])
    old = received.begin("a", "../old.png")
    old.write_bytes(PNG)
    key = key_of("a", "page")
    assert received.find(key, str(old)) == old and old.is_relative_to(tmp_path / "in" / "a")
    others: list[Callable[[], object]] = [
        lambda: received.find(key_of("b", "page"), str(old)),
        lambda: received.find(key, str(canary)),
        lambda: received.find(key, f"{old.parent}/../{old.parent.name}/{old.name}"),
        lambda: received.find(key, old),
    ]
    for other in others:
        refused(other, "Send it again")
    received.drop(canary)  # not of this list
    old.unlink()
    old.symlink_to(canary)  # as only another program here could
    refused(lambda: received.find(key, str(old)), "Send it again")
    now[0] = AGE + 1
    received.begin("b", "new.png")
    assert not old.is_symlink() and not (tmp_path / "in" / "a").exists()
    refused(lambda: received.grow(old, 1), "took too long")
