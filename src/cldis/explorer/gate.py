"""The gate of the explorer: who may ask, under which name, and for what.

The address that is printed holds a token that cannot be guessed; opened in a browser, it leaves a
cookie. Without one of them nothing is answered. With it, only the routes that the page uses are.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, PlainTextResponse, Response

VISITOR = "cldis.visitor"  # where a request says which browser sent it
STARTED = "GET /gradio_api/startup-events"  # Gradio asks itself whether it runs; answered by a bool
ROUTES = re.compile(
    r"(GET|HEAD) /|GET /(assets/\w[\w.-]*|static/js/\w[\w.-]*|favicon\.ico|theme\.css)|"
    r"GET /gradio_api/(app_id|queue/data|heartbeat/[^/]+|startup-events)|"
    r"POST /gradio_api/(queue/join|upload)"
)
# All that Gradio is told of a request. It would take its own address from X-Forwarded-Host.
HEADERS = {b"host", b"accept", b"accept-encoding", b"content-type", b"content-length"}
ANY = ("0.0.0.0", "::")  # listening on all addresses of this machine

# Opens "./" itself: along a redirect that began on another site, a strict cookie is not sent.
OPENS = "<!doctype html><title>cldis explorer</title><meta http-equiv=refresh content='0; url=./'>"
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
CLOSED = "This explorer is private. Open the address that cldis explore printed: it holds a token."


class Gate:
    """ASGI middleware: lets through what a page of this explorer sends, and nothing else."""

    def __init__(self, app: Any, token: str, host: str, names: Iterable[str]) -> None:
        """`names`: what this machine is called; `host`: the address it listens on."""
        self.app, self.token, self.any = app, token.encode(), host in ANY
        self.names = {name.lower() for name in (host, *names) if name}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":  # the page has no socket
            await send({"type": "websocket.close", "code": 1008})
        elif answer := self.refusal(scope):
            await answer(scope, receive, send)
        else:
            kept = [(key, value) for key, value in scope["headers"] if key in HEADERS]
            visitor = self.visitor(scope) or ""
            await self.app({**scope, "headers": kept, VISITOR: visitor}, receive, send)

    def refusal(self, scope: Any) -> Response | None:
        """The answer to a request that goes no further; None lets it through."""
        hosts, asked = given(scope, b"host"), f"{scope['method']} {scope['path']}"
        if len(hosts) != 1 or not self.known(hosts[0], scope):
            return PlainTextResponse("This explorer has no such name.", 400)
        if set(given(scope, b"origin")) - {f"http://{hosts[0]}", f"https://{hosts[0]}"}:
            return PlainTextResponse("Another page may not ask here.", 403)
        visitor = self.visitor(scope)
        if asked == "GET /" and self.invited(scope):
            answer = HTMLResponse(OPENS, headers=PRIVATE)
            if visitor is None:  # another tab of a browser that is in already keeps its cookie
                value = self.signed(secrets.token_hex(16))
                answer.set_cookie(cookie_name(hosts[0]), value, httponly=True, samesite="strict")
            return answer
        if visitor is None and asked != STARTED:
            return PlainTextResponse(CLOSED, 401, headers=PRIVATE)
        if not ROUTES.fullmatch(asked):
            return PlainTextResponse("The page of this explorer does not use that.", 404)
        return None

    def known(self, host: str, scope: Any) -> bool:
        """Whether a page may call this machine so. A page elsewhere that points its own name at
        this machine must not be let in; to an address nobody can do that."""
        name = hostname(host)
        if name in self.names or (scope.get("server") and name == scope["server"][0]):
            return True
        return self.any and is_address(name)

    def invited(self, scope: Any) -> bool:
        tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return hmac.compare_digest(tokens[0].encode(), self.token)

    def visitor(self, scope: Any) -> str | None:
        """The browser of a request, by a cookie of this gate; None without one."""
        wanted = cookie_name(*given(scope, b"host"))
        for part in ";".join(given(scope, b"cookie")).split(";"):
            name, _, value = part.strip().partition("=")
            visitor = value.partition(".")[0]
            if name == wanted and hmac.compare_digest(
                value.encode(), self.signed(visitor).encode()
            ):
                return visitor
        return None

    def signed(self, visitor: str) -> str:
        """A cookie: who, and the proof that this gate gave it."""
        proof = hmac.new(self.token, visitor.encode(), "sha256").hexdigest()
        return f"{visitor}.{proof}"


def given(scope: Any, wanted: bytes) -> list[str]:
    """Every header of a name, as text."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]


def hostname(host: str) -> str:
    """The name in a `Host` header, without its port; "" where it is not one."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d+)?", host)
    return found[1].strip("[]").lower() if found else ""


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def cookie_name(host: str) -> str:
    """Browsers share cookies between the ports of a machine; two explorers there keep apart."""
    return f"cldis-explorer-{host.rpartition(':')[2] if host[-1:].isdigit() else ''}"
