"""What the explorer shows, as HTML: every picture inside the page itself, every text escaped.

The HTML itself is in `templates/views.html.j2`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from cldis.explorer import pictures
from cldis.explorer.studio import Begin, Studio
from cldis.images import data_uri, grid, png_bytes, png_uri
from cldis.methods import find_method
from cldis.pages.page import environment
from cldis.tracking.pictures import heat

TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def macros() -> Any:
    return environment(TEMPLATES).get_template("views.html.j2").module


def status(text: str, mood: str = "done") -> str:
    """What the page is doing; `mood` is done, busy or bad."""
    return str(macros().status(text, mood))


def waiting(studio: Studio, image: Tensor, name: str) -> str:
    """A photo, while the model reads it."""
    return str(macros().stage([shown(image, "Photo", f"The photo {name}")], "busy", coarse(studio)))


def stage(studio: Studio, begin: Begin, edited: Tensor, mood: str, words: str) -> str:
    """Photo, edit, what the code alone gives back, and the change."""
    change = {
        "src": png_uri(pictures.change(begin.image, edited)),
        "caption": "What changed",
        "alt": "Bright where pixels changed",
    }
    figures = [
        shown(begin.image, "Photo", f"The photo {begin.name}"),
        shown(edited, "After", f"The edited photo: {words or 'no change yet'}"),
        shown(begin.alone, "From its code alone", "What the code alone knows of the photo"),
        change,
    ]
    return str(macros().stage(figures, mood, coarse(studio)))


def triples(studio: Studio, row: int) -> str:
    """Sample photos with a row moved down, as they are, and with it moved up."""
    words = f"moved down along {studio.label(row)}, as it is, and moved up"
    figures = [
        {"src": png_uri(grid(cells[None], clear=True)), "alt": f"{name} {words}"}
        for name, cells in zip(studio.samples.names, studio.strip(row), strict=False)
    ]
    return str(macros().triples(figures, coarse(studio)))


def thumbnail(studio: Studio, row: int) -> str:
    """The heat map of a row."""
    image = pictures.picture(heat(studio.rows[row].heat.astype("float64")))
    alt = f"Where {studio.label(row)} changes pictures"
    return str(macros().img(png_uri(image), alt, "heat pixels"))


def photo_links(begin: Begin, edited: Tensor, words: str) -> str:
    """Downloads of an edit, and what the edit is."""
    pair = pictures.side_by_side([begin.image, edited], ["before", "after"])
    items = [
        png_link(pictures.picture(edited), f"{begin.name}_edited.png", "Download picture"),
        png_link(pair, f"{begin.name}_before_after.png", "Download before and after"),
    ]
    return str(macros().links(items, words))


def strip(frames: Tensor, places: Sequence[float], begin: Begin, label: str) -> str:
    """A strip and an animation, to look at and to take home."""
    words = [f"{place:+g}" if place else "0" for place in places[::2]]
    moving = pictures.animation(frames)
    still = {
        "src": png_uri(pictures.side_by_side(list(frames[::2]))),
        "alt": f"{begin.name} along {label}, from {places[0]:+g} to {places[-1]:+g} standard "
        f"deviations",
    }
    film = {"src": data_uri("image/gif", moving), "alt": "The same, moving"}
    items = [
        png_link(
            pictures.side_by_side(list(frames[::2]), words),
            f"{begin.name}_strip.png",
            "Download strip",
        ),
        link(moving, "image/gif", f"{begin.name}_traversal.gif", "Download animation"),
    ]
    pixels = pictures.coarse(frames.shape[-1])
    return str(macros().strip(words, still, film, pixels)) + str(macros().links(items))


def mixed(studio: Studio, begin: Begin, other: Begin, result: Tensor) -> str:
    """Two photos and their mixture."""
    figures = [
        shown(begin.image, "First photo", f"The photo {begin.name}"),
        shown(other.image, "Second photo", f"The photo {other.name}"),
        shown(result, "Mixture", "Parts of both photos"),
    ]
    name = f"{begin.name}_with_{other.name}.png"
    items = [png_link(pictures.picture(result), name, "Download mixture")]
    return str(macros().stage(figures, "three", coarse(studio))) + str(macros().links(items))


def copies(studio: Studio, done: Sequence[tuple[str, Tensor, Tensor]], whole: bool) -> str:
    """Photos (name, before, after) as pairs; when `whole`, a ZIP of all."""
    pairs = [
        (shown(before, name, f"{name} before"), shown(after, "after", f"{name} after"))
        for name, before, after in done
    ]
    taken = ""
    if whole and done:
        data = pictures.archive([after for *_, after in done], [name for name, *_ in done])
        words = f"Download all {len(done)}"
        taken = str(macros().links([link(data, "application/zip", "edited_photos.zip", words)]))
    return taken + str(macros().pairs(pairs, coarse(studio)))


def run_page(studio: Studio, info: dict[str, Any]) -> str:
    """Health and scores of the run."""
    config, progress, health = info["config"], info["progress"], info["health"]
    tiles = [
        (f"{progress['images']:,}", f"images seen of {progress['of']:,}"),
        (f"{studio.resolution} px", "side of a picture"),
        (str(studio.model.units), "units"),
        (find_method(config["method"]).label, "method"),
    ]
    if health and health.get("gap") is not None:
        tiles.append((f"{1 + health['gap']:.2f} ×", "error with another photo's code"))
    if health and "sem_active_units" in health:
        tiles.append((str(health["sem_active_units"]), "active units"))
    rows = []
    for i, row in enumerate(studio.rows):
        score = "not tracked" if row.active else "changes nothing"
        score = f"{row.score:.2f}" if row.score is not None else score
        rows.append((studio.label(i), row.number, score))
    scored = any(row.score is not None for row in studio.rows)
    return str(macros().run_page(tiles, health, info, rows, scored))


def coarse(studio: Studio) -> bool:
    return pictures.coarse(studio.resolution)


def shown(image: Tensor, caption: str, alt: str) -> dict[str, str]:
    """A picture with its words."""
    src = png_uri(pictures.picture(image))
    return {"src": src, "caption": caption, "alt": alt}


def link(data: bytes, kind: str, name: str, text: str) -> dict[str, str]:
    """A download that needs no file on the server."""
    return {"href": data_uri(kind, data), "name": name, "text": text}


def png_link(image: Image.Image, name: str, text: str) -> dict[str, str]:
    return link(png_bytes(image), "image/png", name, text)
