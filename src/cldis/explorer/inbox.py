"""What a page sends, judged before Gradio sees it: uploads, and every value of a request.

A page is known to Gradio by the key VISITOR-PAGE: who the gate says the browser is, and what the
page calls itself. So no browser reaches the page of another, even if it knows that page's name.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from cldis.explorer.gate import VISITOR
from cldis.explorer.gradio_parts import chosen_place, judged
from cldis.explorer.received import Received, receive_files
from cldis.explorer.sessions import key_of

LONGEST = 8 * 2**20  # bytes of a request; one carries the picture that was clicked on
UPLOAD, HEARTBEAT = "/gradio_api/upload", "/gradio_api/heartbeat/"
JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
PAGE = re.compile(r"[0-9A-Za-z]{1,64}")


class Inbox:
    """ASGI middleware, behind the gate: rewrites a request to what may be asked, or refuses it."""

    def __init__(self, app: Any, blocks: Any, received: Received) -> None:
        self.app, self.blocks, self.received = app, blocks, received

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        try:
            if path == UPLOAD:
                files = await receive_files(self.received, scope[VISITOR], Request(scope, receive))
                return await JSONResponse(files)(scope, receive, send)
            if path == JOIN:
                body = json.dumps(self.joined(scope, await whole(receive))).encode()
                scope = {**scope, "headers": [*resized(scope, len(body))]}
                receive = once(body, receive)
            elif path == DATA:
                pages = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
                key = self.key(scope, pages[0])
                if key not in self.blocks._queue.pending_messages_per_session:
                    # Gradio would find out after it began to answer.
                    refused = JSONResponse({"detail": "This page has asked for nothing."}, 404)
                    return await refused(scope, receive, send)
                query = f"session_hash={key}"
                scope = {**scope, "query_string": query.encode()}
            elif path.startswith(HEARTBEAT):
                path = HEARTBEAT + self.key(scope, path.removeprefix(HEARTBEAT))
                scope = {**scope, "path": path, "raw_path": path.encode()}
        except ClientDisconnect:
            return
        except ValueError as error:
            if path == UPLOAD:
                answer: Response = PlainTextResponse(str(error), 413)
            else:
                answer = JSONResponse({"detail": str(error)}, 422)
            return await answer(scope, receive, send)
        await self.app(scope, receive, send)

    def key(self, scope: Any, page: object) -> str:
        if not isinstance(page, str) or not PAGE.fullmatch(page):
            raise ValueError("A page names itself by letters and digits.")
        return key_of(scope[VISITOR], page)

    def joined(self, scope: Any, body: bytes) -> dict[str, Any]:
        """A request to compute something, made anew of judged values alone.

        Raises:
            ValueError: in words for the page.
        """
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            raise ValueError("The request is not JSON.")
        key, number = self.key(scope, asked.get("session_hash")), asked.get("fn_index")
        wanted = self.blocks.fns.get(number) if type(number) is int else None
        if wanted is None:
            raise ValueError(f"The page has no function {number!r:.40}.")
        data = asked.get("data")
        if not isinstance(data, list) or len(data) != len(wanted.inputs):
            raise ValueError(f"The page sends {len(wanted.inputs)} values here, not {data!r:.80}.")
        event = None
        if wanted.collects_event_data:
            event = {"index": chosen_place(asked.get("event_data")), "value": None}
        return {
            "session_hash": key,
            "fn_index": number,
            "data": [
                judged(part, value, lambda path: self.received.find(key, path))
                for part, value in zip(wanted.inputs, data, strict=True)
            ],
            "event_data": event,
        }


async def whole(receive: Any) -> bytes:
    """The body of a request. Raises ValueError where it is too long."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LONGEST:
            raise ValueError(f"A request may have at most {LONGEST // 2**20} MB.")
    return bytes(body)


def once(body: bytes, receive: Any) -> Any:
    """A `receive` that gives `body`, then what comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Any:
        return waiting.pop() if waiting else await receive()

    return given


def resized(scope: Any, size: int) -> Any:
    """The headers of a request whose body was replaced by JSON of `size` bytes."""
    for key, value in scope["headers"]:
        if key not in (b"content-length", b"content-type"):
            yield key, value
    yield b"content-length", str(size).encode()
    yield b"content-type", b"application/json"
