"""What every HTML page of cldis shares: the template environment, pictures in it, numbers, terms.

A page is one file that needs nothing but itself. Its template extends `base.html.j2`, which sets
the content security policy and includes `style.css.j2`, and is given `title`, `side` (pixels of a
side of the pictures) and `terms`, next to what it needs itself:

    terms = Terms({"ssim": ("SSIM", "Structural similarity ... 1 for equal pictures.")})
    html = environment().get_template("mine.html.j2").render(title=..., side=..., terms=terms, ...)

In the template, `{{ terms("ssim") }}` is the word with its meaning on hover; the base lists the
terms that were used at the end of the page, and a printed page numbers them as footnotes.
`{{ cells|picture("What is seen.")|img }}` is a picture of tensors, and `{{ figure|diagram }}` a
diagram of `cldis.pages.figures`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from cldis.images import data_uri, grid, png_uri, reduced, to_uint8
from cldis.pages.figures import Figure
from cldis.text import number, percent, signed

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
EXACT = 64  # pixels; smaller pictures lose nothing, others are compressed as photos are
QUALITY = 90  # of WebP
FRAME = 130  # milliseconds


class Terms:
    """Words that need an explanation: said on hover, and listed at the end of the page."""

    def __init__(self, meanings: Mapping[str, tuple[str, str]]) -> None:
        """`meanings`: key -> (label, meaning in a sentence or two)."""
        self.meanings = dict(meanings)
        self._used: list[str] = []

    def __call__(self, key: str, words: str = "") -> Markup:
        """A term as HTML: a link to its footnote, its meaning on hover.

        Args:
            words: what to show; "" takes the label.

        Raises:
            KeyError: a term that nobody explained, a mistake in the template.
        """
        label, meaning = self.meanings[key]
        if key not in self._used:
            self._used.append(key)
        return Markup('<a class="term" href="#term-{}" title="{}">{}<sup>{}</sup></a>').format(
            key, meaning, words or label, self._used.index(key) + 1
        )

    def used(self) -> list[tuple[str, str, str]]:
        """(key, label, meaning) in the order of first use."""
        return [(key, *self.meanings[key]) for key in self._used]


def environment(folder: Path = TEMPLATES) -> jinja2.Environment:
    """The templates of a folder, with the filters of this module; unknown names are errors."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "percent": percent,
        "signed": signed,
        "picture": picture,
        "animation": animation,
        "img": img,
        "diagram": diagram,
        "coded": coded,
    }
    return made


def picture(cells: Tensor, alt: str) -> dict[str, Any]:
    """A grid of pictures as attributes of an `img`: `src` (a data URI), `alt` and `size`.

    Gaps are transparent. Cells of fewer than `EXACT` pixels keep their values; larger ones are
    reduced to `SHOWN_SIDE` at the most and compressed.

    Args:
        cells: [rows, columns, 3, H, W] in [-1, 1], or one row [columns, 3, H, W].
        alt: what is seen, for those who do not see it.
    """
    if cells.dim() == 4:
        cells = cells[None]
    page = grid(reduced(cells), clear=True)
    buffer = io.BytesIO()
    page.save(buffer, format="WEBP", quality=QUALITY, lossless=cells.shape[-1] < EXACT)
    return {"src": data_uri("image/webp", buffer.getvalue()), "alt": alt, "size": page.size}


def animation(cells: Tensor, alt: str) -> dict[str, Any]:
    """A row of pictures that move there and back: `src`, `alt`, `size`, and `still`, its middle.

    Args:
        cells: [rows, frames, 3, H, W] in [-1, 1]: each row becomes one moving picture.
    """
    shown = reduced(cells)
    order = [*range(shown.shape[1]), *range(shown.shape[1] - 2, 0, -1)]
    # Gaps of one colour would show on paper of another: the cells touch instead.
    frames = [
        Image.fromarray(to_uint8(torch.cat(list(shown[:, frame]), dim=-1)).permute(1, 2, 0).numpy())
        for frame in order
    ]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=FRAME,
        loop=0,
        quality=QUALITY - 10,
        lossless=shown.shape[-1] < EXACT,
        method=4,
    )
    middle = frames[shown.shape[1] // 2]
    return {
        "src": data_uri("image/webp", buffer.getvalue()),
        "still": png_uri(middle),
        "alt": alt,
        "size": middle.size,
    }


def img(attributes: Mapping[str, Any]) -> Markup:
    """The `img` of `picture`; of `animation` a `picture` that stands still for who prefers that."""
    width, height = attributes["size"]
    tag = Markup('<img src="{}" alt="{}" width="{}" height="{}">').format(
        attributes["src"], attributes["alt"], width, height
    )
    if "still" not in attributes:
        return tag
    still = Markup('<source media="(prefers-reduced-motion: reduce), print" srcset="{}">')
    return Markup("<picture>{}{}</picture>").format(still.format(attributes["still"]), tag)


def diagram(figure: Figure) -> Markup:
    """The `img` of a diagram of `cldis.pages.figures`."""
    src = data_uri("image/svg+xml", figure.svg)
    return img({"src": src, "alt": figure.alt, "size": figure.size})


def coded(text: str) -> Markup:
    """Plain words in which `what stands between backticks` becomes code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>" if i % 2 else "{}").format(p) for i, p in enumerate(parts)]
    return Markup("").join(marked)


def finite(value: Any) -> Any:
    """A copy for JSON: what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
