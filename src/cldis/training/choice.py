"""Which recipe suits photos for which nobody named one: by their size, and by what is here.

Latents draw photos larger than pixels do at the same cost, but need an autoencoder, which is not
part of the package. Everything that is no folder of photos has the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cldis.config import Config
from cldis.config_model import PIXELS
from cldis.data.folder import typical_side
from cldis.data.open import folder_of
from cldis.data.source import MAX_RESOLUTION
from cldis.training.autoencoder import find_here, how_to_get
from cldis.training.recipes import DEFAULT, recipe_config

LADDER = ("photos128", "photos256")  # in latents; below the first, the default in pixels
LARGER = 2**0.5  # a photo may be drawn larger by this factor
OTHERWISE = "another one with --recipe NAME (`cldis recipes` lists them)"


@dataclass(frozen=True)
class Choice:
    """A recipe, and why in one line; nothing was chosen where that is empty."""

    recipe: str
    words: str = ""


def side_of(data: str) -> int | None:
    """The typical shorter side of photos in pixels; None: no folder, or no photo in it."""
    folder = folder_of(data)
    return None if folder is None else typical_side(folder)


def choose(side: int | None, resolution: int | None, settings: Mapping[str, Any]) -> Choice:
    """The recipe for data without `--recipe`.

    Args:
        side: of the photos, as `side_of` gives it.
        resolution: that a person asked for, if any; it counts in place of the photos' size.
        settings: what `--set` sets, by key.
    """
    if side is None:
        return Choice(DEFAULT)
    asked = settings.get("model.resolution", resolution)
    space = settings.get("model.space")
    why = f"{asked} px were asked for" if asked is not None else f"the photos are {about(side)}"
    wanted = suited(asked if isinstance(asked, int) else side)
    if space == PIXELS:
        return Choice(DEFAULT, f"recipe {DEFAULT}: pixels, as the settings ask; {OTHERWISE}")
    if space is not None:  # an autoencoder that a person named
        wanted = wanted if wanted != DEFAULT else LADDER[0]
        return Choice(wanted, f"recipe {wanted}: {why}, and {space} was named; {OTHERWISE}")
    if wanted == DEFAULT:
        return Choice(DEFAULT, f"recipe {DEFAULT}, in pixels: {why}; {OTHERWISE}")
    name = recipe_config(wanted).model.space
    place = find_here(name)
    if place is not None:
        return Choice(wanted, f"recipe {wanted}: {why}, and {name} is here; {OTHERWISE}")
    return Choice(
        DEFAULT,
        f"recipe {DEFAULT}, in pixels: {why}, but the autoencoder {name} of recipe {wanted} is not "
        f"here; {how_to_get(name)}, or let `--recipe {wanted}` fetch them",
    )


def suited(side: int) -> str:
    """The largest recipe for photos whose shorter side is `side` pixels."""
    fits = [name for name in LADDER if recipe_config(name).model.resolution <= LARGER * side]
    return fits[-1] if fits else DEFAULT


def enlarged(side: int | None, config: Config) -> str:
    """A warning where most photos are smaller than what is drawn of them; else empty."""
    if side is None or config.model.resolution <= LARGER * side:
        return ""
    return (
        f"the photos are {about(side)}: at {config.model.resolution} px they are enlarged, which "
        f"costs time and adds no detail; take a smaller --resolution or recipe"
    )


def about(side: int) -> str:
    """The size of photos, in words."""
    large = side >= MAX_RESOLUTION
    pixels = f"{MAX_RESOLUTION:,} px or more" if large else f"about {side} px"
    return f"{pixels} on their shorter side"
