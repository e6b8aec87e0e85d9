"""The gate of the explorer by itself: who is let through, under which name, and to what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("starlette")

from cldis.explorer.gate import VISITOR, Gate  # noqa: E402

TOKEN = "Zq3xkVbA-0_r8sYw1uPT9g"
HERE = "127.0.0.1:7860"


class Inside:
    """What lies behind the gate."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"secret"})


class Guarded:
    """A gate, and what lies behind."""

    def __init__(self, host: str = "127.0.0.1", *names: str) -> None:
        self.inside = Inside()
        self.gate = Gate(self.inside, TOKEN, host, ["127.0.0.1", "localhost", *names])

    def ask(
        self, path: str = "/", query: str = "", method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        headers = {"host": HERE, **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "scheme": "http",
            "headers": [
                (key.replace("_", "-").encode(), value.encode("latin-1"))
                for key, value in headers.items()
            ],
            "client": ("10.0.0.1", 5000),
            "server": ("10.0.0.9", 7860),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.gate(scope, receive, send))
        given = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
        text = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], given, text.decode()

    def enter(self, **headers: str) -> str:
        status, given, text = self.ask(query=f"token={TOKEN}", **headers)
        assert status == 200 and "url=./" in text and given["cache-control"] == "no-store"
        assert given["referrer-policy"] == "no-referrer"
        cookie, *rest = given["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} == set(rest)
        return cookie


def test_the_token_gives_a_cookie_of_its_own_to_every_browser() -> None:
    guarded = Guarded()
    one, two = guarded.enter(), guarded.enter()
    assert one != two
    for cookie in (one, two, f"other=1; {one}", f"{one.partition('.')[0]}.x; {one}"):
        assert guarded.ask(cookie=cookie)[::2] == (200, "secret")
    who = [scope[VISITOR] for scope in guarded.inside.scopes]
    assert who[0] == who[2] == who[3] != who[1] and all(len(one) == 32 for one in who)
    again = guarded.ask(query=f"token={TOKEN}", cookie=one)  # another tab
    assert again[0] == 200 and "set-cookie" not in again[1]


@pytest.mark.parametrize(
    "query",
    ["", "token=", f"token={TOKEN[:-1]}", f"token={TOKEN}x", "token=%ff%00", "token=\udc80"],
)
def test_nothing_else_opens_it(query: str) -> None:
    guarded = Guarded()
    query = query.encode("utf-8", "replace").decode()
    for path in ("/", "/theme.css", "/gradio_api/queue/data"):
        status, headers, text = guarded.ask(path, query)
        assert status == 401 and "cldis explore printed" in text and "set-cookie" not in headers
    assert guarded.ask("/theme.css", f"token={TOKEN}")[0] == 401  # only the page takes it
    assert not guarded.inside.scopes


def test_a_forged_cookie_opens_nothing() -> None:
    guarded = Guarded()
    real, another = guarded.enter(), Guarded()
    another.gate.token = b"another token"
    name, _, value = real.partition("=")
    who, _, proof = value.partition(".")
    forged = [f"{name}={made}" for made in ("", ".", who, f"{who}.", f".{proof}", f"x{value}")]
    forged += [f"cldis-explorer-7861={value}", "\xff=;;=", f"{name}={who}.{proof}\xff"]
    forged += [f"{name}={another.gate.signed(who)}"]
    for cookie in forged:
        assert guarded.ask(cookie=cookie)[0] == 401, cookie
    assert not guarded.inside.scopes


@pytest.mark.parametrize(
    ("listening", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:9000", 200),  # through a tunnel
        ("127.0.0.1", "localhost:7860", 200),
        ("127.0.0.1", "LOCALHOST", 200),
        ("127.0.0.1", "10.0.0.9:7860", 200),  # the address that the connection came to
        ("127.0.0.1", "evil.example:7860", 400),
        ("127.0.0.1", "127.0.0.1.evil.example", 400),
        ("127.0.0.1", "127.0.0.1@evil.example", 400),
        ("127.0.0.1", "evil.example@127.0.0.1", 400),
        ("127.0.0.1", "127.0.0.1/evil.example", 400),
        ("127.0.0.1", "10.0.0.10:7860", 400),
        ("127.0.0.1", "", 400),
        ("127.0.0.1", "[", 400),
        ("10.0.0.7", "10.0.0.7:7860", 200),
        ("10.0.0.7", "box:7860", 200),
        ("10.0.0.7", "10.0.0.8:7860", 400),
        ("0.0.0.0", "192.0.2.7:7860", 200),  # of the machine that hands on to a container
        ("0.0.0.0", "evil.example:7860", 400),
        ("::", "[2001:db8::7]:7860", 200),
    ],
)
def test_the_name_is_one_of_this_machine(listening: str, host: str, status: int) -> None:
    guarded = Guarded(listening, "box")
    assert guarded.ask(query=f"token={TOKEN}", host=host)[0] == status


def test_other_pages_do_not_ask() -> None:
    guarded = Guarded()
    cookie = guarded.enter()
    for origin, status in (
        ("http://127.0.0.1:7860", 200),
        ("https://127.0.0.1:7860", 200),
        ("http://127.0.0.1:7861", 403),
        ("http://localhost:7860", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ):
        asked = guarded.ask("/gradio_api/queue/join", method="POST", cookie=cookie, origin=origin)
        assert asked[0] == status, origin


def test_what_others_say_of_a_request_is_not_handed_on() -> None:
    guarded = Guarded()
    said = {"x_forwarded_host": "evil.example", "x_forwarded_for": "10.9.9.9"}
    said |= {"x_gradio_server": "http://evil.example", "forwarded": "for=10.9.9.9"}
    guarded.ask(cookie=guarded.enter(), accept="text/html", **said)
    (scope,) = guarded.inside.scopes
    assert {key for key, _ in scope["headers"]} == {b"host", b"accept"}
    assert scope["client"] == ("10.0.0.1", 5000) and scope["scheme"] == "http"


def test_no_socket_is_opened() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guarded().gate({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
