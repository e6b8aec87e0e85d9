"""The door: images opened by name, folder or address."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from cldis.data.catalogue import CATALOGUE
from cldis.data.folder import Folder, holds_photos, may_hold
from cldis.data.hub import Hub
from cldis.data.hub_shards import START
from cldis.data.shard_index import shard_files
from cldis.data.shards import CachedShards, Shards
from cldis.data.source import ImageSource, check_resolution
from cldis.io import user_path

STREAM = "stream:"  # begins the name of images that are read where they lie, without a cache
Reader = Callable[[int, Path | None, bool], ImageSource]


def open_data(
    path_or_name: str | Path,
    resolution: int,
    cache_dir: Path | None = None,
    progress: bool = False,
) -> ImageSource:
    """Open images by name.

    Args:
        path_or_name: a name of the catalogue, such as `rooms` (docs/data.md); a folder of images
            (write `./rooms` for a folder of that name); `hf:NAME`, `hf:NAME:CONFIG` or `owner/name`
            for a Hugging Face dataset; a folder of tar shards, `x/{000..999}.tar` or
            `hf://owner/name` for shards on the Hub, with `stream:` before it where no decoded image
            is to be kept.
        resolution: side of the square images in pixels, a multiple of 8 in 8..1024.
        cache_dir: where decoded images are kept; default `cache.default_cache_dir()`.
        progress: show a progress bar while decoding.

    Raises:
        ValueError: unknown name, no usable image, a file or an extra that is missing, or a
            resolution that cannot be used.
        OSError: the cache cannot be written.
    """
    check_resolution(resolution)
    text = str(path_or_name)
    if text in CATALOGUE:
        return _named(text)(resolution, cache_dir, progress)
    if text.startswith(START):
        return CachedShards(text, resolution, cache_dir, progress)
    if text.startswith("hf:"):
        return Hub(text.removeprefix("hf:"), resolution, cache_dir, progress)
    if text.startswith(STREAM):
        return Shards(text.removeprefix(STREAM), resolution, cache_dir, progress)
    path = user_path(text)
    if shard_files(text) and not (os.path.isdir(path) and holds_photos(path)):
        return CachedShards(text, resolution, cache_dir, progress)
    if folder_of(text) is not None:
        return Folder(path, resolution, cache_dir, progress)
    if text and os.path.exists(path):
        raise ValueError(f"{text} is a single file, not a folder of images; give {path.parent}")
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text) and not os.path.isdir(path.parent):
        return Hub(text, resolution, cache_dir, progress)
    raise ValueError(_unknown(text, path))


def started(text: str) -> tuple[str, str]:
    """(`stream:` or nothing, the words after it)."""
    return (STREAM if text.startswith(STREAM) else "", text.removeprefix(STREAM))


def is_here(text: str) -> bool:
    """Whether a path, with or without `stream:`, leads to a folder or to shards."""
    words = started(text)[1]
    try:  # os.path.isdir answers for every text, also one that cannot be a path (a NUL, too long)
        return bool(words) and (os.path.isdir(user_path(words)) or bool(shard_files(words)))
    except ValueError:  # braces that name a shard which is not there
        return False


def may_be(text: str, resolution: int, images: int, skipped: int) -> bool:
    """Whether the files at a place may give so many images and so many skipped ones.

    No image is decoded: names are looked at, and the headers of shards.
    """
    start, words = started(text)
    path, most = user_path(words), images + skipped
    if not start and os.path.isdir(path) and (holds_photos(path) or not shard_files(words)):
        return may_hold(path, images, skipped)
    try:
        return images <= len(Shards(words, resolution)) <= most
    except (ValueError, OSError):
        return False


def folder_of(text: str) -> Path | None:
    """The folder of images that `open_data` would open by these words; None: something else."""
    if not text or text in CATALOGUE or text.startswith("hf:"):
        return None
    path = user_path(text)
    return path if os.path.isdir(path) else None


def _named(name: str) -> Reader:
    """The reader of one of `CATALOGUE`."""
    module, _, reader = CATALOGUE[name].reader.partition(":")
    made: Reader = getattr(importlib.import_module(f"cldis.data.{module}"), reader)
    return made


def _unknown(text: str, path: Path) -> str:
    """One line on a name that nothing answers to, with the nearest name that something does."""
    known = {name: name for name in CATALOGUE}
    if text and os.path.isdir(path.parent):
        try:
            folders = [entry for entry in path.parent.iterdir() if entry.is_dir()]
        except OSError:
            folders = []
        known |= {folder.name: str(folder) for folder in folders if folder.name not in known}
    near = difflib.get_close_matches(path.name, known, n=1)
    fix = f"did you mean {known[near[0]]!r}?" if near else "check the path"
    return (
        f"data {text!r} is neither a folder nor a known name ({', '.join(CATALOGUE)}) nor a "
        f"Hugging Face dataset (hf:NAME or owner/name); {fix}"
    )
