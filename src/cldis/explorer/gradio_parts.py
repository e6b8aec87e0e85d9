"""Gradio's parts, made to do with photos what the explorer promises."""

from __future__ import annotations

import math
from abc import ABCMeta
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.gallery import GalleryData, GalleryImage
from gradio.data_classes import ImageData
from PIL import Image

from cldis.images import png_uri


def untouched(base: Any) -> Any:
    """A class like `base`, of which an upload is handed on as the paths it came to: Gradio neither
    opens nor copies it. `judged` has seen to it that they are paths of uploads.

    A class, as Gradio makes such parts anew within a session.
    """

    def paths(_: Any, payload: Any) -> Any:
        if payload is None:
            return None
        return [file.path for file in payload.root] if hasattr(payload, "root") else payload.path

    def stay(_: Any, path: Any, *__: Any) -> Any:
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


def judged(part: Any, value: Any, find: Callable[[object], Path]) -> Any:
    """What a client sent for a part of the page, as that part could have sent it.

    Args:
        find: the path of an upload of this client; raises ValueError for anything else.

    Raises:
        ValueError: a value that the part does not take, with what it takes.
    """
    if isinstance(part, gr.Image):
        return None if value is None else _upload(value, find)
    if isinstance(part, gr.File):
        if value is not None and not isinstance(value, list):
            raise ValueError("Send a list of files.")
        return None if value is None else [_upload(file, find) for file in value]
    if isinstance(part, gr.Slider):
        right, taken = _number(value), f"a number from {part.minimum:g} to {part.maximum:g}"
        right = right and part.minimum <= value <= part.maximum
    elif isinstance(part, gr.Textbox):
        right, taken = isinstance(value, str) and len(value) <= (part.max_length or 0), "a text"
    else:
        # In JSON, true would be 1.
        choices = [(type(choice), choice) for _, choice in part.choices]
        several = isinstance(part, gr.CheckboxGroup) or bool(getattr(part, "multiselect", False))
        given = value if several and isinstance(value, list) else [value]
        right = all((type(one), one) in choices for one in given) and len(given) <= len(choices)
        right, taken = right and isinstance(value, list) == several, "one of its choices"
    if not right:
        raise ValueError(f"{part.label}: {value!r:.40} is not taken; give {taken}.")
    return value


def chosen_place(event: Any) -> int | list[float]:
    """Where a click on pictures went: which one, or the pixel. Raises ValueError for no place."""
    place = event.get("index") if isinstance(event, dict) else None
    if type(place) is int:
        return place
    if isinstance(place, list) and len(place) == 2 and all(map(_number, place)):
        return place
    raise ValueError(f"{place!r:.40} is no place of a picture; click on one.")


def _number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9 and math.isfinite(value)  # type: ignore[arg-type]


def _upload(file: Any, find: Callable[[object], Path]) -> dict[str, Any]:
    path = find(file.get("path") if isinstance(file, dict) else file)
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}
