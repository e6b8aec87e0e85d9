"""The images of a run: found again, and compared with what it was trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from cldis.data.catalogue import CATALOGUE
from cldis.data.open import is_here, may_be, open_data, started
from cldis.data.source import ImageSource
from cldis.text import say
from cldis.training.run_folder import RunFolder, is_path, place_of


def open_run_data(run: RunFolder, named: str | None = None, progress: bool = False) -> ImageSource:
    """The images that a run was trained on.

    A run may come from a stranger, so what it says about its data is only a hint where to look:
    a folder is decoded when it holds as many files as the run saw, a named data set is made when
    its name, number and size are the run's, images are handed out when their fingerprint is that of
    the run, and nothing is downloaded.

    Args:
        named: where the images are now; a new place is recorded in the run.
        progress: show a progress bar while decoding.

    Raises:
        ValueError: the images are not there any more, are other ones, or have to be named.
    """
    if named is not None:
        source = open_data(named, run.config.model.resolution, progress=progress)
        if not is_run_data(run, source):
            raise ValueError(_other(run, named, source))
        record_place(run, named)
        return source
    data = run.about["data"]
    asked = data["source"]
    reason = f"the images of {run.path} ({asked}) are not there any more"
    for place in _places(run):
        known = place in CATALOGUE
        if not _may_be(run, place):
            if known or is_here(place):
                reason = f"{place} does not hold the images that {run.path} was trained on"
            continue
        try:
            source = open_data(place, run.config.model.resolution, progress=progress)
        except ValueError as error:  # of a folder it would name files
            reason = str(error) if known else f"{place} holds no usable image"
            continue
        if is_run_data(run, source):
            return source
        reason = _other(run, place, source)
    if asked not in CATALOGUE and not is_path(asked):
        reason = f"{run.path} was trained on {asked}, which is not downloaded unasked"
    raise ValueError(f"{reason}; name the images with --data PATH_OR_NAME")


def is_run_data(run: RunFolder, source: ImageSource) -> bool:
    """Whether these are the images that the run was trained on."""
    return bool(source.fingerprint == run.about["data"]["fingerprint"])


def record_place(run: RunFolder, data: str) -> RunFolder:
    """The run with its data at a place where they were just found, also on disk; says so if that
    is a new one."""
    place = place_of(data, run.path)
    before = run.about["data"]
    if place["source"] == before["source"]:
        return run
    kept = {key: value for key, value in before.items() if key != "relative"}
    moved = dataclasses.replace(run, about={**run.about, "data": {**kept, **place}})
    moved.write_about()
    say(f"{run.path} now looks for its images in {place['source']} (was {before['source']})")
    return moved


def _places(run: RunFolder) -> Iterator[str]:
    """Where the images may be, without asking the network."""
    data: dict[str, Any] = run.about["data"]
    source, relative = data["source"], data.get("relative")
    if source in CATALOGUE or (is_path(source) and is_here(source)):
        yield source
    if isinstance(relative, str) and is_here(str(run.path / relative)):
        yield f"{started(source)[0]}{(run.path / relative).resolve()}"


def _may_be(run: RunFolder, place: str) -> bool:
    """Whether a place may hold the images of the run, as far as one can tell without making any."""
    data = run.about["data"]
    if place not in CATALOGUE:
        return may_be(place, run.config.model.resolution, data["images"], data["skipped"])
    told = (data["name"], data["images"], data["resolution"])
    known = CATALOGUE[place].images
    return not known or told == (place, known, run.config.model.resolution)


def _other(run: RunFolder, place: str, source: ImageSource) -> str:
    known = run.about["data"]["fingerprint"]
    return (
        f"{place} does not hold the images that {run.path} was trained on (fingerprint "
        f"{source.fingerprint[:12]}, was {known[:12]})"
    )
