"""The door of the explorer without a browser: who is let through, and how fast one may guess."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("starlette")

from cldis.explorer import door  # noqa: E402

SECRET = "a long päss phrase"
FORM = b"password=a+long+p%C3%A4ss+phrase"


class Inside:
    """What lies behind the door."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"secret"})


class Guarded:
    """A door, its clock, and what lies behind."""

    def __init__(self) -> None:
        self.now, self.inside = 100.0, Inside()
        self.door = door.Door(self.inside, SECRET, lambda: self.now)

    def ask(
        self,
        path: str = "/",
        body: bytes | None = None,
        cookie: bytes = b"",
        address: str = "10.0.0.1",
        scheme: str = "http",
    ) -> tuple[int, dict[str, str], str]:
        scope = {
            "type": "http",
            "method": "GET" if body is None else "POST",
            "path": path,
            "scheme": scheme,
            "headers": [(b"cookie", cookie)] if cookie else [],
            "client": (address, 5000),
            "server": ("10.0.0.9", 7860),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body or b""}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.door(scope, receive, send))
        headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
        text = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], headers, text.decode()

    def sign_in(self, **options: Any) -> bytes:
        status, headers, _ = self.ask("/login", FORM, **options)
        assert status == 303 and headers["location"] == "./"
        return headers["set-cookie"].split(";")[0].encode()


def test_the_password_opens_the_door_to_its_own_cookie_only() -> None:
    guarded = Guarded()
    status, headers, text = guarded.ask()
    assert status == 401 and "Password" in text and "secret" not in text
    assert headers["cache-control"] == "no-store" and "default-src 'none'" in str(headers)
    assert guarded.ask("/config")[0] == 401
    one, two = guarded.sign_in(), guarded.sign_in()
    assert one != two
    for cookie in (one, two, b"other=1; " + one):
        assert guarded.ask("/config", cookie=cookie)[2] == "secret"
    for cookie in (
        one[:-1],
        b"cldis-explorer-7861" + one[19:],
        b"\xff=;;=",
        b"cldis-explorer-7860=",
    ):
        assert guarded.ask("/config", cookie=cookie)[0] == 401
    assert len(guarded.inside.scopes) == 3
    assert guarded.ask("/login")[0] == 303  # the address of the form, opened as a page


def test_the_cookie_is_for_tls_where_there_is_tls() -> None:
    guarded = Guarded()
    cookie = guarded.ask("/login", FORM, scheme="https")[1]["set-cookie"].lower()
    assert "secure" in cookie and "httponly" in cookie and "samesite=lax" in cookie
    assert "secure" not in guarded.ask("/login", FORM)[1]["set-cookie"].lower()


@pytest.mark.parametrize(
    "body",
    [b"", b"password", b"password=" + b"x" * 10**6, b"password=%ff%00", b"\xff", b"a=1;" * 99],
)
def test_anything_else_is_a_wrong_guess_and_costs_a_second(body: bytes) -> None:
    guarded = Guarded()
    status, headers, text = guarded.ask("/login", body)
    assert status == 401 and "not the password" in text and "set-cookie" not in headers
    status, headers, text = guarded.ask("/login", FORM)
    assert status == 429 and "Wait a second" in text and "set-cookie" not in headers
    guarded.sign_in(address="10.0.0.2")  # nobody else waits
    guarded.now += door.PAUSE + 0.01
    guarded.sign_in()
    guarded.ask("/login", b"", address="10.0.0.3")
    assert list(guarded.door.wait) == ["10.0.0.3"]  # who has waited is forgotten


def test_many_sign_ins_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST", 2)
    guarded = Guarded()
    cookies = [guarded.sign_in() for _ in range(3)]
    assert [guarded.ask("/x", cookie=cookie)[0] for cookie in cookies] == [401, 200, 200]


def test_no_page_reaches_another_even_by_its_key() -> None:
    guarded = Guarded()
    for cookie in (guarded.sign_in(), guarded.sign_in()):
        guarded.ask("/gradio_api/queue/join", cookie=cookie)
    requests = [SimpleNamespace(scope=scope) for scope in [*guarded.inside.scopes, {}]]
    keys = {door.key_of(SimpleNamespace(request=r, session_hash="page")) for r in requests}
    assert len(keys) == 3
