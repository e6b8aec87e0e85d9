"""A folder of photos, sub-folders included."""

from __future__ import annotations

import os
import stat
from collections import Counter
from pathlib import Path
from statistics import median

from cldis.arrays import spread
from cldis.data.cache import CachedImages, NoImages, decoded_once, stamp
from cldis.data.decode import quiet
from cldis.data.formats import EXTENSIONS, open_image
from cldis.data.source import MAX_RESOLUTION, check_resolution
from cldis.io import user_path

# images of formats that are not read (a camera's raw file would come out as its thumbnail)
UNREADABLE = {".heic", ".heif", ".jxl", ".svg", ".dng", ".nef", ".cr2", ".cr3", ".arw"}
UNREADABLE |= {".orf", ".rw2", ".raf", ".pef", ".jp2", ".j2k", ".tga", ".psd", ".eps", ".ico"}
SHOWN_REASONS = 3
LOOKED_AT = 100  # names looked at, per file that should be there
MEASURED = 32  # files whose size in pixels is looked at
# What our own commands write beside pictures: a folder with all files of a row is not image data.
WRITTEN = (
    {"run.json", "config.json"},  # train
    {"model.safetensors", "config.json"},  # export
    {"model_index.json"},  # the same for diffusers
    {"analysis.json", "index.html"},  # analyse
    {"scores.json", "gallery.png"},  # track
    {"edits.json", "before_after.png"},
    {"traversals.json", "overview.png"},
    {"reconstructions.json", "reconstructions.png"},
)


class Folder(CachedImages):
    """Every image below a folder, in the order of their relative paths.

    Hidden files, files that do not claim to be images, and folders that our own commands wrote are
    left aside; such folders, and images that cannot be used, are listed in `skipped`. Files without
    an extension are tried.
    """

    def __init__(
        self,
        folder: str | Path,
        resolution: int,
        cache_dir: Path | None = None,
        progress: bool = False,
    ) -> None:
        """
        Raises:
            ValueError: no such folder, no usable image in it, or a resolution out of range.
            OSError: the cache cannot be written.
        """
        check_resolution(resolution)
        root = user_path(folder).resolve()
        if not root.is_dir():
            raise ValueError(f"{folder} is no folder; give a folder of images")
        found = _Scan(root)
        files = sorted(found.files)
        try:
            decoded = decoded_once(
                ["folder", str(root), files],
                ((_printable(file[0]), root / file[0]) for file in files),
                len(files),
                resolution,
                cache_dir,
                progress,
            )
        except NoImages as error:
            raise ValueError(_nothing(folder, found, error.skipped)) from None
        super().__init__(root.name or str(root), resolution, decoded, found.skipped)


def may_hold(folder: Path, images: int, skipped: int) -> bool:
    """Whether a folder holds as many files as gave so many images and so many skipped ones.

    Only names are looked at, and not many more than there should be.
    """
    most = images + skipped
    return images <= len(_Scan(folder, most).files) <= most


def holds_photos(folder: Path) -> bool:
    """Whether a folder holds files that claim to be images, by its first names."""
    return bool(_Scan(folder, 0).files)


def typical_side(folder: Path) -> int | None:
    """Median of the shorter side in pixels, over a few files; None: none of them is an image.

    A large JPEG counts as half or a quarter, but never as less than `MAX_RESOLUTION`: it is not
    decoded at more.
    """
    files = sorted(path for path, _ in _Scan(folder).files)
    sides = []
    with quiet():
        for i in spread(len(files), MEASURED):
            try:
                with open_image(folder / files[i], MAX_RESOLUTION) as opened:
                    sides.append(min(opened.image.size))
            except Exception:  # Pillow's readers raise nearly everything on broken files
                continue
    return round(median(sides)) if sides else None


class _Scan:
    """One walk over a folder: candidates with what tells their version, and the rest.

    Given `most`, the walk ends soon after more files than that, or far more names.
    """

    def __init__(self, root: Path, most: int | None = None) -> None:
        self._most, self._names = most, 0
        self.files: list[tuple[str, tuple[int, ...]]] = []
        self.skipped: list[tuple[str, str]] = []
        self.ignored: Counter[str] = Counter()
        self._seen: set[tuple[int, int]] = set()
        self._walk(root)

    def _walk(self, root: Path) -> None:
        folders = [""]
        while folders:
            below = folders.pop()
            try:
                status = os.stat(root / below)
                if (status.st_dev, status.st_ino) in self._seen:
                    continue  # a link back into what was already walked
                self._seen.add((status.st_dev, status.st_ino))
                with os.scandir(root / below) as entries:
                    listing = sorted(entries, key=lambda entry: entry.name, reverse=True)
            except OSError as error:
                self._skip(below or ".", f"the folder cannot be read ({error.strerror})")
                continue
            names = {entry.name for entry in listing}
            if below and any(written <= names for written in WRITTEN):
                self._skip(below, "a run, an export or results of cldis, no image data")
                continue
            self._names += len(listing)
            if self._most is not None and (
                len(self.files) > self._most or self._names > LOOKED_AT * (self._most + 1000)
            ):
                return
            for entry in listing:
                if entry.name.startswith("."):
                    continue
                path = f"{below}/{entry.name}" if below else entry.name
                if _is_folder(entry):
                    folders.append(path)
                else:
                    self._file(path, entry)

    def _file(self, path: str, entry: os.DirEntry[str]) -> None:
        extension = os.path.splitext(entry.name)[1].lower()
        if extension in UNREADABLE:
            self._skip(path, f"{extension} files are not read; convert it to .jpg or .png")
            return
        if extension and extension not in EXTENSIONS:
            self.ignored[extension] += 1
            return
        try:
            status = entry.stat()
        except OSError:
            self._skip(path, "a link that leads nowhere")
            return
        if not stat.S_ISREG(status.st_mode):
            self._skip(path, "not a regular file")
            return
        self.files.append((path, stamp(status)))

    def _skip(self, path: str, reason: str) -> None:
        self.skipped.append((_printable(path), reason))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _printable(path: str) -> str:
    """A path as text that UTF-8 can hold, whatever bytes the file system allows."""
    return os.fsencode(path).decode("utf-8", "replace")


def _nothing(folder: str | Path, found: _Scan, undecodable: list[tuple[str, str]]) -> str:
    """One line on a folder without a usable image: how many files, and why not the first few."""
    reasons = sorted(found.skipped + undecodable)
    total = len(reasons) + found.ignored.total()
    shown = [f"{path}: {reason}" for path, reason in reasons[:SHOWN_REASONS]]
    if len(reasons) > SHOWN_REASONS:
        shown.append(f"{len(reasons) - SHOWN_REASONS} more like these")
    if found.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.ignored.most_common(3))
        shown.append(f"no image extension: {kinds}")
    why = f" ({'; '.join(shown)})" if shown else ""
    return (
        f"{folder} holds no usable image among {total} files{why}; give a folder with .jpg, "
        ".png or other images (docs/data.md)"
    )
