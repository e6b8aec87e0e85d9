"""The run folder: it describes itself, and one call opens it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cldis.config import Config
from cldis.data.catalogue import CATALOGUE
from cldis.data.open import started
from cldis.data.skipped import skipped_table
from cldis.io import read_json, user_path, write_json, write_text
from cldis.text import command
from cldis.training.checkpoint import MODEL, checkpoints
from cldis.training.contents import LARGEST, RunRecord, checked, config_in
from cldis.training.processes import is_main

if TYPE_CHECKING:
    from cldis.data.source import ImageSource

FORMAT = 2  # that of the settings too: cldis.config_upgrade
LOCK = ".lock"  # says which process writes into a run (`cldis.training.lock`)
PACKAGES = ("cldis", "torch", "numpy", "diffusers", "accelerate", "safetensors", "pillow")


@dataclass(frozen=True)
class RunFolder:
    """Paths and self-description of a run, which may not be on disk yet."""

    path: Path
    config: Config
    about: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def latest(self) -> Path | None:
        """The newest checkpoint from which the model can be used."""
        found = checkpoints(self.checkpoints)
        return found[-1] if found else None

    def used(self) -> Path:
        """As `latest`.

        Raises:
            ValueError: there is none; the message says what is missing.
        """
        newest = self.latest()
        if newest is not None:
            return newest
        folders = checkpoints(self.checkpoints, ())
        if folders:
            lost = [name for name in MODEL if not (folders[-1] / name).is_file()]
            raise ValueError(
                f"{self.path} has no checkpoint that can be used: {folders[-1] / lost[0]} is "
                f"missing; restore it"
            )
        raise ValueError(
            f"{self.path} has no checkpoint yet; go on with "
            f"`{command('cldis', 'train')} ... {command('--out', self.path, '--resume')}`"
        )

    @classmethod
    def create(cls, path: Path, config: Config, source: ImageSource, data: str) -> RunFolder:
        """`plan` a run and `write` it."""
        run = cls.plan(path, config, source, data)
        run.write(source)
        return run

    @classmethod
    def plan(cls, path: Path, config: Config, source: ImageSource, data: str) -> RunFolder:
        """A new run with all that is known of it; nothing is written.

        One that diffuses latents has its images encoded into the cache.
        """
        from cldis.training.precision import settled
        from cldis.training.space import plan_space

        config = settled(config)  # a run that goes on elsewhere keeps its arithmetic
        about = {
            "format": FORMAT,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "seed": config.training.seed,
            "data": {
                **place_of(data, path),
                "name": source.name,
                "images": len(source),
                "resolution": source.resolution,
                "fingerprint": source.fingerprint,
                "skipped": len(source.skipped),
                "factors": dict(zip(source.factor_names, source.factor_sizes, strict=True)),
            },
            "versions": versions(),
            "git": git_revision(),
            "machine": {"platform": platform.platform(), "python": platform.python_version()},
            **plan_space(config, source, progress=is_main()),
        }
        return cls(path, config, about)

    def write(self, source: ImageSource) -> None:
        """Start the folder of a planned run.

        Raises:
            ValueError: the folder holds something already.
        """
        if self.path.exists() and (not self.path.is_dir() or not _unused(self.path)):
            raise ValueError(
                f"{self.path} is not empty; choose another --out, or --resume to go on with a run"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.list_skipped(source)
        self.write_settings()

    def list_skipped(self, source: ImageSource) -> None:
        """Add to `skipped.tsv` what is not in it yet: shards find bad images as they are read."""
        path = self.path / "skipped.tsv"
        before = path.read_text("utf-8", "replace") if path.is_file() else ""
        lines = before.split("\n")[:-1]
        both = dict.fromkeys([*lines, *skipped_table(source.skipped).split("\n")[:-1]])
        if len(both) > len(lines):
            write_text(path, "\n".join(both) + "\n")

    def write_settings(self) -> None:
        """Write the settings, and last what says that this is a run."""
        write_json(self.path / "config.json", self.config.to_dict())
        self.write_about()

    def write_about(self) -> None:
        """Write `run.json`."""
        write_json(self.path / "run.json", {**self.about, "format": FORMAT})

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open an existing run.

        Raises:
            ValueError: no run there, damaged, or written by a newer version.
        """
        path = user_path(path)
        if not (path / "run.json").is_file() or not (path / "config.json").is_file():
            raise ValueError(_no_run(path))
        about = read_json(path / "run.json", LARGEST)
        found = about.get("format") if isinstance(about, dict) else None
        if type(found) is int and found > FORMAT:
            raise ValueError(
                f"{path} has run format {found}, this version reads up to {FORMAT}; "
                f"upgrade with `pip install -U cldis`"
            )
        if type(found) is not int or found < 1:
            raise ValueError(
                f"{path / 'run.json'} is damaged: format is {found!r:.40}, not 1 to {FORMAT}; "
                f"restore it"
            )
        checked(RunRecord, about, path / "run.json")
        config = read_json(path / "config.json", LARGEST)
        if not isinstance(config, dict):
            raise ValueError(f"{path / 'config.json'} holds no settings; restore it or start again")
        return cls(path, config_in(config, path / "config.json"), about)


def _no_run(path: Path) -> str:
    """Why a folder is not opened as a run, and what to give instead."""
    fix = "give the folder that `cldis train --out` wrote"
    if not path.exists():
        return f"{path} does not exist; {fix}"
    run = path.absolute().parent.parent
    if path.parent.name == "checkpoints" and (run / "run.json").is_file():
        return f"{path} is a checkpoint of a run; give the run, {run}"
    if not (path / "run.json").exists() and (path / "ema.safetensors").is_file():
        return (
            f"{path} holds weights that a training may start from, without settings to open them "
            f"by; train with --set training.start_from=starter:{path.name} if it came with cldis"
        )
    return f"{path} is not a run folder (no run.json); {fix}"


def _unused(folder: Path) -> bool:
    """Empty, or left by a process that was killed before `run.json`, which is written last."""
    return all(
        path.name in ("config.json", "skipped.tsv", LOCK) or path.name.endswith(".tmp")
        for path in folder.iterdir()
    )


def place_of(data: str, run: Path) -> dict[str, str]:
    """What `run.json` says of where the data is: `source`, a name or an absolute path, and
    `relative`, the same path seen from the run folder, which holds when both are moved."""
    if not is_path(data):
        return {"source": data}
    start, words = started(data)
    folder = user_path(words).resolve()
    try:
        relative = os.path.relpath(folder, run.resolve())
    except ValueError:  # another drive
        return {"source": f"{start}{folder}"}
    return {"source": f"{start}{folder}", "relative": relative}


def is_path(data: str) -> bool:
    """Whether a name of data means files here, not a data set made here or on the Hub."""
    start, words = started(data)
    if data in CATALOGUE or words.startswith("hf:"):
        return False
    if start or os.path.isabs(words) or os.path.isdir(user_path(words)):
        return True
    return words.startswith(("~", "."))


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def git_revision() -> str:
    """Revision of the source tree this package runs from; `+` marks local changes.

    Where there is no repository: `$CLDIS_REVISION`, else "unknown".
    """
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("CLDIS_REVISION", "unknown")
