"""The model card of a saved model: Markdown with the header that the Hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jinja2

from cldis.methods import find_method
from cldis.text import number, percent, shown

if TYPE_CHECKING:
    from cldis.navigation.directions import Directions

# Identifiers that the Hub takes as they are; any other text goes under `license_name`.
KNOWN = re.compile(
    r"apache-2\.0|mit|bsd(-[23]-clause)?|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[34]\.0|"
    r"(a|l)?gpl-[23]\.[01]|openrail(\+\+)?|unlicense|wtfpl|mpl-2\.0|cdla-permissive-2\.0|unknown"
)


def model_card(record: Mapping[str, Any], directions: Directions | None) -> str:
    """The text of README.md.

    Args:
        record: what config.json of the saved model holds.
        directions: those saved with it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cldis.hub", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it knows HTML only
        finalize=markdown,  # whatever a template prints is text, unless it is `Markdown`
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template("card.md.j2").render(
        header=header(record["licence"]),
        method=method(record["config"]),
        draws_by_diffusion=draws_by_diffusion(record["config"]),
        **record,
        directions=directions,
        limits=limits(record),
    )


class Markdown(str):
    """Text that may mean something in Markdown: ours, or made harmless by `plain`."""


def markdown(value: object) -> Markdown:
    """What a template prints."""
    return value if isinstance(value, Markdown) else plain(value)


def header(licence: str) -> Markdown:
    """YAML in its JSON form, so that no licence text can break out of it."""
    lines = [
        "library_name: cldis",
        "pipeline_tag: image-to-image",
        'tags: ["cldis", "disentanglement", "diffusion-autoencoder", "image-editing"]',
    ]
    if KNOWN.fullmatch(licence.lower()):
        lines.insert(0, f"license: {licence.lower()}")
    else:
        name = json.dumps(licence, ensure_ascii=False)
        lines[:0] = ["license: other", f"license_name: {name}"]
    return Markdown("\n".join(lines))


def method(config: Mapping[str, Any]) -> Markdown:
    """The method in words."""
    known = find_method(config["method"])  # of a closed list of names
    return Markdown(f"{known.label} (`{config['method']}`)")


def draws_by_diffusion(config: Mapping[str, Any]) -> bool:
    """Whether it has a diffusion decoder."""
    return "diffusion" in find_method(config["method"]).branches


def limits(record: Mapping[str, Any]) -> list[str]:
    """What this model cannot do, as far as its own record tells."""
    side, data = record["config"]["model"]["resolution"], record["data"]
    said = [f"It sees and draws squares of {side} x {side} pixels; larger photos are reduced."]
    if not draws_by_diffusion(record["config"]):
        said.append("It has no diffusion decoder: it encodes, and cannot edit a photo.")
    else:
        said.append(
            "Where an edit changes a photo, the picture is drawn anew, with the detail that the "
            "model knows."
        )
    if data is not None:
        said.append(
            f"It was trained on {data['name']}: what those images do not show it does not "
            f"know, and the biases of that collection are in its units."
        )
    if "label_free" in record["scores"]:
        said.append(
            "Content tracking is this project's own score and is not validated yet; read it as a "
            "hint, and look at the pictures."
        )
    if "labelled" not in record["scores"]:
        said.append(
            "Nothing here was measured with labels, so whether a unit means one thing only is "
            "not checked."
        )
    said += record["scores"].get("health", {}).get("warnings", [])
    return said


def plain(text: object) -> Markdown:
    """Text of others as one line of Markdown that means only itself.

    No emphasis, code, link, picture, HTML, entity, table cell, heading or formula comes of it, no
    address or name becomes a link by itself, and no character is hidden.
    """
    line = shown(" ".join(str(text).split()))
    line = re.sub(r"([\\`*_\[\]<>|#&~!@$]|(?<=[Ww])\.|:(?=//))", r"\\\1", line)
    return Markdown(re.sub(r"^([-+=](?=[-+=\s]|$)|\d+(?=[.)](?:\s|$)))", _inert, line))


def _inert(start: re.Match[str]) -> str:
    """What would begin a list or a heading, escaped."""
    return f"\\{start[1]}" if not start[1].isdigit() else f"{start[1]}\\"
