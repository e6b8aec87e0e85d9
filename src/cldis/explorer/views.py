"""HTML of the explorer: every picture inside the page itself, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from cldis.explorer import pictures
from cldis.explorer.studio import Begin, Studio
from cldis.images import png_bytes
from cldis.tracking.pictures import heat


def status(text: str, mood: str = "done") -> str:
    """What the page is doing; `mood` is done, busy or bad."""
    role = "alert" if mood == "bad" else "status"
    return f'<p class="state {mood}" role="{role}">{html.escape(text)}</p>'


def figure(image: Image.Image, caption: str, alt: str, small: bool) -> str:
    kind = ' class="pixels"' if small else ""
    return (
        f'<figure><img src="{pictures.png_uri(image)}" alt="{html.escape(alt)}"{kind}>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def stage(studio: Studio, begin: Begin, edited: Tensor | None, mood: str, words: str) -> str:
    """Photo, reconstruction, edit and change; `edited` None: not computed yet."""
    small = pictures.coarse(studio.resolution)
    parts = [figure(pictures.picture(begin.image), "Photo", f"The photo {begin.name}", small)]
    if edited is not None:
        shown = [
            (pictures.picture(begin.again), "Before: drawn again", "The photo, drawn again"),
            (pictures.picture(edited), "After", f"The edited photo: {words or 'no change yet'}"),
            (pictures.change(begin.again, edited), "What changed", "Bright where pixels changed"),
        ]
        first, second, third = [figure(image, text, alt, small) for image, text, alt in shown]
        parts = [first, second, parts[0], third]
    return f'<div class="stage {mood}">{"".join(parts)}</div>'


def thumbnail(studio: Studio, row: int) -> str:
    """The heat map of a row."""
    image = pictures.picture(heat(studio.rows[row].heat.astype("float64")))
    alt = f"Where {studio.label(row)} changes pictures"
    return f'<img class="heat pixels" src="{pictures.png_uri(image)}" alt="{html.escape(alt)}">'


def link(data: bytes, kind: str, name: str, text: str) -> str:
    """A download that needs no file on the server."""
    return (
        f'<a class="take" download="{html.escape(name)}" '
        f'href="{pictures.uri(data, kind)}">{html.escape(text)}</a>'
    )


def photo_links(begin: Begin, edited: Tensor, words: str) -> str:
    pair = pictures.side_by_side([begin.image, edited], ["before", "after"])
    return (
        '<p class="links">'
        + "".join(
            [
                link(
                    png_bytes(pictures.picture(edited)),
                    "image/png",
                    f"{begin.name}_edited.png",
                    "Download picture",
                ),
                link(
                    png_bytes(pair),
                    "image/png",
                    f"{begin.name}_before_after.png",
                    "Download before and after",
                ),
            ]
        )
        + f'<span class="soft">{html.escape(words)}</span></p>'
    )


def strip(frames: Tensor, places: Sequence[float], begin: Begin, label: str) -> str:
    """A strip and an animation, to look at and to take home."""
    words = [f"{place:+g}" if place else "0" for place in places[::2]]
    still = png_bytes(pictures.side_by_side(list(frames[::2]), words))
    moving = pictures.animation(frames)
    shown = pictures.png_uri(pictures.side_by_side(list(frames[::2])))
    pixels = " pixels" if pictures.coarse(frames.shape[-1]) else ""
    return (
        '<div class="strip"><div class="places" aria-hidden="true">'
        + "".join(f"<span>{word}</span>" for word in words)
        + f'</div><img src="{shown}" '
        f'alt="{html.escape(begin.name)} along {html.escape(label)}, from '
        f'{places[0]:+g} to {places[-1]:+g} standard deviations">'
        f'<img class="moving{pixels}" src="{pictures.uri(moving, "image/gif")}" '
        f'alt="The same, moving"></div><p class="links">'
        + link(still, "image/png", f"{begin.name}_strip.png", "Download strip")
        + link(moving, "image/gif", f"{begin.name}_traversal.gif", "Download animation")
        + "</p>"
    )


def mixed(studio: Studio, begin: Begin, other: Begin, result: Tensor) -> str:
    small = pictures.coarse(studio.resolution)
    parts = [
        figure(pictures.picture(begin.image), "First photo", f"The photo {begin.name}", small),
        figure(pictures.picture(other.image), "Second photo", f"The photo {other.name}", small),
        figure(pictures.picture(result), "Mixture", "Parts of both photos", small),
    ]
    taken = link(
        png_bytes(pictures.picture(result)),
        "image/png",
        f"{begin.name}_with_{other.name}.png",
        "Download mixture",
    )
    return f'<div class="stage three">{"".join(parts)}</div><p class="links">{taken}</p>'


def copies(studio: Studio, done: Sequence[tuple[str, Tensor, Tensor]], whole: bool) -> str:
    """Photos (name, before, after) as pairs; when `whole`, a ZIP of all."""
    small = pictures.coarse(studio.resolution)
    pairs = "".join(
        '<div class="pair">'
        + figure(pictures.picture(before), f"{name}", f"{name} before", small)
        + figure(pictures.picture(after), "after", f"{name} after", small)
        + "</div>"
        for name, before, after in done
    )
    taken = ""
    if whole and done:
        data = pictures.archive([after for *_, after in done], [name for name, *_ in done])
        taken = link(data, "application/zip", "edited_photos.zip", f"Download all {len(done)}")
        taken = f'<p class="links">{taken}</p>'
    return f'{taken}<div class="pairs">{pairs}</div>'


def run_page(studio: Studio, info: dict[str, Any]) -> str:
    """Health and scores of the run."""
    config, progress, health = info["config"], info["progress"], info["health"]
    baseline = config["baseline"]["method"]
    tiles = [
        (f"{progress['images']:,}", f"images seen of {progress['of']:,}"),
        (f"{studio.resolution} px", "side of a picture"),
        (str(studio.model.units), "units"),
        (f"arm {config['loop']['arm']}" if baseline == "none" else baseline, "method"),
    ]
    if health and "gap" in health:
        tiles.append((f"{1 + health['gap']:.2f} ×", "error with another photo's code"))
    if health and "sem_active_units" in health:
        tiles.append((str(health["sem_active_units"]), "active units"))
    boxes = "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(text)}</span></div>"
        for value, text in tiles
    )
    warned = health["warnings"] if health else []
    if warned:
        verdict = "".join(f'<p class="verdict bad">{html.escape(text)}</p>' for text in warned)
    elif health:
        verdict = '<p class="verdict good">The code is alive: no warnings of the last look.</p>'
    else:
        verdict = '<p class="verdict">The run has not looked at its health yet.</p>'
    data = info["data"]
    where = (
        f"<p>Run <code>{html.escape(str(info['run']))}</code> on "
        f"<code>{html.escape(str(data['source']))}</code>, {data['images']:,} images. "
        f"The whole report: <code>cldis report RUN</code>.</p>"
    )
    return f'<div class="tiles">{boxes}</div>{verdict}{where}{score_table(studio)}'


def score_table(studio: Studio) -> str:
    lines = []
    for i, row in enumerate(studio.rows):
        score = "not tracked" if row.active else "changes nothing"
        score = f"{row.score:.2f}" if row.score is not None else score
        lines.append(
            f"<tr><th scope='row'>{html.escape(studio.label(i))}</th><td>{row.number}</td>"
            f"<td>{score}</td></tr>"
        )
    note = (
        "Content tracking scores each without labels, from 0 to 1: does it change the same thing "
        "on every photo, and nothing that another changes? "
        if any(row.score is not None for row in studio.rows)
        else "This run has no scores yet: <code>cldis track RUN</code> makes them. "
    )
    return (
        f"<h2>Directions</h2><p>{note}</p><div class='scroll' tabindex='0' role='region' "
        f"aria-label='Scores of directions'><table><thead><tr><th scope='col'>name</th>"
        f"<th scope='col'>number</th><th scope='col'>score</th></tr></thead><tbody>"
        f"{''.join(lines)}</tbody></table></div>"
    )
