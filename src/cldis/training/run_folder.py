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
from cldis.data.skipped import skipped_table
from cldis.io import read_json, user_path, write_json, write_text
from cldis.training.checkpoint import checkpoints

if TYPE_CHECKING:
    from cldis.data.source import ImageSource

FORMAT = 1
PACKAGES = ("cldis", "torch", "numpy", "diffusers", "accelerate", "safetensors", "pillow")


@dataclass(frozen=True)
class RunFolder:
    """Paths and self-description of a run."""

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
        found = checkpoints(self.checkpoints)
        return found[-1] if found else None

    @classmethod
    def create(cls, path: Path, config: Config, source: ImageSource, data: str) -> RunFolder:
        """Start a run folder.

        Raises:
            ValueError: the folder holds something already.
        """
        if path.exists() and (not path.is_dir() or not _unused(path)):
            raise ValueError(
                f"{path} is not empty; choose another --out, or --resume to go on with a run"
            )
        from cldis.training.precision import settled

        config = settled(config)  # a run that goes on elsewhere keeps its arithmetic
        about = {
            "format": FORMAT,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "seed": config.training.seed,
            "data": {
                "source": data,
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
        }
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / "config.json", config.to_dict())
        write_text(path / "skipped.tsv", skipped_table(source.skipped))
        write_json(path / "run.json", about)
        return cls(path, config, about)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open an existing run.

        Raises:
            ValueError: no run there, damaged, or written by a newer version.
        """
        path = user_path(path)
        if not (path / "run.json").is_file() or not (path / "config.json").is_file():
            what = "is not a run folder (no run.json)" if path.exists() else "does not exist"
            raise ValueError(f"{path} {what}; give the folder that `cldis train --out` wrote")
        about = read_json(path / "run.json")
        found = about.get("format") if isinstance(about, dict) else None
        if not isinstance(found, int) or found > FORMAT:
            raise ValueError(
                f"{path} has run format {found!r}, this version reads up to {FORMAT}; "
                f"upgrade with `pip install -U cldis`"
            )
        config = read_json(path / "config.json")
        if not isinstance(config, dict):
            raise ValueError(f"{path / 'config.json'} holds no settings; restore it or start again")
        return cls(path, Config.from_dict(config), about)


def _unused(folder: Path) -> bool:
    """Empty, or left by a process that was killed before `run.json`, which is written last."""
    return all(
        path.name in ("config.json", "skipped.tsv") or path.name.endswith(".tmp")
        for path in folder.iterdir()
    )


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
