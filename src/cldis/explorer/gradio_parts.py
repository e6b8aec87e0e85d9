"""Gradio's parts, made to do with photos what the explorer promises."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.components.gallery import GalleryData, GalleryImage
from gradio.data_classes import ImageData
from PIL import Image

from cldis.explorer.pictures import png_uri


def untouched(base: Any) -> Any:
    """A class like `base`, of which an upload is handed on as the paths it came to: Gradio neither
    opens nor copies it, nor fetches it from an address that a visitor names.

    A class, as Gradio makes such parts anew within a session.
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

    return _like(
        base,
        preprocess=paths,
        move_resource_to_block_cache=stay,
        async_move_resource_to_block_cache=stay_later,
    )


def _like(base: Any, **methods: Any) -> Any:
    """A class with its own methods, made without Gradio's metaclass, which would write a stub file
    beside this one."""
    own = {**methods, "__module__": __name__}
    return ABCMeta.__new__(type(base), base.__name__, (base,), own)


def _inside(image: Image.Image) -> ImageData:
    return ImageData(path=None, url=png_uri(image), mime_type="image/png")


def _picture(_: Any, value: Image.Image | None) -> ImageData | None:
    return None if value is None else _inside(value)


def _pictures(_: Any, value: list[tuple[Image.Image, str | None]] | None) -> GalleryData:
    found = [GalleryImage(image=_inside(image), caption=words) for image, words in value or []]
    return GalleryData(root=found)


# Their pictures are part of the page: none lies on the server, to be asked for by an address.
# `PictureOutput` shows a PIL image, `GalleryOutput` a list of (PIL image, caption or None).
PictureOutput = _like(gr.Image, postprocess=_picture)
GalleryOutput = _like(gr.Gallery, postprocess=_pictures)
