"""Gradio's parts, made to do with uploads what the explorer promises."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import gradio as gr


def key_of(request: gr.Request) -> str:
    """Of the page that asks, and of who has signed in on it."""
    return f"{request.username}/{request.session_hash}"


def untouched(base: Any) -> Any:
    """A class like `base`, of which an upload is handed on as the paths it came to: Gradio neither
    opens nor copies it, nor fetches it from an address that a visitor names.

    A class, as Gradio makes such parts anew within a session. Made without Gradio's metaclass,
    which would write a stub file beside this one.
    """

    def paths(_: Any, payload: Any) -> Any:
        if payload is None:
            return None
        return [file.path for file in payload.root] if hasattr(payload, "root") else payload.path

    def stay(_: Any, path: Any, *__: Any) -> Any:
        if str(path).lower().startswith(("http:", "https:", "data:")):
            raise gr.Error("Send a file, not an address.")
        return path

    async def stay_later(part: Any, path: Any, *_: Any) -> Any:
        return stay(part, path)

    own = {
        "preprocess": paths,
        "move_resource_to_block_cache": stay,
        "async_move_resource_to_block_cache": stay_later,
        "__module__": __name__,
    }
    return ABCMeta.__new__(type(base), base.__name__, (base,), own)
