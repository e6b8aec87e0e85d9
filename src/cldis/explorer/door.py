"""The door of an explorer with a password: a stranger gets the page that asks for it, no more.

Gradio's own login hands a stranger the names of all directions, as part of its login page, and
stops the whole server while a wrong guess is made to wait. So Gradio is not asked at all until
the cookie of a signed-in browser is there.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

PAUSE = 1.0  # seconds between two guesses from one address
MOST = 4096  # signed-in browsers; the oldest makes room
BODY = 4096  # bytes of a form at most
SIGNED_IN = "cldis.signed_in"  # where a request says by which sign-in it came
STARTED = "/gradio_api/startup-events"  # Gradio asks itself whether it runs; the answer is a bool

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cldis explorer: password</title>
<style>
:root {{ color-scheme:light dark; }}
body {{ font:1rem/1.5 system-ui, sans-serif; max-width:24rem; margin:15vh auto; padding:0 1rem; }}
h1 {{ font-size:1.4rem; }}
input, button {{ font:inherit; padding:.5rem; box-sizing:border-box; width:100%; margin:.3rem 0; }}
.bad {{ border-left:.3rem solid #d55e00; padding:.3rem .8rem; font-weight:600; }}
</style></head>
<body><main><h1>cldis explorer</h1>
{said}<form method="post" action="login">
<label for="password">Password that the explorer was started with</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
 autofocus>
<button>Open</button>
</form></main></body></html>
"""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
}


class Door:
    """ASGI middleware: only who has given the password is let through."""

    def __init__(
        self, app: Any, password: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app, self.password, self.clock = app, password.encode(), clock
        self.signed_in: dict[str, None] = {}  # tokens, the oldest first
        self.wait: dict[str, float] = {}  # address -> when it may guess again

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page has none
            await send({"type": "websocket.close", "code": 1008})
        elif (token := self.token_of(scope)) in self.signed_in:
            await self.app({**scope, SIGNED_IN: token}, receive, send)
        elif scope["path"] == STARTED and scope["method"] == "GET":
            await self.app(scope, receive, send)
        else:
            answer = await self.stranger(scope, receive)
            await answer(scope, receive, send)

    async def stranger(self, scope: Any, receive: Any) -> Any:
        """The answer to a request without a valid cookie."""
        from starlette.responses import PlainTextResponse, RedirectResponse

        if (scope["path"], scope["method"]) in (("/", "GET"), ("/", "HEAD")):
            return asking("")
        if scope["path"] != "/login":
            return PlainTextResponse("sign in first", status_code=401)
        if scope["method"] != "POST":
            return RedirectResponse("./", status_code=303)
        address = scope["client"][0] if scope.get("client") else ""
        if self.clock() < self.wait.get(address, 0.0):
            return asking("Too fast. Wait a second, then try again.", 429)
        if not hmac.compare_digest(await given_password(receive), self.password):
            now = self.clock()
            self.wait = {a: until for a, until in self.wait.items() if until > now}
            self.wait[address] = now + PAUSE
            return asking("That is not the password.")
        while len(self.signed_in) >= MOST:
            del self.signed_in[next(iter(self.signed_in))]
        token = secrets.token_urlsafe(32)
        self.signed_in[token] = None
        answer = RedirectResponse("./", status_code=303)
        answer.set_cookie(
            cookie_name(scope),
            token,
            httponly=True,
            samesite="lax",
            secure=scope.get("scheme") == "https",
        )
        return answer

    def token_of(self, scope: Any) -> str:
        """What the request's cookie says; "" without one."""
        try:
            cookies = SimpleCookie(
                b"; ".join(value for key, value in scope["headers"] if key == b"cookie").decode(
                    "latin-1"
                )
            )
        except CookieError:
            return ""
        found = cookies.get(cookie_name(scope))
        return found.value if found else ""


def key_of(request: Any) -> str:
    """The session of a `gradio.Request`: of its page, and of the sign-in by which it came. Where
    there is a password, no browser reaches the page of another, even if it knew that page's key."""
    came = request.request.scope.get(SIGNED_IN, "") if request.request else ""
    return f"{came}/{request.session_hash}"


def cookie_name(scope: Any) -> str:
    """Browsers share cookies between the ports of a machine; two explorers there keep apart."""
    return f"cldis-explorer-{scope['server'][1]}"


def asking(said: str, status: int = 401) -> Any:
    """The page that asks for the password."""
    from starlette.responses import HTMLResponse

    words = f'<p class="bad" role="alert">{said}</p>\n' if said else ""
    return HTMLResponse(PAGE.format(said=words), status_code=status, headers=HEADERS)


async def given_password(receive: Any) -> bytes:
    """From the body of a form; b"" where it is too long, broken off, or no form."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY:
            return b""
    found = parse_qs(body.decode("latin-1"), encoding="utf-8", errors="replace")
    return found.get("password", [""])[0].strip().encode()
